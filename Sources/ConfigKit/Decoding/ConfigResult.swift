/// Settings together with everything that was found while reading them.
package struct ConfigResult<Value: Configurable>: Sendable {
    /// The settings; nil when there is an error.
    package let value: Value?
    /// Sorted by position.
    package let diagnostics: [Diagnostic]
    /// Files that values were read from, such as secrets: a watcher may want to watch them too.
    package let files: [String]
    private let origins: [ConfigPath: SourcePosition]

    init(_ value: Value?, decoder: ConfigDecoder) {
        let diagnostics = decoder.allDiagnostics
        self.init(value, diagnostics: diagnostics, files: decoder.files, origins: decoder.origins)
    }

    init(_ value: Value?, diagnostics: [Diagnostic], files: [String], origins: [ConfigPath: SourcePosition]) {
        self.value = diagnostics.hasErrors ? nil : value
        self.diagnostics = diagnostics
        self.files = files
        self.origins = origins
    }

    /// The settings, or every diagnostic as an error.
    package func get() throws(ConfigError) -> Value {
        guard let value else { throw ConfigError(diagnostics) }
        return value
    }

    package var warnings: [Diagnostic] {
        diagnostics.filter { $0.severity == .warning }
    }

    // MARK: - Origins

    /// Where the value at `steps` was written; `.unset` when it is a default.
    package func origin(of steps: ConfigPath.Step...) -> SourcePosition {
        origin(of: ConfigPath.root.appending(steps))
    }

    /// Where the setting stored at `keyPath` was written; `.unset` when it is a default.
    package func origin(of keyPath: PartialKeyPath<Value>) -> SourcePosition {
        guard let key = Value.schema.key(of: keyPath) else { return .unset }
        return origin(of: .key(key))
    }

    /// The origin of the value, or of the whole (a list, a map) that it is part of.
    private func origin(of path: ConfigPath) -> SourcePosition {
        var path = path
        while true {
            if let origin = origins[path] { return origin }
            switch path {
            case .root: return .unset
            case .key(_, in: let parent), .index(_, in: let parent): path = parent
            }
        }
    }

    // MARK: - Explanation

    /// One setting in force.
    package struct Explained: Hashable, Sendable, CustomStringConvertible {
        /// `providers.models[0].name`.
        package let path: String
        /// The value as YAML on one line; `<secret>` for a secret.
        package let text: String
        package let origin: SourcePosition

        /// `port = 8001 (--port)`.
        package var description: String { "\(path) = \(text) (\(origin))" }
    }

    /// Every setting in force with where it came from, in the schema's order; empty when there is an error.
    package func explained() -> [Explained] {
        guard let value else { return [] }
        var settings: [Explained] = []
        explain(value.configNode, into: &settings)
        return settings
    }

    private func explain(_ node: ConfigNode, into settings: inout [Explained]) {
        switch node.content {
        case .mapping(let entries) where !entries.isEmpty:
            entries.forEach { explain($0.value, into: &settings) }
        case .list(let elements) where elements.contains { $0.entries != nil }:
            elements.forEach { explain($0, into: &settings) }
        case .mapping, .list, .null, .scalar, .unexpanded, .unreadable:
            settings.append(
                Explained(path: node.path.description, text: node.flowText, origin: origin(of: node.path))
            )
        }
    }
}
