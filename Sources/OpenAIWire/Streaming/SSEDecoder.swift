package import NIOCore

/// One server-sent event.
package struct SSEEvent: Hashable, Sendable {
    /// The type: the `event` field, or `message` when there is none.
    package var type: String
    /// The `data` lines, joined by line feeds.
    package var data: ByteBuffer
    /// The last `id` that the stream has named, in this event or an earlier one.
    package var lastEventID: String

    package static let defaultType = "message"

    package init(type: String = SSEEvent.defaultType, data: ByteBuffer, lastEventID: String = "") {
        self.type = type
        self.data = data
        self.lastEventID = lastEventID
    }

    /// Whether this is OpenAI's end of a stream rather than a chunk.
    package var isDone: Bool {
        data.readableBytesView.elementsEqual(ChatChunk.done.utf8)
    }
}

/// Why a stream of events cannot be read on.
package enum SSEError: Error, Hashable, Sendable, CustomStringConvertible {
    /// An event, or a line of one, holds more bytes than allowed.
    case eventTooLarge(limitBytes: Int)

    package var description: String {
        switch self {
        case .eventTooLarge(let limit): "a server-sent event is larger than \(limit) bytes"
        }
    }
}

/// Cuts a byte stream into server-sent events, wherever its buffers begin and end.
///
/// The grammar is WHATWG HTML section 9.2.6 (lines end in CR, LF or CRLF; one byte order mark at the start is skipped;
/// comments are skipped; an event without data is none). A value without side effects: give it bytes, then take events
/// until there are none.
///
/// - Note: the data of an event that lies in one buffer, on one line, shares that buffer's storage; others are copied.
/// - Complexity: O(bytes).
package struct SSEDecoder: Sendable {
    /// 16 MiB: an answer of the longest context in one event, with room to spare.
    package static let defaultMaxEventBytes = 16 << 20

    private let maxEventBytes: Int
    /// Bytes not yet cut into lines.
    private var input = ByteBuffer()
    /// The beginning of a line whose end has not come.
    private var partial = ByteBuffer()
    /// The line before ended in a CR at the end of its buffer: an LF that follows belongs to it.
    private var skipsLineFeed = false
    private var isAtStart = true
    private var failure: SSEError?

    /// The event being put together.
    private var data: ByteBuffer?
    private var type = ""
    private var lastEventID = ""

    /// The reconnection time that the stream last asked for, in milliseconds.
    package private(set) var retryMilliseconds: Int?

    package init(maxEventBytes: Int = SSEDecoder.defaultMaxEventBytes) {
        self.maxEventBytes = maxEventBytes
    }

    /// Takes the next bytes of the stream.
    package mutating func receive(_ bytes: ByteBuffer) {
        guard input.readableBytes > 0 else {
            input = bytes
            return
        }
        input.writeImmutableBuffer(bytes)
    }

    /// The next whole event of the bytes received; nil when more are needed. An event that the stream's end cuts off is
    /// never given, as the standard asks.
    /// - Throws: once an event is too large, now and ever after.
    package mutating func next() throws(SSEError) -> SSEEvent? {
        if let failure { throw failure }
        while let line = nextLine() {
            let pending = (data?.readableBytes ?? 0) + line.readableBytes
            guard pending <= maxEventBytes else { throw fail() }
            if let event = process(line) { return event }
        }
        guard (data?.readableBytes ?? 0) + partial.readableBytes <= maxEventBytes else { throw fail() }
        return nil
    }

    private mutating func fail() -> SSEError {
        let error = SSEError.eventTooLarge(limitBytes: maxEventBytes)
        failure = error
        input = ByteBuffer()
        partial = ByteBuffer()
        data = nil
        return error
    }

    // MARK: Lines

    /// The next line without its end; what is left of a line that is not whole yet moves to `partial`.
    private mutating func nextLine() -> ByteBuffer? {
        if skipsLineFeed, let first = input.getInteger(at: input.readerIndex, as: UInt8.self) {
            if first == UInt8(ascii: "\n") { input.moveReaderIndex(forwardBy: 1) }
            skipsLineFeed = false
        }
        guard let length = input.lineLength else {
            // Shares the buffer until more of the line comes.
            if partial.readableBytes > 0 { partial.writeImmutableBuffer(input) } else { partial = input }
            input = ByteBuffer()
            return nil
        }
        guard let rest = input.readSlice(length: length), let terminator = input.readInteger(as: UInt8.self) else {
            preconditionFailure("a line's end lies within its buffer")
        }
        if terminator == UInt8(ascii: "\r") { skipsLineFeed = true }
        var line = rest
        if partial.readableBytes > 0 {
            partial.writeImmutableBuffer(rest)
            line = partial
            partial = ByteBuffer()
        }
        if isAtStart {
            isAtStart = false
            if line.readableBytesView.starts(with: [0xEF, 0xBB, 0xBF]) { line.moveReaderIndex(forwardBy: 3) }
        }
        return line
    }

    // MARK: Fields

    /// What a line adds to the event being put together; the event, when the line is empty and ends it.
    private mutating func process(_ line: ByteBuffer) -> SSEEvent? {
        guard line.readableBytes > 0 else { return dispatch() }
        let view = line.readableBytesView
        guard let colon = view.firstIndex(of: UInt8(ascii: ":")) else {
            field(view[...], ByteBuffer())
            return nil
        }
        var start = colon + 1
        if start < view.endIndex, view[start] == UInt8(ascii: " ") { start += 1 }
        let value = line.getSlice(at: start, length: view.endIndex - start) ?? ByteBuffer()
        field(view[..<colon], value)
        return nil
    }

    private mutating func field(_ name: ByteBufferView, _ value: ByteBuffer) {
        // A comment has an empty name, and names nobody knows mean nothing.
        if name.elementsEqual("data".utf8) {
            append(value)
        } else if name.elementsEqual("event".utf8) {
            type = String(buffer: value)
        } else if name.elementsEqual("id".utf8) {
            if !value.readableBytesView.contains(0) { lastEventID = String(buffer: value) }
        } else if name.elementsEqual("retry".utf8) {
            let isNumber = value.readableBytesView.allSatisfy { (0x30...0x39).contains($0) }
            if isNumber, let milliseconds = Int(String(buffer: value)) { retryMilliseconds = milliseconds }
        }
    }

    private mutating func append(_ value: ByteBuffer) {
        guard var joined = data else {
            data = value
            return
        }
        data = nil
        joined.writeInteger(UInt8(ascii: "\n"))
        joined.writeImmutableBuffer(value)
        data = joined
    }

    private mutating func dispatch() -> SSEEvent? {
        defer {
            data = nil
            type = ""
        }
        // A `data` line without a value makes an event without characters; only no such line makes none.
        guard let data else { return nil }
        return SSEEvent(type: type.isEmpty ? SSEEvent.defaultType : type, data: data, lastEventID: lastEventID)
    }
}

extension ByteBuffer {
    /// The bytes before the first CR or LF; nil without one. Eight bytes at a time.
    fileprivate var lineLength: Int? {
        withUnsafeReadableBytes { bytes in
            let ones: UInt64 = 0x0101_0101_0101_0101
            var offset = 0
            while offset + 8 <= bytes.count {
                let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                let lineFeeds = word ^ (ones &* 0x0A)
                let returns = word ^ (ones &* 0x0D)
                // Subtracting one sets the top bit of a byte that was zero, unless it was set before. The lowest hit is
                // exact: a borrow comes only from a hit below.
                let hits = (((lineFeeds &- ones) & ~lineFeeds) | ((returns &- ones) & ~returns)) & (ones &* 0x80)
                if hits != 0 { return offset + hits.trailingZeroBitCount / 8 }
                offset += 8
            }
            return bytes[offset...].firstIndex { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
        }
    }
}
