/// The values that a field allows, from Swift's range expressions: `1...10`, `0..<1`, `1...`, `...5`.
package struct Bounds<Value: Comparable> {
    let minimum: Value?
    let maximum: Value?
    /// True for `..<`.
    let excludesMaximum: Bool

    func contains(_ value: Value) -> Bool {
        if let minimum, value < minimum { return false }
        if let maximum, value > maximum || (excludesMaximum && value == maximum) { return false }
        return true
    }
}

extension Bounds: Sendable where Value: Sendable {}

/// A range expression that can be a field's bounds.
package protocol BoundsConvertible<Value> {
    associatedtype Value: Comparable
    var bounds: Bounds<Value> { get }
}

extension ClosedRange: BoundsConvertible {
    package var bounds: Bounds<Bound> { Bounds(minimum: lowerBound, maximum: upperBound, excludesMaximum: false) }
}

extension Range: BoundsConvertible {
    package var bounds: Bounds<Bound> { Bounds(minimum: lowerBound, maximum: upperBound, excludesMaximum: true) }
}

extension PartialRangeFrom: BoundsConvertible {
    package var bounds: Bounds<Bound> { Bounds(minimum: lowerBound, maximum: nil, excludesMaximum: false) }
}

extension PartialRangeThrough: BoundsConvertible {
    package var bounds: Bounds<Bound> { Bounds(minimum: nil, maximum: upperBound, excludesMaximum: false) }
}

extension PartialRangeUpTo: BoundsConvertible {
    package var bounds: Bounds<Bound> { Bounds(minimum: nil, maximum: upperBound, excludesMaximum: true) }
}

/// Bounds in words and numbers, for messages and documentation.
package struct BoundsText: Hashable, Sendable {
    package let minimum: String?
    package let maximum: String?
    package let excludesMaximum: Bool

    init<Value>(_ bounds: Bounds<Value>, text: (Value) -> String) {
        minimum = bounds.minimum.map(text)
        maximum = bounds.maximum.map(text)
        excludesMaximum = bounds.excludesMaximum
    }

    /// `from 1 to 10`, `at least 1`, `less than 1`.
    package var words: String {
        switch (minimum, maximum) {
        case (let minimum?, let maximum?):
            excludesMaximum ? "at least \(minimum) and less than \(maximum)" : "from \(minimum) to \(maximum)"
        case (let minimum?, nil): "at least \(minimum)"
        case (nil, let maximum?): excludesMaximum ? "less than \(maximum)" : "at most \(maximum)"
        case (nil, nil): "any"
        }
    }
}
