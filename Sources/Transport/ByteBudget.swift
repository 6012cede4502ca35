import Synchronization

/// Memory that many connections take from together, and its bound.
package final class ByteBudget: Sendable {
    package let limit: Int
    private let taken = Atomic<Int>(0)

    /// - Parameter limit: bytes.
    package init(limit: Int) {
        self.limit = limit
    }

    /// Bytes taken at the moment.
    package var used: Int { taken.load(ordering: .relaxed) }

    /// Takes `count` bytes; false, and nothing taken, when that would go over the limit.
    package func reserve(_ count: Int) -> Bool {
        let total = taken.add(count, ordering: .relaxed).newValue
        guard total <= limit else {
            taken.subtract(count, ordering: .relaxed)
            return false
        }
        return true
    }

    /// Takes `count` bytes, whatever the limit: for what cannot be refused any more.
    package func take(_ count: Int) {
        taken.add(count, ordering: .relaxed)
    }

    /// Gives `count` bytes back.
    package func release(_ count: Int) {
        if count > 0 { taken.subtract(count, ordering: .relaxed) }
    }
}
