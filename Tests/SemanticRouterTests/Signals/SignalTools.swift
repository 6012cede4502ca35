import ConfigKit
import Instruments
import NIOCore
import OpenAIWire
import SemanticRouter
import Testing

/// The rules of `routing.signals`, read from YAML and made ready as in a policy.
struct SignalRules {
    let table: SignalTable

    init(_ signals: String) throws {
        let config = try SemanticConfig.parse(SignalRules.policy(signals)).get()
        table = SemanticRouter(config, metrics: SemanticMetrics()).profiles[0].table
    }

    func reading(_ type: SignalType, _ name: String, _ prompt: Prompt) throws -> SignalReading {
        let position = try #require(table.position(of: SignalID(type, name)))
        return table.evaluate(prompt)[position]
    }

    func reading(_ type: SignalType, _ name: String, _ text: String) throws -> SignalReading {
        try reading(type, name, try .asking(text))
    }

    /// Names of the signals that are present, in the order of the file.
    func present(_ prompt: Prompt) -> [String] {
        let readings = table.evaluate(prompt).readings
        return zip(table.ids, readings).filter(\.1.isPresent).map(\.0.name)
    }

    func present(_ text: String) throws -> [String] { present(try .asking(text)) }

    /// What is wrong with the rules: `2: keywords[0].name: is required but missing`, the line counted from the first of
    /// `signals`.
    static func mistakes(_ signals: String) -> [String] {
        SemanticConfig.parse(policy(signals)).diagnostics.map { diagnostic in
            let path = diagnostic.path.description.replacingPrefix("routing.signals.", with: "")
            return "\(diagnostic.position.line - 3): \(path): \(diagnostic.message)"
        }
    }

    private static func policy(_ signals: String) -> String {
        let lines = signals.split(separator: "\n", omittingEmptySubsequences: false).map { "    \($0)" }
        return "version: v0.3\nrouting:\n  signals:\n" + lines.joined(separator: "\n") + "\n"
    }
}

extension String {
    fileprivate func replacingPrefix(_ prefix: String, with other: String) -> String {
        hasPrefix(prefix) ? other + dropFirst(prefix.count) : self
    }

    /// As a JSON string, which YAML reads too.
    var json: String {
        var buffer = ByteBuffer()
        buffer.writeJSONString(self)
        return String(buffer: buffer)
    }
}

extension [String] {
    var json: String { "[" + map(\.json).joined(separator: ", ") + "]" }
}

extension Prompt {
    /// One question of a user's.
    static func asking(
        _ text: String,
        identity: Identity = .anonymous,
        patternSteps: Int = standardPatternSteps
    ) throws -> Prompt {
        let request = try textRequest(#"{"messages": [{"role": "user", "content": \#(text.json)}]}"#)
        return try Prompt(request, identity: identity, patternSteps: patternSteps)
    }

    /// A request's body.
    init(body: String, _ endpoint: TextEndpoint = .chatCompletions) throws {
        try self.init(try textRequest(body, endpoint))
    }

    var string: String { String(decoding: text, as: UTF8.self) }
}

extension SignalKind {
    /// The reading of a kind's only rule.
    static func reading(_ rule: Settings, _ prompt: Prompt) -> SignalReading { Self([rule]).evaluate(prompt)[0] }
}
