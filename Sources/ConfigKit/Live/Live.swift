import Synchronization

/// The value in force, which a reload swaps as a whole.
///
/// Readers get an immutable snapshot and keep it for as long as they work with it; nothing is ever changed under them.
/// `current` costs a short lock and a retain. A reader that asks for every request, such as an event loop, holds a
/// `Reader`, which costs one atomic load while nothing changes.
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
    /// The number of the generation in `held`; stored after it, under its lock.
    private let newest: Atomic<UInt64>

    package init(_ value: Value) {
        held = Mutex(Generation(number: 1, value: value))
        newest = Atomic(1)
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
            newest.store(generation.number, ordering: .releasing)
            return (generation.number, old)
        }
        withExtendedLifetime(old) {}
        return number
    }

    /// A reader of its own for one event loop or thread.
    package func reader() -> Reader {
        Reader(self)
    }

    /// Holds the newest generation that it saw and looks for a newer one at each read. Not to be shared.
    package struct Reader {
        private let live: Live
        private var seen: Generation

        fileprivate init(_ live: Live) {
            self.live = live
            seen = live.generation
        }

        /// The value in force; one atomic load unless it was swapped since the last call.
        package var current: Value {
            mutating get { generation.value }
        }

        package var generation: Generation {
            mutating get {
                if live.newest.load(ordering: .acquiring) != seen.number {
                    seen = live.generation
                }
                return seen
            }
        }
    }
}
