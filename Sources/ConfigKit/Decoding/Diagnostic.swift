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

    package var hasErrors: Bool {
        contains { $0.severity == .error }
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
