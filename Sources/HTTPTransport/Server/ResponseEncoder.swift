package import NIOCore
package import NIOHTTP1

/// Writes one HTTP/1.1 response as bytes: head, then a body of known length, in chunks, or until close.
///
/// Small body pieces that arrive together leave as one chunk in one buffer with the head, so that a burst from a
/// worker costs one write. Large ones are handed on without a copy.
package struct ResponseEncoder {
    package enum Framing: Equatable {
        case length
        case chunked
        /// HTTP/1.0 has no chunks: the end of the connection ends the body.
        case untilClose
        /// HEAD, 1xx, 204, 304 (RFC 9112 section 6.3).
        case noBody
    }

    /// Pieces of at least this size are written as they are; below it a copy is cheaper than another write.
    package static let copyLimit = 16 * 1024
    /// Four hexadecimal digits hold the size of a gathered chunk.
    private static let maxGatheredChunk = 0xFFFF
    private static let chunkHeadBytes = 6

    package private(set) var framing = Framing.length
    private var buffer = ByteBuffer()
    /// Where the open chunk's head stands in `buffer`.
    private var openChunk: Int?

    package init() {}

    /// Starts a response. `headers` must hold no framing fields; this adds them.
    package mutating func start(
        status: HTTPResponseStatus,
        headers: HTTPHeaders,
        length: Int?,
        to request: HTTPRequestHead,
        keepAlive: Bool
    ) {
        buffer.reserveCapacity(minimumWritableBytes: 1024)
        let code = status.code
        if request.method == .HEAD || code == 204 || code == 304 || (100..<200).contains(code) {
            framing = .noBody
        } else if length != nil {
            framing = .length
        } else {
            framing = request.version.minor >= 1 ? .chunked : .untilClose
        }
        buffer.writeStaticString("HTTP/1.1 ")
        buffer.writeDecimal(Int(code))
        buffer.writeInteger(UInt8(ascii: " "))
        buffer.writeString(status.reasonPhrase)
        buffer.writeStaticString("\r\n")
        for (name, value) in headers {
            buffer.writeString(name)
            buffer.writeStaticString(": ")
            buffer.writeString(value)
            buffer.writeStaticString("\r\n")
        }
        // RFC 9110 section 8.6: no content-length in 1xx and 204; in answers to HEAD and in 304 it tells what a GET
        // would have had.
        if let length, code != 204, !(100..<200).contains(code) {
            buffer.writeStaticString("content-length: ")
            buffer.writeDecimal(length)
            buffer.writeStaticString("\r\n")
        } else if framing == .chunked {
            buffer.writeStaticString("transfer-encoding: chunked\r\n")
        }
        if !keepAlive || framing == .untilClose {
            buffer.writeStaticString("connection: close\r\n")
        } else if request.version.minor == 0 {
            buffer.writeStaticString("connection: keep-alive\r\n")
        }
        buffer.writeStaticString("\r\n")
    }

    /// Adds a piece of the body. What must leave now, in order, goes to `emit`; the rest waits for `flush`.
    package mutating func append(_ piece: ByteBuffer, _ emit: (ByteBuffer) -> Void) {
        let count = piece.readableBytes
        guard count > 0, framing != .noBody else { return }
        guard count < Self.copyLimit else {
            flush(emit)
            if framing == .chunked {
                buffer.writeString(String(count, radix: 16))
                buffer.writeStaticString("\r\n")
                flush(emit)
                emit(piece)
                buffer.writeStaticString("\r\n")
            } else {
                emit(piece)
            }
            return
        }
        buffer.reserveCapacity(minimumWritableBytes: count + 2 * Self.chunkHeadBytes)
        if framing == .chunked {
            if let start = openChunk, buffer.writerIndex - start - Self.chunkHeadBytes + count > Self.maxGatheredChunk {
                closeChunk()
            }
            if openChunk == nil {
                openChunk = buffer.writerIndex
                buffer.writeStaticString("0000\r\n")
            }
        }
        buffer.writeImmutableBuffer(piece)
        if buffer.readableBytes >= Self.maxGatheredChunk {
            flush(emit)
        }
    }

    /// Hands over all that waits.
    package mutating func flush(_ emit: (ByteBuffer) -> Void) {
        closeChunk()
        guard buffer.readableBytes > 0 else { return }
        emit(buffer)
        buffer = ByteBuffer()
    }

    /// Ends the body, then hands over all that waits.
    package mutating func finish(_ emit: (ByteBuffer) -> Void) {
        closeChunk()
        if framing == .chunked {
            buffer.writeStaticString("0\r\n\r\n")
        }
        flush(emit)
    }

    private mutating func closeChunk() {
        guard let start = openChunk else { return }
        openChunk = nil
        let size = buffer.writerIndex - start - Self.chunkHeadBytes
        for digit in 0..<4 {
            let value = UInt8(truncatingIfNeeded: size >> (4 * (3 - digit))) & 0xF
            buffer.setInteger(value < 10 ? 0x30 + value : 0x57 + value, at: start + digit)
        }
        buffer.writeStaticString("\r\n")
    }
}

extension ByteBuffer {
    /// Appends a non-negative number in decimal digits, without a `String`.
    package mutating func writeDecimal(_ value: Int) {
        precondition(value >= 0)
        guard value >= 10 else {
            writeInteger(UInt8(ascii: "0") + UInt8(value))
            return
        }
        withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { digits in
            var rest = value
            var start = 20
            while rest > 0 {
                start -= 1
                digits[start] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            }
            writeBytes(UnsafeRawBufferPointer(rebasing: digits[start...]))
        }
    }
}
