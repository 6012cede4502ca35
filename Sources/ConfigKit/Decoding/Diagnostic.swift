/// One mistake in the configuration, or one thing the user should know about it.
package struct Diagnostic: Hashable, Sendable {
    package enum Severity: String, Sendable {
        /// The configuration cannot be used.
        case error
        /// The configuration can be used, but not everything in it does what it seems to say.
        case warning
    }

    package let severity: Severity
    package let position: SourcePosition
    package let path: ConfigPath
    /// What is wrong and the way out, in one line. Never holds a secret.
    package let message: String

    package init(
        _ severity: Severity,
        _ message: String,
        at position: SourcePosition,
        path: ConfigPath = .root
    ) {
        self.severity = severity
        self.position = position
        self.path = path
        self.message = message
    }
}

extension Diagnostic: CustomStringConvertible {
    /// `semantic.yaml:14:3: routing.decisions[2].model: "gpt5" is not one of …`.
    ///
    /// A flag or a variable already names the setting, so its path is left out.
    package var description: String {
        var parts: [String] = []
        switch position.source {
        case .file:
            parts.append(position.description)
            if severity == .warning { parts.append("warning") }
            parts.append(path.description)
        case .flag, .environment:
            parts.append(position.description)
            if severity == .warning { parts.append("warning") }
        case .unset:
            if severity == .warning { parts.append("warning") }
            parts.append(path.description)
        }
        parts.append(message)
        return parts.filter { !$0.isEmpty }.joined(separator: ": ")
    }
}

extension [Diagnostic] {
    /// By position, and for one position in the order found. The same input always gives the same order.
    package func sortedByPosition() -> [Diagnostic] {
        enumerated()
            .sorted { ($0.element.position, $0.offset) < ($1.element.position, $1.offset) }
            .map(\.element)
    }

    /// One line each, but for what is said of several places of a file: that is said once, with the other lines' numbers.
    package var condensedLines: [String] {
        var lines: [Diagnostic.Kind: [Int]] = [:]
        for diagnostic in self { lines[diagnostic.kind, default: []].append(diagnostic.position.line) }
        var said: Set<Diagnostic.Kind> = []
        return compactMap { diagnostic in
            let kind = diagnostic.kind
            guard diagnostic.severity == .warning, !kind.source.isEmpty else { return diagnostic.description }
            guard said.insert(kind).inserted else { return nil }
            let others = (lines[kind] ?? []).dropFirst()
            guard !others.isEmpty else { return diagnostic.description }
            let word = others.count == 1 ? "line" : "lines"
            return "\(diagnostic) (also in \(word) \(others.map(String.init).joined(separator: ", ")))"
        }
    }

    package var hasErrors: Bool {
        contains { $0.severity == .error }
    }
}

extension Diagnostic {
    /// What diagnostics have in common that say the same of several places.
    fileprivate struct Kind: Hashable {
        let severity: Severity
        let message: String
        /// The last key of the path.
        let key: String
        /// The file's name; empty where there is none.
        let source: String
    }

    fileprivate var kind: Kind {
        let key = if case .key(let key, _) = path { key } else { "" }
        let source = if case .file(let name) = position.source { name } else { "" }
        return Kind(severity: severity, message: message, key: key, source: source)
    }
}

/// Every mistake of a configuration that cannot be used, in the order of the file.
package struct ConfigError: Error, Sendable, CustomStringConvertible {
    package let diagnostics: [Diagnostic]

    package init(_ diagnostics: [Diagnostic]) {
        self.diagnostics = diagnostics
    }

    /// One line per mistake.
    package var description: String {
        diagnostics.map(\.description).joined(separator: "\n")
    }
}
