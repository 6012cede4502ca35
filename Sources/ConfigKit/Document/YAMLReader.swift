import Yams

/// Turns YAML text into a `ConfigNode` tree. Yams does the parsing; what it leaves open or does dangerously is here.
///
/// - Aliases never reach Yams. It replaces each by a copy that shares storage, so that a few lines make a tree which is
///   exponentially large, or deeper than the stack, and it hashes such trees when they stand as keys. Each `*name` is
///   therefore parsed as plain text that starts with a marker, and expanded here under a budget.
/// - Of repeated keys Yams names one mapping's and gives up. Each repeated key is overwritten with a marker of the same
///   width and the text parsed again, so that all are found with their lines and so are all other mistakes.
/// - Merge keys (`<<`, https://yaml.org/type/merge.html), tags and environment variables are resolved here.
struct YAMLReader {
    /// Levels of nesting: four times what the deepest known configuration uses. Decoding a tree of them needs less than
    /// 1 MB of stack.
    static let depthLimit = 64
    /// Values in a tree, aliases expanded: about 100 MB of memory at worst.
    static let valueLimit = 500_000
    /// Repeated keys that are reported one by one before reading stops; each costs a pass over the text.
    static let repeatedKeyLimit = 20
    /// The largest text that is worth those passes: 1 MiB, a third of a second each.
    static let repeatedKeyLimitBytes = 1024 * 1024

    private let source: String
    private let name: String
    private let environment: ProcessEnvironment
    private let aliasMarker: Unicode.Scalar
    private var diagnostics: [Diagnostic] = []
    private var anchors: [String: ConfigNode] = [:]
    private var repeatedKeys: [Unicode.Scalar: RepeatedKey] = [:]
    private var valueCount = 0

    private struct RepeatedKey {
        let key: String
        let firstLine: Int
    }

    init(text: String, name: String, environment: ProcessEnvironment) {
        source = text
        self.name = name
        self.environment = environment
        aliasMarker = Self.unusedScalar(in: text)
    }

    mutating func read() -> ConfigDocument {
        var text = maskingAliases(source)
        var repetitions = 0
        while true {
            do {
                // The parser owns the anchors' names, to which the nodes hold weak references.
                let parser = try Parser(yaml: text, resolver: .basic, encoding: .utf8)
                let yaml = try parser.singleRoot()
                let root = yaml.map { node(from: $0, at: .root) }
                return withExtendedLifetime(parser) { document(root) }
            } catch YamlError.duplicatedKeysInMapping(let keys, let context) {
                guard repetitions < Self.repeatedKeyLimit, text.utf8.count <= Self.repeatedKeyLimitBytes,
                    let masked = maskingRepetition(of: keys, from: context.mark, in: text, index: repetitions)
                else {
                    report(repeated: keys, at: context.mark)
                    return ConfigDocument(root: nil, diagnostics: diagnostics)
                }
                text = masked
                repetitions += 1
            } catch {
                report(error, in: text)
                return ConfigDocument(root: nil, diagnostics: diagnostics)
            }
        }
    }

    private func document(_ root: ConfigNode?) -> ConfigDocument {
        guard let root, !root.isNull else {
            let position = SourcePosition(.file(name))
            let warning = Diagnostic(.warning, "the file is empty; every setting has its default", at: position)
            return ConfigDocument(
                root: ConfigNode(.null, position: SourcePosition(.file(name), line: 1, column: 1)),
                diagnostics: diagnostics + [warning]
            )
        }
        return ConfigDocument(root: root, diagnostics: diagnostics)
    }
}

// MARK: - The tree

extension YAMLReader {
    private mutating func node(from yaml: Node, at path: ConfigPath, level: Int = 1) -> ConfigNode {
        let position = position(of: yaml.mark)
        func unreadable() -> ConfigNode { ConfigNode(.unreadable, position: position, path: path) }
        guard level <= Self.depthLimit else {
            report("is nested deeper than \(Self.depthLimit) levels", at: position, path: path)
            return unreadable()
        }
        guard count(1, at: position) else { return unreadable() }
        let node: ConfigNode
        switch yaml {
        case .scalar(let scalar):
            node = self.node(from: scalar, position: position, path: path, level: level)
        case .sequence(let sequence):
            check(tag: sequence.tag, position: position, path: path)
            var elements: [ConfigNode] = []
            elements.reserveCapacity(sequence.count)
            for (index, element) in sequence.enumerated() {
                elements.append(self.node(from: element, at: path.appending(.index(index)), level: level + 1))
            }
            node = ConfigNode(.list(elements), position: position, path: path)
        case .mapping(let mapping):
            check(tag: mapping.tag, position: position, path: path)
            node = ConfigNode(.mapping(entries(of: mapping, at: path, level: level)), position: position, path: path)
        case .alias:
            // Yams makes these only when it writes YAML.
            node = unreadable()
        }
        if let anchor = yaml.anchor {
            anchors[anchor.rawValue] = node
        }
        return node
    }

