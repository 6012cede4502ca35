import Synchronization

/// The value in force, which a reload swaps as a whole.
///
/// Readers get an immutable snapshot and keep it for as long as they work with it; nothing is ever changed under them.
/// `current` costs a short lock and a retain.
package final class Live<Value: Sendable>: Sendable {
    /// One value that was in force, and its number: 1 for the first, one more for each swap.
    package final class Generation: Sendable {
        package let number: UInt64
        package let value: Value

        fileprivate init(number: UInt64, value: Value) {
            self.number = number
            self.value = value
        }
    }

    private let held: Mutex<Generation>

    package init(_ value: Value) {
        held = Mutex(Generation(number: 1, value: value))
    }

    package var current: Value { generation.value }

    /// The value in force together with its number.
    package var generation: Generation {
        held.withLock { $0 }
    }

    /// Puts `value` in force and returns its number. Safe from any thread; the last caller wins.
    @discardableResult
    package func swap(_ value: Value) -> UInt64 {
        // The old generation may be large to free: that happens after the lock is released.
        let (number, old) = held.withLock { generation in
            let old = generation
            generation = Generation(number: old.number + 1, value: value)
            return (generation.number, old)
        }
        withExtendedLifetime(old) {}
        return number
    }
}
