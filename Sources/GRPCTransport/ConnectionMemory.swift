package import Transport

/// What one connection holds of a budget that many share.
///
/// Told to the budget in steps: nearly every message is small and gone at once, and should cost no atomic operation.
package struct ConnectionMemory {
    /// 64 KiB, a connection's other buffers' size: what it holds up to this is not counted, what is beyond is counted in
    /// multiples of it.
    package static let stepBytes = 64 * 1024

    private let budget: ByteBudget
    /// Bytes held.
    package private(set) var heldBytes = 0
    /// Bytes taken from the budget for them.
    private var reservedBytes = 0

    package init(budget: ByteBudget) {
        self.budget = budget
    }

    /// Holds `count` bytes more; false, and nothing done, when the budget has no room for them.
    package mutating func hold(_ count: Int) -> Bool {
        let wanted = Self.reservation(for: heldBytes + count)
        if wanted > reservedBytes {
            guard budget.reserve(wanted - reservedBytes) else { return false }
            reservedBytes = wanted
        }
        heldBytes += count
        return true
    }

    /// Holds `count` bytes more, whatever the budget says: for what cannot be refused any more.
    package mutating func take(_ count: Int) {
        heldBytes += count
        let wanted = Self.reservation(for: heldBytes)
        guard wanted > reservedBytes else { return }
        budget.take(wanted - reservedBytes)
        reservedBytes = wanted
    }

    /// Holds `count` bytes less.
    package mutating func release(_ count: Int) {
        heldBytes -= count
        let wanted = Self.reservation(for: heldBytes)
        // Not at once: a message more and one less would cost two operations each time.
        guard wanted == 0 || reservedBytes - wanted > Self.stepBytes else { return }
        budget.release(reservedBytes - wanted)
        reservedBytes = wanted
    }

    private static func reservation(for bytes: Int) -> Int {
        bytes <= stepBytes ? 0 : (bytes + stepBytes - 1) / stepBytes * stepBytes
    }
}
