/// Where `Configurable.validate` says what is wrong, in the value's own terms; lines and paths are filled in here.
package struct ValidationReport {
    private let node: ConfigNode
    private let decoder: ConfigDecoder
    private(set) var diagnostics: [Diagnostic] = []

    init(node: ConfigNode, decoder: ConfigDecoder) {
        self.node = node
        self.decoder = decoder
    }

    /// Reports that the value at `steps`, seen from the value under validation, is wrong:
    /// `report.error("must not be above high", at: "limits", 2, "low")`.
    ///
    /// A place that already has an error gets no second one.
    package mutating func error(_ message: String, at steps: ConfigPath.Step...) {
        add(.error, message, at: steps)
    }

    /// As `error(_:at:)`, for a place that is known only at run time.
    package mutating func error(_ message: String, atPath steps: [ConfigPath.Step]) {
        add(.error, message, at: steps)
    }

    package mutating func warning(_ message: String, at steps: ConfigPath.Step...) {
        add(.warning, message, at: steps)
    }

    /// Reports that the value at `steps` is accepted without an effect: an error when decoding is strict.
    package mutating func notSupported(_ instead: String, at steps: ConfigPath.Step...) {
        add(decoder.options.isStrict ? .error : .warning, "is not supported: \(instead)", at: steps)
    }

    /// Reports that `name` at `steps` is none of the names that exist, with the closest of them.
    package mutating func unknown(_ name: String, among names: [String], at steps: ConfigPath.Step...) {
        unknown(name, among: names, atPath: steps)
    }

    /// As `unknown(_:among:at:)`, for a place that is known only at run time.
    package mutating func unknown(_ name: String, among names: [String], atPath steps: [ConfigPath.Step]) {
        let known = names.isEmpty ? "known; none is declared" : "one of \(names.shortList)"
        add(.error, "\"\(name.shortened)\" is not \(known)\(Suggestion.hint(for: name, among: names))", at: steps)
    }

    /// True when nothing at or under `steps` has an error, so that other values may be judged by it.
    package func isSound(_ steps: ConfigPath.Step...) -> Bool {
        !hasError(at: steps)
    }

    /// True when the user wrote the value at `steps`.
    package func isWritten(_ steps: ConfigPath.Step...) -> Bool {
        node.nearest(to: steps).path.steps.count == node.path.steps.count + steps.count
    }

    private mutating func add(_ severity: Diagnostic.Severity, _ message: String, at steps: [ConfigPath.Step]) {
        guard severity == .warning || !hasError(at: steps) else { return }
        let place = node.nearest(to: steps)
        diagnostics.append(
            Diagnostic(severity, message, at: place.position, path: node.path.appending(steps))
        )
    }

    private func hasError(at steps: [ConfigPath.Step]) -> Bool {
        let wanted = node.path.steps + steps
        return decoder.diagnostics.contains { $0.severity == .error && $0.path.steps.starts(with: wanted) }
    }
}
