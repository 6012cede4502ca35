/// How settings are read.
package struct DecodingOptions: Sendable {
    /// Settings without an effect are errors, not warnings.
    package var isStrict: Bool
    /// What a key is that no field has. Files written for a later upstream version load with `.warning`.
    package var unknownKeys: Diagnostic.Severity
    /// Where secrets and `${NAME}` are looked up.
    package var environment: ProcessEnvironment
    /// Whether secrets are read from the files that they name. False takes the file's name for the secret.
    package var readsFiles = true

    package init(
        isStrict: Bool = false,
        unknownKeys: Diagnostic.Severity = .error,
        environment: ProcessEnvironment = .process
    ) {
        self.isStrict = isStrict
        self.unknownKeys = unknownKeys
        self.environment = environment
    }

    /// The same for a document of somebody who may see neither this process's environment nor its files: mistakes would
    /// tell what is in them.
    package var unprivileged: DecodingOptions {
        var options = self
        options.environment = .unread
        options.readsFiles = false
        return options
    }
}

/// Carries what decoding needs and collects what it finds; handed from value to value.
package struct ConfigDecoder {
    package let options: DecodingOptions
    package private(set) var diagnostics: [Diagnostic]
    /// The field whose value is being read.
    package private(set) var traits = FieldTraits()
    /// Where each value was written, by path. Sections have none of their own; their values do.
    var origins: [ConfigPath: SourcePosition] = [:]
    /// Files that values were read from, in the order met.
    var files: [String] = []

    /// More mistakes than anyone reads at once; the rest is counted.
    static let diagnosticLimit = 500
    private var suppressedCount = 0

    init(options: DecodingOptions, diagnostics: [Diagnostic] = []) {
        self.options = options
        self.diagnostics = diagnostics
    }

    /// Reads a value of another type from `node`; for custom `ConfigValue` types.
    package mutating func decode<Value: ConfigValue>(_ type: Value.Type, from node: ConfigNode) -> Value? {
        Value.decode(node, with: &self)
    }

    /// Runs `body` for the value of a field. What stands inside a secret is secret.
    mutating func within(_ traits: FieldTraits, _ body: (inout ConfigDecoder) -> Void) {
        let outer = self.traits
        self.traits = traits
        self.traits.isSecret = traits.isSecret || outer.isSecret
        body(&self)
        self.traits = outer
    }

    mutating func add(_ more: [Diagnostic]) {
        let room = max(0, Self.diagnosticLimit - diagnostics.count)
        diagnostics += more.prefix(room)
        suppressedCount += max(0, more.count - room)
    }

    /// Everything found, sorted, with a last line for what did not fit.
    var allDiagnostics: [Diagnostic] {
        let sorted = diagnostics.sortedByPosition()
        guard suppressedCount > 0 else { return sorted }
        return sorted + [Diagnostic(.error, "\(suppressedCount) more mistakes are not shown", at: .unset)]
    }
}

// MARK: - Reporting

extension ConfigDecoder {
    /// Reports a mistake at `node`. A node that could not be read or expanded has its own mistake, and only that.
    package mutating func error(_ message: String, at node: ConfigNode) {
        var message = message
        switch node.content {
        case .unreadable: return
        case .unexpanded(_, let problem): message = problem
        case .null, .scalar, .list, .mapping: break
        }
        add([Diagnostic(.error, message, at: node.position, path: node.path)])
    }

    package mutating func warning(_ message: String, at node: ConfigNode) {
        add([Diagnostic(.warning, message, at: node.position, path: node.path)])
    }

    /// Reports that a setting is accepted without an effect: a warning, or an error when `options.isStrict`.
    package mutating func notSupported(_ instead: String, at node: ConfigNode) {
        add([
            Diagnostic(
                options.isStrict ? .error : .warning,
                "is not supported: \(instead)",
                at: node.position,
                path: node.path
            )
        ])
    }

    /// Reports that `node` is not what was expected, without printing a secret.
    package mutating func mismatch(_ node: ConfigNode, expected: String, reason: String? = nil) {
        error("expected \(expected), found \(describe(node))" + (reason.map { ": \($0)" } ?? ""), at: node)
    }

