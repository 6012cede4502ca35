import Glibc
import Resilience

/// The system could not make a thread.
package struct ThreadUnavailable: Error, CustomStringConvertible {
    /// What pthread_create(3) answered.
    let code: Int32

    package var description: String {
        "no thread for classifiers: \(String(cString: strerror(code)))"
    }
}

/// A thread of its own, to be joined by whoever made it.
///
/// `@unchecked Sendable`: a `pthread_t` is a number that any thread may join with.
struct ComputeThread: @unchecked Sendable {
    private let thread: pthread_t

    /// Starts `body` on a new thread.
    ///
    /// - Parameters:
    ///   - name: shown by `top -H` and debuggers; cut to the 15 bytes that Linux takes (proc(5), `comm`).
    ///   - stackBytes: rounded up to what the system needs at least.
    init(name: String, stackBytes: Int, _ body: @escaping @Sendable () -> Void) throws(ThreadUnavailable) {
        final class Start {
            let name: String
            let body: @Sendable () -> Void
            init(_ name: String, _ body: @escaping @Sendable () -> Void) {
                self.name = name
                self.body = body
            }
        }
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        // Fails for less than 16 KiB, and on some systems for what is no multiple of a page; 64 KiB is the largest page.
        let page = 65_536
        pthread_attr_setstacksize(&attributes, max(stackBytes + page - 1, page) / page * page)
        let start = Unmanaged.passRetained(Start(name, body))
        var thread = pthread_t()
        let status = pthread_create(
            &thread,
            &attributes,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                nameThisThread(start.name)
                start.body()
                return nil
            },
            start.toOpaque()
        )
        guard status == 0 else {
            start.release()
            throw ThreadUnavailable(code: status)
        }
        self.thread = thread
    }

    var isCurrent: Bool { pthread_equal(thread, pthread_self()) != 0 }

    /// Waits for the thread's end. Once at most, and not on the thread itself.
    func join() {
        pthread_join(thread, nil)
    }

    /// Lets the thread end by itself, instead of `join`.
    func detach() {
        pthread_detach(thread)
    }
}

/// Runs blocking work apart from threads that others wait for.
func onThread<Value: Sendable>(_ name: String, _ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
        do {
            // As large a stack as models are run with.
            let thread = try ComputeThread(name: name, stackBytes: 8 << 20) { continuation.resume(returning: body()) }
            thread.detach()
        } catch {
            // Without a thread to spare the caller's has to do it.
            continuation.resume(returning: body())
        }
    }
}

/// A thread without a name is found less easily, and works as well: failures are of no consequence.
private func nameThisThread(_ name: String) {
    // The functions made for this are not there without GNU extensions of the headers.
    let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { return }
    let bytes = Array(name.utf8.prefix(15))
    _ = write(file, bytes, bytes.count)
    close(file)
}

/// What one thread waits at until another rings, or until a time.
///
/// `@unchecked Sendable`: the pointers are set once and freed in `deinit`, when nobody waits any more; `hasRung` is
/// touched with the mutex held only.
final class Doorbell: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var hasRung = false

    init() {
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        // The clock of `MonotonicTime`.
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Ends the present wait, or the next one if nobody waits.
    func ring() {
        pthread_mutex_lock(mutex)
        hasRung = true
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
    }

    /// Waits for a ring, or until `end`; nil is for ever.
    func wait(until end: MonotonicTime?) {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while !hasRung {
            guard let end else {
                pthread_cond_wait(condition, mutex)
                continue
            }
            // A time beyond the clock's is as good as for ever.
            var time = timespec(
                tv_sec: Int(clamping: end.nanoseconds / 1_000_000_000),
                tv_nsec: Int(end.nanoseconds % 1_000_000_000)
            )
            if pthread_cond_timedwait(condition, mutex, &time) == ETIMEDOUT { return }
        }
        hasRung = false
    }
}