    private mutating func entries(of mapping: Node.Mapping, at path: ConfigPath, level: Int) -> [ConfigNode.Entry] {
        var entries: [ConfigNode.Entry] = []
        var indexes: [String: Int] = [:]
        var merges: [ConfigNode] = []
        for (keyNode, valueNode) in mapping {
            let keyPosition = position(of: keyNode.mark)
            guard let key = key(from: keyNode, in: path, position: keyPosition) else { continue }
            if key == "<<", keyNode.scalar?.style == .plain {
                merges.append(node(from: valueNode, at: path.appending(.key(key)), level: level + 1))
                continue
            }
            let value = node(from: valueNode, at: path.appending(.key(key)), level: level + 1)
            guard indexes[key] == nil else {
                report("the key appears twice", at: keyPosition, path: path.appending(.key(key)))
                continue
            }
            indexes[key] = entries.count
            entries.append(ConfigNode.Entry(key: key, keyPosition: keyPosition, value: value))
        }
        for merge in merges {
            for mapping in mappings(in: merge) {
                for entry in mapping where indexes[entry.key] == nil {
                    guard count(entry.value.size, at: merge.position) else { return entries }
                    indexes[entry.key] = entries.count
                    let value = entry.value.rebased(to: path.appending(.key(entry.key)))
                    entries.append(ConfigNode.Entry(key: entry.key, keyPosition: entry.keyPosition, value: value))
                }
            }
        }
        return entries
    }

    /// What a merge key brings: one mapping, or a list of them of which the earlier win.
    private mutating func mappings(in merge: ConfigNode) -> [[ConfigNode.Entry]] {
        switch merge.content {
        case .mapping(let entries):
            return [entries]
        case .list(let elements) where elements.allSatisfy({ $0.entries != nil }):
            return elements.compactMap(\.entries)
        case .unreadable:
            return []
        case .null, .scalar, .unexpanded, .list:
            report("a merge key takes a mapping or a list of mappings, as in <<: *defaults", at: merge)
            return []
        }
    }

    /// The text of a key, or nil after reporting why it is none.
    private mutating func key(from yaml: Node, in path: ConfigPath, position: SourcePosition) -> String? {
        guard case .scalar(let scalar) = yaml else {
            report("a key must be text", at: position, path: path)
            return nil
        }
        if let first = scalar.string.unicodeScalars.first, let repeated = repeatedKeys[first] {
            report(
                "the key appears twice; it is already set on line \(repeated.firstLine)",
                at: position,
                path: path.appending(.key(repeated.key))
            )
            return nil
        }
        if let alias = alias(in: scalar) {
            guard case .scalar(let target)? = anchors[alias]?.content else {
                report("the alias *\(alias) cannot be a key: it is not the name of a text", at: position, path: path)
                return nil
            }
            return target.text
        }
        return unmasked(scalar.string)
    }

    private mutating func node(
        from scalar: Node.Scalar,
        position: SourcePosition,
        path: ConfigPath,
        level: Int
    ) -> ConfigNode {
        if let alias = alias(in: scalar) {
            return expansion(of: alias, position: position, path: path, level: level)
        }
        check(tag: scalar.tag, position: position, path: path)
        let written = unmasked(scalar.string)
        let isQuoted = scalar.style != .plain || scalar.tag.rawValue == "!"
        if !isQuoted, ["", "~", "null", "Null", "NULL"].contains(written) {
            return ConfigNode(.null, position: position, path: path)
        }
        do throws(EnvironmentExpansion.Mistake) {
            let text = try EnvironmentExpansion.expand(written, from: environment)
            return ConfigNode(
                .scalar(.init(text, written: written, isQuoted: isQuoted)),
                position: position,
                path: path
            )
        } catch {
            let content = ConfigNode.Content.unexpanded(written: written, problem: error.message)
            return ConfigNode(content, position: position, path: path)
        }
    }

    /// The core schema's tags change nothing here, because fields say what their values are. Any other tag asks for
    /// something that would not happen.
    private mutating func check(tag: Tag, position: SourcePosition, path: ConfigPath) {
        let core = ["str", "int", "float", "bool", "null", "seq", "map"].map { "tag:yaml.org,2002:\($0)" }
        guard !(core + ["", "!"]).contains(tag.rawValue) else { return }
        report("the tag \(tag.rawValue) is not supported; write the value without it", at: position, path: path)
    }

