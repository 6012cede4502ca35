package import ConfigKit

/// Looks at how long the request is, in tokens.
package struct ContextSignals: SignalKind {
    package struct Settings: SignalSettings {
        package var name = ""
        package var minTokens: TokenCount?
        package var maxTokens: TokenCount?
        package var description = ""

        package init() {}

        package var signalName: String { name }

        package static let schema = Schema<Self>("context signal", "How long the request is.") {
            Field("name", \.name, "The name that rules use.", example: "long_context").required().notEmpty()
                .headerSafe()
            Field("min_tokens", \.minTokens, "The fewest tokens, inclusive.", example: "32K")
            Field("max_tokens", \.maxTokens, "The most tokens, inclusive. Default: no limit.", example: "256K")
            Field("description", \.description, "For people.")
        }

        package func validate(_ report: inout ValidationReport) {
            if minTokens == nil, maxTokens == nil, report.isSound("min_tokens"), report.isSound("max_tokens") {
                report.error("needs `min_tokens` or `max_tokens`", atPath: [])
            }
            if let minTokens, let maxTokens, minTokens.count > maxTokens.count {
                report.error("must not be below min_tokens", at: "max_tokens")
            }
        }
    }

    package static let type = SignalType.context
    package static let summary = "How long the request is, in tokens."

    package let names: [String]
    private let bands: [ClosedRange<Int>]

    package init(_ rules: [Settings]) {
        names = rules.map(\.name)
        bands = rules.map { ($0.minTokens?.count ?? 0)...($0.maxTokens?.count ?? .max) }
    }

    package func evaluate(_ prompt: Prompt) -> [SignalReading] {
        bands.map { band in
            let isPresent = band.contains(prompt.tokens)
            return SignalReading(
                state: isPresent ? .present : .absent,
                confidence: isPresent ? 1 : 0,
                value: Double(prompt.tokens)
            )
        }
    }
}

/// A number of tokens: `1500`, `32K`, `2.5K`, `1M`. Steps are 1,000, as in upstream's files.
package struct TokenCount: Hashable, Sendable, ScalarConfigValue {
    package let count: Int

    package static let kind = ConfigType.ScalarKind(
        "tokens",
        expected: "a number of tokens such as 1500, 32K or 1M",
        jsonTypes: ["string", "integer"]
    )

    package static func parse(_ text: String, traits: FieldTraits) throws(ScalarMistake) -> TokenCount {
        let unit: Double =
            switch text.last {
            case "k", "K": 1_000
            case "m", "M": 1_000_000
            default: 1
            }
        let digits = unit == 1 ? text[...] : text.dropLast()
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) || ".eE+".utf8.contains($0) }),
            let number = Double(digits), number * unit < 1e15
        else { throw ScalarMistake() }
        return TokenCount(count: Int(number * unit))
    }

    package var configText: String { String(count) }
}
