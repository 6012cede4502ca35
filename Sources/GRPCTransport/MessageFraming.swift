import NIOCore

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
/// A message that comes in one piece is handed on without a copy. Of one that does not, at most `maxBytes` are kept.
struct MessageReader {
    let maxBytes: Int
    /// What has come and is no whole message yet.
    private var pending: ByteBuffer?

    init(maxBytes: Int) {
        self.maxBytes = maxBytes
    }

    /// Bytes of a message that is still coming.
    var pendingBytes: Int { pending?.readableBytes ?? 0 }

    /// The length of the message that is still coming, once its prefix has come.
    var announcedBytes: Int? {
        pending.flatMap { rest in
            guard rest.readableBytes >= MessageFraming.prefixBytes else { return nil }
            return rest.getInteger(at: rest.readerIndex + 1, as: UInt32.self).map(Int.init)
        }
    }

    mutating func append(_ data: ByteBuffer) {
        guard var rest = pending else {
            if data.readableBytes > 0 { pending = data }
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
    mutating func next() throws(GRPCStatus) -> ByteBuffer? {
        guard let rest = pending, rest.readableBytes >= MessageFraming.prefixBytes else { return nil }
        let start = rest.readerIndex
        guard let flag = rest.getInteger(at: start, as: UInt8.self),
            let length = rest.getInteger(at: start + 1, as: UInt32.self).map(Int.init)
        else { return nil }
        guard flag == 0 else {
            throw flag == 1
                ? GRPCStatus(.unimplemented, "compressed messages are not accepted")
                : GRPCStatus(.internal, "the message's prefix is not gRPC's")
        }
        guard length <= maxBytes else {
            throw GRPCStatus(.resourceExhausted, "the message has \(length) bytes, \(maxBytes) are accepted")
        }
        guard let message = rest.getSlice(at: start + MessageFraming.prefixBytes, length: length) else {
            reserve(length + MessageFraming.prefixBytes)
            return nil
        }
        var remainder = rest
        remainder.moveReaderIndex(forwardBy: MessageFraming.prefixBytes + length)
        pending = remainder.readableBytes > 0 ? remainder : nil
        return message
    }

    /// 1 MiB: what is set aside for a message on the word of its prefix alone; beyond, the buffer grows with what comes.
    private static let trustedBytes = 1 << 20

    private mutating func reserve(_ bytes: Int) {
        guard var rest = pending, rest.readableBytes + rest.writableBytes < bytes else { return }
        pending = nil
        let wanted = min(bytes, max(Self.trustedBytes, rest.readableBytes)) - rest.readableBytes
        if wanted > rest.writableBytes { rest.reserveCapacity(minimumWritableBytes: wanted) }
        pending = rest
    }
}