    /// Counts values against the limit; false once it is passed, which is reported once.
    private mutating func count(_ values: Int, at position: SourcePosition) -> Bool {
        let wasWithin = valueCount <= Self.valueLimit
        valueCount += values
        guard valueCount > Self.valueLimit else { return true }
        if wasWithin {
            report("the file holds more than \(Self.valueLimit) values, aliases expanded", at: position)
        }
        return false
    }
}

// MARK: - Aliases

extension YAMLReader {
    /// A private-use character that the text does not contain (6,400 of them exist, and real files hold none).
    private static func unusedScalar(in text: String) -> Unicode.Scalar {
        let used = Set(text.unicodeScalars.filter { (0xE000...0xE7FF).contains($0.value) })
        let free = (0xE000...0xE7FF).lazy.compactMap { Unicode.Scalar(UInt32($0)) }.first { !used.contains($0) }
        return free ?? "\u{E000}"
    }

    /// Overwrites the `*` of everything that could be an alias. What turns out to be text is restored by `unmasked`.
    private func maskingAliases(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "*")) else { return text }
        let marker = Array(String(aliasMarker).utf8)
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count + 256)
        for (index, byte) in bytes.enumerated() {
            if byte == UInt8(ascii: "*"), index + 1 < bytes.count, Self.isAnchorByte(bytes[index + 1]) {
                result += marker
            } else {
                result.append(byte)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    private func unmasked(_ text: String) -> String {
        guard text.unicodeScalars.contains(aliasMarker) else { return text }
        var result = ""
        result.unicodeScalars += text.unicodeScalars.map { $0 == aliasMarker ? "*" : $0 }
        return result
    }

    /// The name after the `*`, if this scalar is an alias.
    private func alias(in scalar: Node.Scalar) -> String? {
        guard scalar.style == .plain, scalar.string.unicodeScalars.first == aliasMarker else { return nil }
        return unmasked(String(scalar.string.unicodeScalars.dropFirst()))
    }

    private mutating func expansion(
        of alias: String,
        position: SourcePosition,
        path: ConfigPath,
        level: Int
    ) -> ConfigNode {
        let unreadable = ConfigNode(.unreadable, position: position, path: path)
        guard let target = anchors[alias] else {
            let isName = alias.utf8.allSatisfy(Self.isAnchorByte)
            report(
                isName
                    ? "the alias *\(alias) has no anchor &\(alias) before it"
                    : "an unquoted text may not start with \"*\"; quote it",
                at: position,
                path: path
            )
            return unreadable
        }
        guard count(target.size, at: position) else { return unreadable }
        guard level + target.depth - 1 <= Self.depthLimit else {
            report("is nested deeper than \(Self.depthLimit) levels", at: position, path: path)
            return unreadable
        }
        return target.rebased(to: path)
    }

    /// libyaml's anchor names: ASCII letters, digits, `_` and `-`.
    private static func isAnchorByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}

// MARK: - Repeated keys

extension YAMLReader {
    /// The text with the second occurrence of one of `keys` overwritten by a marker of the same width; nil when it
    /// cannot be found, as in a mapping on one line.
    ///
    /// `mark` is the first occurrence of one of the keys. In a block mapping, and in JSON with a member per line, the
    /// other occurrence stands in the same column of a later line, with only deeper lines between.
    private mutating func maskingRepetition(of keys: [String], from mark: Mark, in text: String, index: Int) -> String?
    {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { Array($0.unicodeScalars) }
        guard lines.indices.contains(mark.line - 1), let marker = Unicode.Scalar(UInt32(0xE800 + index)),
            !text.unicodeScalars.contains(marker)
        else { return nil }
        let column = mark.column - 1
        guard let (key, _) = Self.key(in: lines[mark.line - 1], at: column), keys.contains(key) else { return nil }
        for line in mark.line..<lines.count {
            guard let indent = lines[line].firstIndex(where: { $0 != " " && $0 != "\r" }), lines[line][indent] != "#"
            else {
                continue
            }
            guard indent >= column else { return nil }
            guard indent == column, let (other, range) = Self.key(in: lines[line], at: column), other == key else {
                continue
            }
            repeatedKeys[marker] = RepeatedKey(key: unmasked(key), firstLine: mark.line)
            for position in range {
                lines[line][position] = marker
            }
            var result = ""
            result.unicodeScalars += lines.joined(separator: ["\n"])
            return result
        }
        return nil
    }

    /// The key that starts at `column` and the scalars it covers, quotes included.
    private static func key(in line: [Unicode.Scalar], at column: Int) -> (key: String, range: Range<Int>)? {
        guard line.indices.contains(column) else { return nil }
        var end = column
        let quote = line[column]
        if quote == "\"" || quote == "'" {
            guard let close = line[(column + 1)...].firstIndex(of: quote) else { return nil }
            end = close + 1
        } else {
            while end < line.count,
                !(line[end] == ":" && (end + 1 == line.count || " \t\r".unicodeScalars.contains(line[end + 1])))
            {
                end += 1
            }
            while end > column, line[end - 1] == " " {
                end -= 1
            }
        }
        guard let colon = line[end...].firstIndex(where: { $0 != " " }), line[colon] == ":" else { return nil }
        var key = ""
        key.unicodeScalars += quote == "\"" || quote == "'" ? line[(column + 1)..<(end - 1)] : line[column..<end]
        return (key, column..<end)
    }

    private mutating func report(repeated keys: [String], at mark: Mark) {
        let names = keys.sorted().map { "\"\(unmasked($0).shortened)\"" }
        report("a mapping has the same key twice: \(names.shortList)", at: position(of: mark))
    }
}

// MARK: - Diagnostics

extension YAMLReader {
    private func position(of mark: Mark?) -> SourcePosition {
        SourcePosition(.file(name), line: mark?.line ?? 1, column: mark?.column ?? 1)
    }

    private mutating func report(_ message: String, at position: SourcePosition, path: ConfigPath = .root) {
        diagnostics.append(Diagnostic(.error, message, at: position, path: path))
    }

    private mutating func report(_ message: String, at node: ConfigNode) {
        report(message, at: node.position, path: node.path)
    }

    private mutating func report(_ error: any Error, in text: String) {
        switch error {
        case YamlError.scanner(let context, let problem, let mark, _),
            YamlError.parser(let context, let problem, let mark, _):
            report(sentence(for: problem, context: context, at: mark, in: text), at: position(of: mark))
        case YamlError.composer(_, let problem, let mark, _):
            let isSecondDocument = problem.hasPrefix("but found another document")
            let message =
                isSecondDocument ? "a second YAML document starts here; keep one document in a file" : problem
            report(message, at: position(of: mark))
        case YamlError.reader(let problem, let offset, let value, _):
            let before = text.prefix(offset ?? 0)
            let line = 1 + before.count { $0.isNewline }
            let column =
                1 + (before.lastIndex { $0.isNewline }.map { before[$0...].dropFirst() } ?? before).unicodeScalars.count
            let code =
                "U+" + String(repeating: "0", count: max(0, 4 - String(value, radix: 16).count))
                + String(value, radix: 16, uppercase: true)
            report(
                "\(problem) (the character \(code))",
                at: SourcePosition(.file(name), line: line, column: column)
            )
        default:
            report("the file is not valid YAML: \(error)", at: SourcePosition(.file(name)))
        }
    }

    /// What libyaml found, with the way out where its own words do not say it.
    private func sentence(for problem: String, context: YamlError.Context?, at mark: Mark, in text: String) -> String {
        if problem.hasPrefix("Maximum nesting level") {
            return "values are nested deeper than \(Self.depthLimit) levels"
        }
        let lines = text.split(separator: "\n", maxSplits: mark.line, omittingEmptySubsequences: false)
        let line = lines.indices.contains(mark.line - 1) ? Array(lines[mark.line - 1].unicodeScalars) : []
        let character = line.indices.contains(mark.column - 1) ? line[mark.column - 1] : nil
        if problem.hasPrefix("found character that cannot start any token"), character == "\t" {
            return "a tab stands where YAML allows only spaces; indent with spaces"
        }
        var sentence = "this is not valid YAML: \(problem)"
        if let context {
            sentence += " \(context.text)"
            if context.mark.line != mark.line { sentence += " that starts on line \(context.mark.line)" }
        }
        switch problem {
        case "mapping values are not allowed in this context":
            sentence += "; check the indentation, and quote a text that contains \": \""
        case "did not find expected key", "could not find expected ':'":
            sentence += "; check the indentation and the quotes of the lines before"
        case "found unexpected end of stream", "did not find expected ',' or ']'", "did not find expected ',' or '}'":
            sentence += "; a quote or bracket is not closed"
        case "found character that cannot start any token":
            sentence += "; quote a text that starts with \(character.map { "\"\($0)\"" } ?? "this character")"
        default: break
        }
        return sentence
    }
}
