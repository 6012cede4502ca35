import Synchronization

/// A value that every request reads and hardly anything changes: several copies, so that threads on different cores
/// rarely want the same lock.
final class Striped<Value: Sendable>: Sendable {
    private final class Copy: Sendable {
        let value: Mutex<Value>
        /// Keeps the next copy's lock off this one's cache line.
        private let padding = (0, 0, 0, 0, 0, 0, 0, 0)

        init(_ value: Value) { self.value = Mutex(value) }
    }

    private let copies: [Copy]
    private let changing = Mutex(())

    init(_ value: Value) {
        copies = (0..<8).map { _ in Copy(value) }
    }

    /// Runs `body`, which must be short, on the value.
    func read<Result: Sendable>(_ body: (Value) -> Result) -> Result {
        copies[Int(truncatingIfNeeded: threadHash()) & 7].value.withLock { body($0) }
    }

    /// Changes the value. Readers see the change one after another.
    func change(_ body: (inout Value) -> Void) {
        changing.withLock { _ in
            var value = copies[0].value.withLock { $0 }
            body(&value)
            for copy in copies { copy.value.withLock { $0 = value } }
        }
    }
}
