/// The settings types that can be reached from one, each once, and their names.
struct SettingsTypes {
    /// The root first, then in the order in which fields lead to them.
    private(set) var all: [any Configurable.Type] = []
    private var names: [ObjectIdentifier: String] = [:]

    /// Terminates for types that hold themselves: each type is looked into once.
    init(of root: any Configurable.Type) {
        add(root)
        var index = 0
        while index < all.count {
            for field in all[index].fieldDescriptions {
                field.type.sections.forEach { add($0) }
            }
            index += 1
        }
    }

    func name(of type: any Configurable.Type) -> String {
        names[ObjectIdentifier(type)] ?? type.schemaName
    }

    /// The type in words, sections as links to theirs.
    func text(for type: ConfigType) -> String {
        switch type {
        case .scalar, .choice, .anything: type.name
        case .list(let element): "list of \(text(for: element))"
        case .map(let element): "map of \(text(for: element))"
        case .section(let section): link(to: section)
        case .union(let types): types.map { text(for: $0) }.joined(separator: " or ")
        case .tagged(let key, let cases):
            "by `\(key)`: " + cases.map { "`\($0.tag)` (\(link(to: $0.type)))" }.joined(separator: ", ")
        }
    }

    private func link(to type: any Configurable.Type) -> String {
        let name = name(of: type)
        // GitHub's anchors: lower case, spaces as dashes, everything but letters, digits, - and _ left out.
        let anchor = name.lowercased().compactMap { character -> Character? in
            if character == " " { return "-" }
            return character.isLetter || character.isNumber || character == "-" || character == "_" ? character : nil
        }
        return "[`\(name)`](#\(String(anchor)))"
    }

    /// Two types of one name are told apart by a number.
    private mutating func add(_ type: any Configurable.Type) {
        guard names[ObjectIdentifier(type)] == nil else { return }
        let taken = Set(names.values)
        var name = type.schemaName
        var number = 2
        while taken.contains(name) {
            name = "\(type.schemaName)-\(number)"
            number += 1
        }
        names[ObjectIdentifier(type)] = name
        all.append(type)
    }
}
