package import NIOCore
package import NIOHTTP1
import OpenAIWire
import Synchronization

/// The last requests as they arrived, for tests to look at (`GET /sim/requests`).
package final class RequestLog: Sendable {
    package enum Outcome: String, Sendable {
        case open
        case answered
        /// The client went away before the answer was complete.
        case cancelled
    }

    package struct Entry: Sendable {
        package let number: UInt64
        package let method: HTTPMethod
        package let uri: String
        package let headers: HTTPHeaders
        package let body: ByteBuffer
        package fileprivate(set) var outcome: Outcome
    }

    private struct State {
        var entries: CircularBuffer<Entry> = []
        var next: UInt64 = 1
    }

    private let capacity: Int
    private let state = Mutex(State())

    package init(capacity: Int) {
        self.capacity = capacity
    }

    /// Remembers a request and gives it a number; the oldest one is forgotten.
    package func add(_ head: HTTPRequestHead, _ body: ByteBuffer) -> UInt64 {
        state.withLock { state in
            let number = state.next
            state.next += 1
            guard capacity > 0 else { return number }
            if state.entries.count >= capacity { state.entries.removeFirst() }
            state.entries.append(
                Entry(
                    number: number,
                    method: head.method,
                    uri: head.uri,
                    headers: head.headers,
                    body: body,
                    outcome: .open
                )
            )
            return number
        }
    }

    package func ended(_ number: UInt64, _ outcome: Outcome) {
        state.withLock { state in
            // Numbers are consecutive, so the place of an entry follows from its number.
            guard let first = state.entries.first, number >= first.number else { return }
            let offset = Int(number - first.number)
            guard offset < state.entries.count else { return }
            state.entries[state.entries.index(state.entries.startIndex, offsetBy: offset)].outcome = outcome
        }
    }

    /// Oldest first.
    package var entries: [Entry] {
        state.withLock { Array($0.entries) }
    }

    /// Forgets what is there; numbers go on.
    package func clear() {
        state.withLock { $0.entries.removeAll() }
    }

    /// `{"requests": [{"number", "method", "path", "headers": {name: [values]}, "body", "outcome"}]}`, names of headers in
    /// lower case. A body that is no UTF-8 is repaired.
    package func json() -> ByteBuffer {
        let requests = entries.map { entry -> JSONFragment in
            var headers: [(String, [String])] = []
            for (name, value) in entry.headers {
                let name = name.lowercased()
                if let index = headers.firstIndex(where: { $0.0 == name }) {
                    headers[index].1.append(value)
                } else {
                    headers.append((name, [value]))
                }
            }
            return .object([
                ("number", JSONFragment(Int(entry.number))),
                ("method", JSONFragment(entry.method.rawValue)),
                ("path", JSONFragment(entry.uri)),
                ("headers", .object(headers.map { ($0.0, .array($0.1.map { JSONFragment($0) })) })),
                ("body", JSONFragment(String(buffer: entry.body))),
                ("outcome", JSONFragment(entry.outcome.rawValue)),
            ])
        }
        return JSONFragment.object([("requests", .array(requests))]).bytes
    }
}
