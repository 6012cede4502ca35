package import NIOCore

/// gRPC's framing of messages within a stream's data: a byte that says whether the message is compressed, its length in
/// four bytes, the message (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
enum MessageFraming {
    static let prefixBytes = 5

    /// Adds one message, which `write` appends, with its prefix.
    static func append(to buffer: inout ByteBuffer, _ write: (inout ByteBuffer) -> Void) {
        let start = buffer.writerIndex
        buffer.writeInteger(0 as UInt8)
        buffer.writeInteger(0 as UInt32)
        write(&buffer)
        let length = buffer.writerIndex - start - prefixBytes
        buffer.setInteger(UInt32(length), at: start + 1)
    }
}

/// Cuts a stream's data into messages, however it was cut on its way.
///
/// A message that comes in one piece is handed on without a copy. Of one that does not, at most `maxBytes` are kept, in a
/// buffer of the reader's own: the one that the bytes came in is as large as a read, and holds other calls' bytes too.
package struct MessageReader {
    private let maxBytes: Int
    /// What has come and is no whole message yet.
    private var pending: ByteBuffer?
    /// Whether `pending` is a buffer of our own.
    private var isOwn = false

    package init(maxBytes: Int) {
        self.maxBytes = maxBytes
    }

    /// Bytes of a message that is still coming.
    package var pendingBytes: Int { pending?.readableBytes ?? 0 }

    /// The length of the message that is still coming, once its prefix has come.
    var announcedBytes: Int? {
        pending.flatMap { rest in
            guard rest.readableBytes >= MessageFraming.prefixBytes else { return nil }
            return rest.getInteger(at: rest.readerIndex + 1, as: UInt32.self).map(Int.init)
        }
    }

    /// Memory set aside for that message.
    package var capacity: Int { pending?.storageCapacity ?? 0 }

    package mutating func append(_ data: ByteBuffer) {
        guard var rest = pending else {
            guard data.readableBytes > 0 else { return }
            pending = data
            isOwn = false
            return
        }
        // Gone from `pending`, so that writing needs no copy of what is there.
        pending = nil
        rest.writeImmutableBuffer(data)
        pending = rest
    }

    /// The next whole message; nil when there is none yet.
    ///
    /// - Throws: `unimplemented` for a compressed message, `resourceExhausted` for one over `maxBytes`, at its prefix.
    package mutating func next() throws(GRPCStatus) -> ByteBuffer? {
        guard let rest = pending else { return nil }
        let start = rest.readerIndex
        guard let flag = rest.getInteger(at: start, as: UInt8.self),
            let length = rest.getInteger(at: start + 1, as: UInt32.self).map(Int.init)
        else {
            own(atLeast: 0)
            return nil
        }
        guard flag == 0 else {
            throw flag == 1
                ? GRPCStatus(.unimplemented, "compressed messages are not accepted")
                : GRPCStatus(.internal, "the message's prefix is not gRPC's")
        }
        guard length <= maxBytes else {
            throw GRPCStatus(.resourceExhausted, "the message has \(length) bytes, \(maxBytes) are accepted")
        }
        guard let message = rest.getSlice(at: start + MessageFraming.prefixBytes, length: length) else {
            own(atLeast: MessageFraming.prefixBytes + length)
            return nil
        }
        var remainder = rest
        remainder.moveReaderIndex(forwardBy: MessageFraming.prefixBytes + length)
        pending = remainder.readableBytes > 0 ? remainder : nil
        isOwn = false
        return message
    }

    /// 1 MiB: what is set aside for a message on the word of its prefix alone; beyond, the buffer grows with what comes.
    private static let trustedBytes = 1 << 20

    /// Moves what is pending to a buffer of our own, with room for a message of `bytes` as far as that is trusted.
    private mutating func own(atLeast bytes: Int) {
        guard !isOwn || capacity < min(bytes, Self.trustedBytes), let rest = pending else { return }
        var copy = ByteBufferAllocator().buffer(capacity: max(min(bytes, Self.trustedBytes), rest.readableBytes))
        copy.writeImmutableBuffer(rest)
        pending = copy
        isOwn = true
    }
}
