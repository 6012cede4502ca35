/// A number of bytes: `50MB` (10⁶), `64KiB` (2¹⁰), `4096`.
package struct ByteCount: Hashable, Comparable, Sendable {
    package let bytes: Int

    package init(_ bytes: Int) {
        self.bytes = bytes
    }

    package static func kibibytes(_ count: Int) -> ByteCount { ByteCount(count << 10) }
    package static func mebibytes(_ count: Int) -> ByteCount { ByteCount(count << 20) }
    package static func gibibytes(_ count: Int) -> ByteCount { ByteCount(count << 30) }

    package static func < (left: ByteCount, right: ByteCount) -> Bool { left.bytes < right.bytes }

    /// Largest first. The decimal and binary prefixes of IEC 80000-13.
    private static let units: [(name: String, bytes: Int)] = [
        ("TiB", 1 << 40), ("TB", 1_000_000_000_000), ("GiB", 1 << 30), ("GB", 1_000_000_000),
        ("MiB", 1 << 20), ("MB", 1_000_000), ("KiB", 1 << 10), ("kB", 1_000), ("B", 1),
    ]
}

extension ByteCount: CustomStringConvertible {
    /// In the largest unit that divides it: `16MiB`, `50MB`, `100B`.
    package var description: String {
        guard bytes != 0, let unit = Self.units.first(where: { bytes.isMultiple(of: $0.bytes) }) else { return "0B" }
        return "\(bytes / unit.bytes)\(unit.name)"
    }
}

extension ByteCount: ScalarConfigValue {
    package static var kind: ConfigType.ScalarKind {
        ConfigType.ScalarKind(
            "size",
            expected: "a size in bytes such as 50MB, 64KiB or 4096",
            jsonTypes: ["string", "integer"]
        )
    }

    /// Case does not matter, the `B` may be left out (`64Ki`, `50M`, as Kubernetes writes them), a space may stand
    /// before the unit.
    package static func parse(_ text: String, traits: FieldTraits) throws(ScalarMistake) -> ByteCount {
        guard !text.hasPrefix("-") else { throw ScalarMistake("it cannot be negative") }
        let tooLarge = ScalarMistake("it needs more than 64 bits")
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == "." || $0 == "_") }
        var suffix = text.dropFirst(digits.count).lowercased()
        while suffix.hasPrefix(" ") { suffix.removeFirst() }
        guard let number = NumberText.number(String(digits)),
            let unit = units.first(where: {
                let name = $0.name.lowercased()
                return suffix == name || suffix == name.dropLast()
            })
        else { throw ScalarMistake() }
        if let whole = NumberText.integer(String(digits)) {
            let (product, overflows) = whole.multipliedReportingOverflow(by: unit.bytes)
            guard !overflows else { throw tooLarge }
            return ByteCount(product)
        }
        guard unit.bytes > 1 else { throw ScalarMistake("there are no parts of bytes") }
        guard let bytes = Int(exactly: (number * Double(unit.bytes)).rounded()) else { throw tooLarge }
        return ByteCount(bytes)
    }

    package var configText: String { description }
}
