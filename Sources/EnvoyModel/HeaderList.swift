import ExtProcServer

/// Header fields as Envoy keeps them while a processor changes them.
package struct HeaderList: Sendable, Equatable {
    package struct Field: Sendable, Equatable {
        package let name: String
        package var value: String
    }

    package var fields: [Field]

    package init(_ fields: [(name: String, value: String)] = []) {
        self.fields = fields.map { Field(name: $0.name.lowercased(), value: $0.value) }
    }

    package subscript(_ name: String) -> [String] {
        fields.filter { $0.name == name }.map(\.value)
    }

    /// Adds a field beside those of that name.
    package mutating func add(_ name: String, _ value: String) {
        fields.append(Field(name: name.lowercased(), value: value))
    }

    package mutating func remove(_ name: String) {
        fields.removeAll { $0.name == name }
    }

    /// The fields, those of a name in their order, without some names: what two lists can be compared by.
    package func sorted(without names: Set<String> = []) -> [String] {
        Dictionary(grouping: fields.filter { !names.contains($0.name) }, by: \.name)
            .map { name, fields in "\(name): \(fields.map(\.value))" }
            .sorted()
    }

    package var tuples: [(name: String, value: String)] { fields.map { ($0.name, $0.value) } }

    /// Makes the changes of one reply: what is to be removed goes first, then each field is set. Nothing is changed when
    /// one of them cannot be: Envoy answers 500 then, whether it fails open or not.
    ///
    /// - Returns: what is wrong with the mutation.
    mutating func apply(_ mutation: HeaderMutation) -> [String] {
        let names = mutation.removed + mutation.fields.map(\.name)
        var complaints = names.filter { !Self.isToken($0) }.map { "\"\($0)\" is no name of a header" }
        complaints += mutation.fields.filter { !Self.isValue($0.value) }.map {
            "\($0.name) has a value that cannot be sent"
        }
        guard complaints.isEmpty else { return complaints }
        for name in mutation.removed where !Self.isProtected(name) { remove(name.lowercased()) }
        for field in mutation.fields where !Self.isProtected(field.name) {
            set(field.name.lowercased(), field.value, isBeside: field.action == .append)
        }
        return []
    }

    private mutating func set(_ name: String, _ value: String, isBeside: Bool) {
        guard !isBeside, let place = fields.firstIndex(where: { $0.name == name }) else {
            fields.append(Field(name: name, value: value))
            return
        }
        fields[place].value = value
        let kept = fields[place]
        fields =
            fields[...place].filter { $0.name != name } + [kept] + fields[(place + 1)...].filter { $0.name != name }
    }

    /// Changes of these are ignored unless the configuration has rules for mutations.
    private static func isProtected(_ name: String) -> Bool {
        ["host", ":authority", ":method", ":scheme"].contains(name.lowercased())
            || name.lowercased().hasPrefix("x-envoy-")
    }

    private static func isToken(_ name: String) -> Bool {
        let rest = name.utf8.first == UInt8(ascii: ":") ? name.dropFirst() : name[...]
        return !rest.isEmpty
            && rest.utf8.allSatisfy { byte in
                (0x21...0x7E).contains(byte) && !"\"(),/:;<=>?@[\\]{}".utf8.contains(byte)
            }
    }

    private static func isValue(_ value: String) -> Bool {
        value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }
    }
}
