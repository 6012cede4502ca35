package import ConfigKit

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Looks for words and phrases in the user's text.
///
/// A keyword of ASCII letters and digits must stand between word boundaries, so that `java` is not found in `javascript`.
/// One in a script without spaces between words (Chinese, Japanese) is found anywhere: upstream's ASCII word boundary
/// never matches there.
package struct KeywordSignal: Sendable {
    package struct Settings: Configurable {
        package enum Operator: String, CaseIterable, ConfigValue {
            case and = "AND"
            case or = "OR"
            case nor = "NOR"
        }

        package var name = ""
        package var `operator` = Operator.or
        package var keywords: [String] = []
        package var caseSensitive = false

        package init() {}

        package static let schema = Schema<Self>("keyword signal", "Words and phrases in the user's text.") {
            Field("name", \.name, "The name that rules use.", example: "code_keywords").required().notEmpty()
                .headerSafe()
            Field("operator", \.operator, "Whether all, any or none of the keywords must be there.")
            Field("keywords", \.keywords, "The words and phrases.", example: "[python, \"stack trace\"]")
                .required().count(1...)
                .check("must not hold an empty keyword") { !$0.contains(where: \.isEmpty) }
            Field("case_sensitive", \.caseSensitive, "Whether capitals must be as written.")
        }
    }

    private struct Pattern: Sendable {
        let keyword: String
        let bytes: [UInt8]
        let needsBoundaryBefore: Bool
        let needsBoundaryAfter: Bool
    }

    package let settings: Settings
    private let patterns: [Pattern]

    package init(_ settings: Settings) {
        self.settings = settings
        patterns = settings.keywords.map { keyword in
            let bytes = Array((settings.caseSensitive ? keyword : keyword.lowercased()).utf8)
            return Pattern(
                keyword: keyword,
                bytes: bytes,
                needsBoundaryBefore: bytes.first.map(Self.isWordByte) ?? false,
                needsBoundaryAfter: bytes.last.map(Self.isWordByte) ?? false
            )
        }
    }

    /// Whether the signal is there, with the keywords that were found.
    ///
    /// - Complexity: O(text bytes × keywords), with `memchr` between candidates; the text is bounded by `Prompt`.
    package func evaluate(_ prompt: Prompt) -> SignalMatch? {
        let text = settings.caseSensitive ? prompt.userText : prompt.lowercasedUserText
        let found = text.withUnsafeBytes { text in
            patterns.filter { Self.contains($0, in: text) }.map(\.keyword)
        }
        let matches =
            switch settings.operator {
            case .and: found.count == patterns.count
            case .or: !found.isEmpty
            case .nor: found.isEmpty
            }
        guard matches else { return nil }
        // Upstream's confidence of a keyword rule: half for matching, half by the share of keywords found.
        let score = 0.5 + 0.5 * Double(found.count) / Double(patterns.count)
        return SignalMatch(name: settings.name, score: score, keywords: found)
    }

    private static func contains(_ pattern: Pattern, in text: UnsafeRawBufferPointer) -> Bool {
        guard let base = text.baseAddress, let first = pattern.bytes.first else { return false }
        let count = pattern.bytes.count
        var position = 0
        while position + count <= text.count {
            guard let hit = memchr(base + position, Int32(first), text.count - position - count + 1) else {
                return false
            }
            position = UnsafeRawPointer(hit) - base
            if memcmp(base + position, pattern.bytes, count) == 0,
                !pattern.needsBoundaryBefore || position == 0 || !isWordByte(text[position - 1]),
                !pattern.needsBoundaryAfter || position + count == text.count || !isWordByte(text[position + count])
            {
                return true
            }
            position += 1
        }
        return false
    }

    /// ASCII letters, digits and underscore: RE2's `\w`, whose `\b` upstream's keyword rules use.
    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

/// A signal that was found.
package struct SignalMatch: Sendable, Equatable {
    package let name: String
    /// 0…1.
    package let score: Double
    /// What was found, as the configuration spells it: our words, not the prompt's.
    package let keywords: [String]

    package init(name: String, score: Double, keywords: [String]) {
        self.name = name
        self.score = score
        self.keywords = keywords
    }
}
