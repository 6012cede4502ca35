import Logging
import Synchronization

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Writes log lines to a file descriptor on a thread of its own, so that a slow pipe never blocks an event loop.
///
/// Lines wait in a queue of at most `capacity` bytes. When it is full, new lines are dropped and counted; the count is
/// logged as soon as there is room again. Lines are written whole, in order, several per system call when they wait.
///
/// `close` must be called before the process ends, or the lines of the last moments are lost.
package final class LogOutput: Sendable {
    /// 1 MiB, about four thousand lines: a burst fits, and a stuck reader costs no more.
    package static let defaultCapacity = 1 << 20

    private struct State {
        var waiting: [UInt8] = []
        /// Bytes that the writer has taken and not yet written.
        var inWriting = 0
        var dropped = 0
        var isIdle = false
        var isClosed = false
        /// Woken when nothing is waiting or in writing any more.
        var drained: [Semaphore] = []

        var isDrained: Bool {
            waiting.isEmpty && inWriting == 0 && dropped == 0
        }
    }

    private let capacity: Int
    private let state = Mutex(State())
    private let work = Semaphore()
    private let thread = Mutex<pthread_t?>(nil)
    private let sink: @Sendable ([UInt8]) -> Void
    private let droppedNotice: @Sendable (Int) -> [UInt8]

    /// Starts the writer, which keeps the output alive until `close`.
    ///
    /// - Parameters:
    ///   - capacity: The most bytes of lines waiting or in writing.
    ///   - droppedNotice: The line that tells how many lines were dropped.
    ///   - sink: Takes whole lines, one or more; may block.
    /// - Throws: If the system has no thread to give.
    package init(
        capacity: Int = defaultCapacity,
        droppedNotice: @escaping @Sendable (Int) -> [UInt8],
        sink: @escaping @Sendable ([UInt8]) -> Void
    ) throws(ThreadUnavailable) {
        self.capacity = capacity
        self.droppedNotice = droppedNotice
        self.sink = sink
        let started = try startThread { [self] in write() }
        thread.withLock { $0 = started }
    }

    /// Writes to `descriptor` (1 or 2), with the notice of dropped lines in `format`.
    package convenience init(descriptor: Int32, format: LogFormat, capacity: Int = defaultCapacity)
        throws(ThreadUnavailable)
    {
        try self.init(
            capacity: capacity,
            droppedNotice: { count in
                format.line(
                    time: UTCTime.now().nanoseconds,
                    level: .warning,
                    logger: "sextant.log",
                    message: "log lines dropped: the reader of this log is too slow",
                    metadata: ["dropped_lines": "\(count)"]
                )
            },
            sink: { writeAll($0, to: descriptor) }
        )
    }

    /// Queues one line, its line feed included; never blocks for longer than a few instructions.
    package func append(_ line: [UInt8]) {
        let wake = state.withLock { state -> Bool in
            guard !state.isClosed else { return false }
            guard state.waiting.count + state.inWriting + line.count <= capacity else {
                state.dropped += 1
                return false
            }
            state.waiting.append(contentsOf: line)
            defer { state.isIdle = false }
            return state.isIdle
        }
        if wake { work.signal() }
    }

    /// Waits until everything appended so far is written. Blocks: not for event loops.
    package func flush() {
        let drained = Semaphore()
        let mustWait = state.withLock { state -> Bool in
            guard !state.isDrained else { return false }
            state.drained.append(drained)
            return true
        }
        if mustWait { drained.wait() }
    }

    /// Writes what is waiting and ends the writer. Later lines are dropped silently. Blocks until all is written.
    package func close() {
        let thread = thread.withLock { $0.take() }
        guard let thread else { return }
        state.withLock { state in
            state.isClosed = true
            state.isIdle = false
        }
        work.signal()
        pthread_join(thread, nil)
    }

    /// The writer thread.
    private func write() {
        while true {
            let batch = state.withLock { state -> (lines: [UInt8], dropped: Int)? in
                state.inWriting = 0
                guard state.isDrained else {
                    let lines = state.waiting
                    let dropped = state.dropped
                    state.waiting = []
                    state.dropped = 0
                    state.inWriting = lines.count
                    return (lines, dropped)
                }
                for waiter in state.drained { waiter.signal() }
                state.drained = []
                if state.isClosed { return nil }
                state.isIdle = true
                return ([], 0)
            }
            guard let batch else { return }
            if batch.lines.isEmpty, batch.dropped == 0 {
                work.wait()
                continue
            }
            if !batch.lines.isEmpty { sink(batch.lines) }
            if batch.dropped > 0 { sink(droppedNotice(batch.dropped)) }
        }
    }
}

/// Writes all bytes, waiting for a descriptor that is not ready; gives up on one that is broken, since there is nowhere
/// to report it.
private func writeAll(_ bytes: [UInt8], to descriptor: Int32) {
    bytes.withUnsafeBytes { bytes in
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = UnsafeRawBufferPointer(rebasing: rest)
            let written = write(descriptor, part.baseAddress, part.count)
            if written >= 0 {
                rest = rest.dropFirst(written)
            } else if errno == EAGAIN {
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&ready, 1, -1)
            } else if errno != EINTR {
                return
            }
        }
    }
}
