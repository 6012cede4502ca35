package import NIOCore

/// A view of one value (or key) of a `JSONDocument`: a reference and a number, cheap to copy.
///
/// Nothing is decoded before it is asked for. Asking a value for what it is not answers `nil`.
package struct JSONValue: Sendable {
    package enum Kind: UInt8, Sendable {
        case object, array, string, number, bool, null
    }

    let storage: JSONStorage
    /// The value's node.
    let index: Int

    package var kind: Kind { node.kind }
    package var isObject: Bool { kind == .object }
    package var isArray: Bool { kind == .array }
    package var isString: Bool { kind == .string }
    package var isNull: Bool { kind == .null }

    /// Where the value stands in the document's bytes, counted from the first byte of the document.
    package var byteRange: Range<Int> { node.range }

    /// The value as it is written, sharing the document's storage.
    package var rawBytes: ByteBuffer {
        let bytes = storage.bytes
        guard let slice = bytes.getSlice(at: bytes.readerIndex + byteRange.lowerBound, length: byteRange.count) else {
            preconditionFailure("a node lies outside its document")
        }
        return slice
    }

    package var bool: Bool? {
        // `true` has four bytes, `false` has five.
        kind == .bool ? byteRange.count == 4 : nil
    }

    var node: JSONNode { storage.nodes[index] }
}

// MARK: - Containers

extension JSONValue {
    /// The value of the member named `key`, however the key's characters are escaped. Of several members with that
    /// name the last one counts, as in the parsers of Python, Go and JavaScript.
    ///
    /// - Complexity: O(members) of this object, whatever they hold.
    package subscript(key: String) -> JSONValue? {
        lastMember(named: key).map { JSONValue(storage: storage, index: $0 + 1) }
    }

    /// The element at `position`, or nil past the end.
    /// - Complexity: O(position).
    package subscript(position: Int) -> JSONValue? {
        guard position >= 0 else { return nil }
        var position = position
        for element in elements {
            if position == 0 { return element }
            position -= 1
        }
        return nil
    }

    /// The members of an object in the order they are written, duplicates included. Empty for other kinds.
    package var members: Members { Members(of: self) }

    /// The elements of an array in order. Empty for other kinds.
    package var elements: Elements { Elements(of: self) }

    /// One name and value of an object.
    package struct Member: Sendable {
        /// The name, a value of kind `.string`.
        package let key: JSONValue
        package let value: JSONValue
    }

    package struct Members: Sequence, IteratorProtocol, Sendable {
        private let storage: JSONStorage
        private var index: Int
        private let end: Int

        fileprivate init(of value: JSONValue) {
            storage = value.storage
            index = value.index + 1
            end = value.isObject ? Int(value.node.next) : index
        }

        package mutating func next() -> Member? {
            guard index < end else { return nil }
            let key = JSONValue(storage: storage, index: index)
            let value = JSONValue(storage: storage, index: index + 1)
            index = Int(value.node.next)
            return Member(key: key, value: value)
        }
    }

    package struct Elements: Sequence, IteratorProtocol, Sendable {
        private let storage: JSONStorage
        private var index: Int
        private let end: Int

        fileprivate init(of value: JSONValue) {
            storage = value.storage
            index = value.index + 1
            end = value.isArray ? Int(value.node.next) : index
        }

        package mutating func next() -> JSONValue? {
            guard index < end else { return nil }
            let value = JSONValue(storage: storage, index: index)
            index = Int(value.node.next)
            return value
        }
    }

    /// The node of the last key equal to `name`.
    func lastMember(named name: String) -> Int? {
        guard isObject else { return nil }
        var name = name
        return name.withUTF8 { name in
            storage.bytes.withUnsafeReadableBytes { bytes in
                storage.nodes.withUnsafeBufferPointer { nodes in
                    var found: Int?
                    var key = index + 1
                    let end = Int(nodes[index].next)
                    while key < end {
                        if nodes[key].spells(name, in: bytes) { found = key }
                        key = Int(nodes[key + 1].next)
                    }
                    return found
                }
            }
        }
    }

    /// The steps that lead from the root to this value; for a key, to its value.
    ///
    /// - Complexity: O(depth), after O(values of the document) for the first path of a document.
    package var path: JSONPath {
        let places = storage.places
        var steps: [JSONPath.Step] = []
        var current = index
        while current != 0 {
            let parent = Int(places[current].parent)
            if storage.nodes[parent].kind == .object {
                let key = JSONValue(storage: storage, index: Int(places[current].position))
                steps.append(.key(key.string ?? ""))
            } else {
                steps.append(.index(Int(places[current].position)))
            }
            current = parent
        }
        return JSONPath(steps.reversed())
    }
}
