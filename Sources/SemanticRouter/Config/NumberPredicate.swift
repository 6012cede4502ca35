package import ConfigKit

/// Bounds that a number must keep: all that are given.
package struct NumberPredicate: Configurable, Equatable {
    package var gt: Double?
    package var gte: Double?
    package var lt: Double?
    package var lte: Double?

    package init() {}

    package init(gt: Double? = nil, gte: Double? = nil, lt: Double? = nil, lte: Double? = nil) {
        self.gt = gt
        self.gte = gte
        self.lt = lt
        self.lte = lte
    }

    package static let schema = Schema<Self>("predicate", "Bounds that a number must keep: all that are given.") {
        Field("gt", \.gt, "Above this.")
        Field("gte", \.gte, "This or above.")
        Field("lt", \.lt, "Below this.")
        Field("lte", \.lte, "This or below.")
    }

    package func validate(_ report: inout ValidationReport) {
        if isEmpty {
            report.error("needs a bound: gt, gte, lt or lte", atPath: [])
        }
        if gt != nil, gte != nil { report.error("has both gt and gte; keep one", at: "gte") }
        if lt != nil, lte != nil { report.error("has both lt and lte; keep one", at: "lte") }
        if let low = gt ?? gte, let high = lt ?? lte,
            low > high || (low == high && (gt != nil || lt != nil))
        {
            report.error("no number is both above \(low) and below \(high)", atPath: [])
        }
    }

    package var isEmpty: Bool { gt == nil && gte == nil && lt == nil && lte == nil }

    /// Whether the number keeps all bounds. What is no number, or infinite, keeps none.
    package func holds(_ number: Double) -> Bool {
        guard number.isFinite else { return false }
        if let gt, !(number > gt) { return false }
        if let gte, !(number >= gte) { return false }
        if let lt, !(number < lt) { return false }
        if let lte, !(number <= lte) { return false }
        return true
    }

    /// The distance to the nearest bound; infinite without any.
    package func distance(of number: Double) -> Double {
        [gt, gte, lt, lte].compactMap { $0.map { abs(number - $0) } }.min() ?? .infinity
    }
}
