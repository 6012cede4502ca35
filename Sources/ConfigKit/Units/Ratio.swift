/// A number from 0 to 1: a share, a probability, a threshold.
package struct Ratio: Hashable, Comparable, Sendable {
    package let value: Double

    /// Nil outside 0…1.
    package init?(_ value: Double) {
        guard (0...1).contains(value) else { return nil }
        self.value = value
    }

    package static func < (left: Ratio, right: Ratio) -> Bool { left.value < right.value }
}

extension Ratio: ExpressibleByFloatLiteral {
    /// - Precondition: the literal lies in 0…1.
    package init(floatLiteral value: Double) {
        precondition((0...1).contains(value), "a ratio lies in 0…1")
        self.value = value
    }
}

extension Ratio: ScalarConfigValue {
    package static var kind: ConfigType.ScalarKind {
        ConfigType.ScalarKind(
            "ratio",
            expected: "a number from 0 to 1, or a percentage such as 70%",
            jsonTypes: ["number", "string"]
        )
    }

    package static func parse(_ text: String, traits: FieldTraits) throws(ScalarMistake) -> Ratio {
        let isPercentage = text.hasSuffix("%")
        guard let number = NumberText.number(isPercentage ? String(text.dropLast()) : text) else {
            throw ScalarMistake()
        }
        guard let ratio = Ratio(isPercentage ? number / 100 : number) else {
            throw ScalarMistake("it is out of range")
        }
        return ratio
    }

    package var configText: String { NumberText.text(value) }
}
