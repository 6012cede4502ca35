import Glibc
import Synchronization

/// Reads one text on a thread of its own, whose stack is large enough for the deepest text that the YAML parser takes.
///
/// libyaml stops at 1,000 levels of nesting (MAX_NESTING_LEVEL in its parser.c), and Yams calls itself for each. In a
/// release build that needs about 3 MB, which the caller's thread may not have left.
final class ParsingThread: Sendable {
    /// Four times what was measured. Only pages that are touched cost memory.
    private static let stackBytes = 16 * 1024 * 1024

    private let parse: @Sendable () -> ConfigDocument
    private let result = Mutex<ConfigDocument?>(nil)

    private init(_ parse: @escaping @Sendable () -> ConfigDocument) {
        self.parse = parse
    }

    /// What `parse` returns, or nil when the system gives no thread. Blocks until it is there.
    static func run(_ parse: @escaping @Sendable () -> ConfigDocument) -> ConfigDocument? {
        let job = ParsingThread(parse)
        var attributes = pthread_attr_t()
        guard pthread_attr_init(&attributes) == 0 else { return nil }
        defer { pthread_attr_destroy(&attributes) }
        guard pthread_attr_setstacksize(&attributes, stackBytes) == 0 else { return nil }
        var thread = pthread_t()
        // The thread takes the reference over; it is taken back here if there is no thread.
        let reference = Unmanaged.passRetained(job)
        let main: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { pointer in
            guard let pointer else { return nil }
            let job = Unmanaged<ParsingThread>.fromOpaque(pointer).takeRetainedValue()
            let document = job.parse()
            job.result.withLock { $0 = document }
            return nil
        }
        guard pthread_create(&thread, &attributes, main, reference.toOpaque()) == 0 else {
            reference.release()
            return nil
        }
        pthread_join(thread, nil)
        return job.result.withLock { $0 }
    }
}
