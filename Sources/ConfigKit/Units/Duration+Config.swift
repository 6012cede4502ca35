/// Units of time as settings spell them.
package enum TimeUnit: String, CaseIterable, Sendable {
    case nanoseconds = "ns"
    case microseconds = "us"
    case milliseconds = "ms"
    case seconds = "s"
    case minutes = "m"
    case hours = "h"
    case days = "d"

    var nanoseconds: Int64 {
        switch self {
        case .nanoseconds: 1
        case .microseconds: 1_000
        case .milliseconds: 1_000_000
        case .seconds: 1_000_000_000
        case .minutes: 60_000_000_000
        case .hours: 3_600_000_000_000
        case .days: 86_400_000_000_000
        }
    }
}

/// `250ms`, `10s`, `1.5h`, `1h30m`, or a bare number of the field's unit. Never negative; at most 292 years, which is
/// what 64 bits of nanoseconds hold.
extension Duration: ScalarConfigValue {
    package static var kind: ConfigType.ScalarKind {
        ConfigType.ScalarKind(
            "duration",
            expected: "a duration such as 250ms, 10s, 5m or 2h",
            jsonTypes: ["string", "number"]
        )
    }

    package static func parse(_ text: String, traits: FieldTraits) throws(ScalarMistake) -> Duration {
        guard !text.hasPrefix("-") else { throw ScalarMistake("it cannot be negative") }
        if let number = NumberText.number(text) {
            return .nanoseconds(try nanoseconds(number, text: text, unit: traits.unit))
        }
        var rest = text[...]
        var total: Int64 = 0
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest.dropFirst(number.count)
            let letters = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(letters.count)
            guard let value = NumberText.number(String(number)), let unit = unit(named: letters) else {
                throw ScalarMistake()
            }
            let (sum, overflows) = total.addingReportingOverflow(
                try nanoseconds(value, text: String(number), unit: unit)
            )
            guard !overflows else { throw ScalarMistake("it is longer than 292 years") }
            total = sum
        }
        guard !text.isEmpty else { throw ScalarMistake() }
        return .nanoseconds(total)
    }

    /// The shortest exact form in falling units: `1h30m`, `250ms`, `0s`.
    package var configText: String {
        let (seconds, attoseconds) = components
        var rest = Int128(seconds) * 1_000_000_000 + Int128(attoseconds / 1_000_000_000)
        guard rest > 0 else { return "0s" }
        var text = ""
        for unit in TimeUnit.allCases.reversed() where unit != .days {
            let count = rest / Int128(unit.nanoseconds)
            rest %= Int128(unit.nanoseconds)
            if count > 0 { text += "\(count)\(unit.rawValue)" }
        }
        return text
    }

    private static func unit(named letters: Substring) -> TimeUnit? {
        // U+00B5 and U+03BC are both typed for micro.
        letters == "\u{B5}s" || letters == "\u{3BC}s" ? .microseconds : TimeUnit(rawValue: String(letters))
    }

    /// Exact for whole numbers, to the nanosecond for others.
    private static func nanoseconds(_ number: Double, text: String, unit: TimeUnit) throws(ScalarMistake) -> Int64 {
        let tooLong = ScalarMistake("it is longer than 292 years")
        if let whole = NumberText.integer(text) {
            let (product, overflows) = Int64(whole).multipliedReportingOverflow(by: unit.nanoseconds)
            guard !overflows else { throw tooLong }
            return product
        }
        guard let value = Int64(exactly: (number * Double(unit.nanoseconds)).rounded()) else { throw tooLong }
        return value
    }
}