    /// Reports that the text at `node` is not one of the known words.
    package mutating func unknown(_ node: ConfigNode, among words: [String]) {
        guard let text = node.text, !isHidden(node) else {
            mismatch(node, expected: "one of \(words.shortList)")
            return
        }
        error(
            "\"\(text.shortened)\" is not one of \(words.shortList)\(Suggestion.hint(for: text, among: words))",
            at: node
        )
    }

    mutating func broken(rule: String, at node: ConfigNode) {
        error(node.text == nil ? rule : "\(rule), found \(describe(node))", at: node)
    }

    mutating func error(_ message: String, atKeyOf entry: ConfigNode.Entry) {
        add([Diagnostic(.error, message, at: entry.keyPosition, path: entry.value.path)])
    }

    mutating func warning(_ message: String, atKeyOf entry: ConfigNode.Entry) {
        add([Diagnostic(.warning, message, at: entry.keyPosition, path: entry.value.path)])
    }

    mutating func notSupported(_ instead: String, atKeyOf entry: ConfigNode.Entry) {
        notSupported(instead, at: ConfigNode(.null, position: entry.keyPosition, path: entry.value.path))
    }

    mutating func unknownKey(_ entry: ConfigNode.Entry, allowed: [String]) {
        var message = "is not a known key" + Suggestion.hint(for: entry.key, among: allowed)
        // Twelve keys still read as one line.
        if allowed.count <= 12 {
            message += (message.hasSuffix("?") ? " Known here: " : "; known here: ") + allowed.joined(separator: ", ")
        }
        add([Diagnostic(options.unknownKeys, message, at: entry.keyPosition, path: entry.value.path)])
    }

    /// What stands at `node`, for "found …". Secrets and values from the environment are not shown.
    package func describe(_ node: ConfigNode) -> String {
        switch node.content {
        case .null, .unexpanded, .unreadable: return "nothing"
        case .list: return "a list"
        case .mapping: return "a mapping"
        case .scalar(let scalar):
            guard !traits.isSecret else { return "a value that is not shown" }
            guard !scalar.isExpanded else {
                return "what the environment gives for \"\(scalar.written.shortened)\""
            }
            switch node.plainValue {
            case .integer, .number: return "the number \(scalar.text.shortened)"
            case .boolean: return scalar.text
            case .text, nil: return "the text \"\(scalar.text.withoutCredentials.shortened)\""
            }
        }
    }

    private func isHidden(_ node: ConfigNode) -> Bool {
        guard case .scalar(let scalar) = node.content else { return true }
        return traits.isSecret || scalar.isExpanded
    }
}

extension [String] {
    /// `a, b, c`, or the first twelve and how many more.
    var shortList: String {
        let shown = prefix(12).joined(separator: ", ")
        return count > 12 ? "\(shown) and \(count - 12) more" : shown
    }
}

extension String {
    /// The text on one line and at most 60 characters of it.
    var shortened: String {
        let head = String(prefix(61)).replacing("\n", with: " ").replacing("\t", with: " ")
        return head.count > 60 ? head.prefix(57) + "..." : head
    }

    private func replacing(_ character: Character, with other: Character) -> String {
        contains(character) ? String(map { $0 == character ? other : $0 }) : self
    }

    /// A URL's `user:password@` as `***@`.
    var withoutCredentials: String {
        // No URL is longer; more of the text is not shown anyway.
        let head = String(prefix(2048))
        guard let scheme = head.firstRange(of: "://"),
            let at = head[scheme.upperBound...].lastIndex(of: "@")
        else { return self }
        return head[..<scheme.upperBound] + "***" + head[at...]
    }
}

// MARK: - Tagged sections

extension ConfigDecoder {
    /// The word under `key` that says which section `node` is, and the section without it; nil after reporting that
    /// there is none of `words`.
    package mutating func tag(
        of node: ConfigNode,
        key: String,
        among words: [String]
    ) -> (word: String, rest: ConfigNode)? {
        guard let entries = node.entries else {
            mismatch(node, expected: "a mapping")
            return nil
        }
        guard let value = node[key], !value.isNull else {
            error(
                "is required but missing",
                at: ConfigNode(.null, position: node.position, path: node.path.appending(.key(key)))
            )
            return nil
        }
        guard let word = value.text, words.contains(word) else {
            unknown(value, among: words)
            return nil
        }
        let rest = ConfigNode(.mapping(entries.filter { $0.key != key }), position: node.position, path: node.path)
        return (word, rest)
    }
}
