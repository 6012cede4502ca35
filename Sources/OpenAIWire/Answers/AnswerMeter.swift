package import NIOCore

/// Watches an answer go by: when its parts come, how many events it has, and what the model says that it counted.
///
/// Holds the answer's last bytes only, where every API puts the usage.
///
/// - Complexity: O(bytes): a search for line feeds and a copy of what may be the end.
package struct AnswerMeter: Sendable {
    package let isEventStream: Bool
    /// Events that carry JSON so far: of a stream of tokens, one a token as a rule.
    package private(set) var events = 0
    private var hasBegun = false
    /// How much of an event's beginning the current line has shown; nil: it is no such line.
    private var matched: Int? = 0
    private var tail = ByteBuffer()

    /// What an event with JSON begins with; the space is optional.
    private static let beginning = Array("data:{".utf8)
    /// 4 KiB: a usage with all its details, what follows it in an event, and the event that ends the stream. Where vLLM is
    /// asked for log probabilities of a long prompt, they stand behind the usage, and it is not found.
    private static let tailBytes = 4096

    /// - Parameter contentType: of the answer.
    package init(contentType: String?) {
        isEventStream = contentType?.lowercased().hasPrefix("text/event-stream") ?? false
    }

    /// - Returns: whether the piece brings an event, or begins an answer that is no stream of events.
    package mutating func receive(_ piece: ByteBuffer) -> Bool {
        guard piece.readableBytes > 0 else { return false }
        keep(piece)
        guard isEventStream else {
            defer { hasBegun = true }
            return !hasBegun
        }
        let before = events
        piece.withUnsafeReadableBytes { countEvents($0) }
        return events > before
    }

    /// What the model has counted, as it said last; nil when it has not.
    package var usage: Usage? {
        let bytes = Array(tail.readableBytesView)
        let name = Array("\"usage\"".utf8)
        var end = bytes.count
        // From the end: a stream may say it with every event.
        while let start = bytes[..<end].lastIndex(of: name) {
            if let value = Self.object(in: bytes[(start + name.count)...]), let usage = Usage(usage: value) {
                return usage
            }
            end = start
        }
        return nil
    }

    // MARK: Events

    private mutating func countEvents(_ bytes: UnsafeRawBufferPointer) {
        var place = 0
        while place < bytes.count {
            guard let shown = matched else {
                guard let end = bytes[place...].firstIndex(of: UInt8(ascii: "\n")) else { return }
                matched = 0
                place = end + 1
                continue
            }
            let byte = bytes[place]
            place += 1
            if byte == UInt8(ascii: "\n") {
                matched = 0
            } else if byte == Self.beginning[shown] {
                if shown == Self.beginning.count - 1 {
                    events += 1
                    matched = nil
                } else {
                    matched = shown + 1
                }
            } else if byte != UInt8(ascii: " ") || shown != Self.beginning.count - 1 {
                matched = nil
            }
        }
    }

    // MARK: Usage

    private mutating func keep(_ piece: ByteBuffer) {
        let count = piece.readableBytes
        if count >= Self.tailBytes {
            tail.clear()
        } else if tail.readableBytes > Self.tailBytes {
            tail.moveReaderIndex(to: tail.writerIndex - Self.tailBytes)
            // Moves what is left to the front, once in so many pieces.
            tail.discardReadBytes()
        }
        let last = min(count, Self.tailBytes)
        if let slice = piece.getSlice(at: piece.writerIndex - last, length: last) { tail.writeImmutableBuffer(slice) }
    }

    /// The object that follows a name's colon.
    private static func object(in bytes: ArraySlice<UInt8>) -> JSONValue? {
        let blanks: Set<UInt8> = [0x20, 0x09, 0x0A, 0x0D]
        var rest = bytes.drop { blanks.contains($0) }
        guard rest.popFirst() == UInt8(ascii: ":") else { return nil }
        rest = rest.drop { blanks.contains($0) }
        guard rest.first == UInt8(ascii: "{") else { return nil }
        var depth = 0
        for place in rest.indices {
            switch rest[place] {
            case UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: "}"):
                depth -= 1
                guard depth == 0 else { continue }
                return (try? JSONDocument(ByteBuffer(bytes: rest[...place])))?.root
            default: break
            }
        }
        return nil
    }
}

extension ArraySlice<UInt8> {
    /// Where these bytes stand last.
    fileprivate func lastIndex(of bytes: [UInt8]) -> Int? {
        guard count >= bytes.count else { return nil }
        return (startIndex...(endIndex - bytes.count)).last { self[$0..<($0 + bytes.count)].elementsEqual(bytes) }
    }
}
