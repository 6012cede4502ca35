package import Instruments
import NIOCore
import NIOHTTP1
import NIOPosix
package import OpenAIWire
import Synchronization

/// What `/metrics` answers.
///
/// Thousands of series take milliseconds to write, which no event loop has to spare: pages are written on a thread apart,
/// one at a time. Whoever asks while a page is being written gets the next one, together with all others who ask
/// meanwhile: scrapers cannot make more work than that by asking more often.
package final class MetricsPage: Sendable {
    private let registry: MetricRegistry
    private let queue = Mutex(Queue())

    private struct Queue {
        var isWriting = false
        var waiting: [Waiter] = []
    }

    private struct Waiter {
        let format: Exposition.Format
        let continuation: CheckedContinuation<LocalResponse, Never>
    }

    package init(_ registry: MetricRegistry) {
        self.registry = registry
    }

    /// The page as it is after this has been asked for, in the format that `accept` names.
    package func response(accept: String?) async -> LocalResponse {
        let format = Exposition.Format.accepted(by: accept)
        return await withCheckedContinuation { continuation in
            let isIdle = queue.withLock { queue in
                queue.waiting.append(Waiter(format: format, continuation: continuation))
                defer { queue.isWriting = true }
                return !queue.isWriting
            }
            if isIdle { NIOThreadPool.singleton.submit { _ in self.answerAll() } }
        }
    }

    /// How many wait for the next page, for tests.
    package var waitingCount: Int { queue.withLock { $0.waiting.count } }

    private func answerAll() {
        while true {
            let waiters = queue.withLock { queue in
                defer { queue.waiting = [] }
                queue.isWriting = !queue.waiting.isEmpty
                return queue.waiting
            }
            if waiters.isEmpty { return }
            for format in Exposition.Format.allCases {
                let alike = waiters.filter { $0.format == format }
                if alike.isEmpty { continue }
                let page = page(format)
                for waiter in alike { waiter.continuation.resume(returning: page) }
            }
        }
    }

    private func page(_ format: Exposition.Format) -> LocalResponse {
        LocalResponse(
            status: .ok,
            headers: ["content-type": format.contentType, "vary": "accept"],
            body: .whole(ByteBuffer(bytes: registry.expositionBytes(format)))
        )
    }
}
