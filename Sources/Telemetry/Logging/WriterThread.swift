#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// A counting semaphore for threads that may block.
///
/// `@unchecked Sendable`: the pointer is set once and freed in `deinit`, when no one can wait any more; POSIX semaphores
/// are made to be used from many threads (sem_overview(7)).
final class Semaphore: @unchecked Sendable {
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() {
        // Zero is a valid value and the semaphore is not shared between processes: sem_init(3) cannot fail.
        sem_init(semaphore, 0, 0)
    }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func signal() {
        sem_post(semaphore)
    }

    func wait() {
        // A signal handler may interrupt the wait.
        while sem_wait(semaphore) != 0 && errno == EINTR {}
    }
}

/// The system could not make a thread.
package struct ThreadUnavailable: Error, CustomStringConvertible {
    /// What pthread_create(3) answered.
    let code: Int32

    package var description: String {
        "no thread for the log writer: \(String(cString: strerror(code)))"
    }
}

/// Runs `body` on a new thread, to be joined by the caller.
func startThread(_ body: @escaping @Sendable () -> Void) throws(ThreadUnavailable) -> pthread_t {
    final class Start {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    let start = Unmanaged.passRetained(Start(body))
    var thread = pthread_t()
    let status = pthread_create(
        &thread,
        nil,
        { argument in
            guard let argument else { return nil }
            Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body()
            return nil
        },
        start.toOpaque()
    )
    guard status == 0 else {
        start.release()
        throw ThreadUnavailable(code: status)
    }
    return thread
}
