import NIOCore

/// HTTP/2 frames as bytes (RFC 9113, section 6), for what a well-behaved client cannot be made to send.
enum HTTP2Bytes {
    static let preface = ByteBuffer(string: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

    enum Kind: UInt8 {
        case data = 0
        case headers = 1
        case reset = 3
        case settings = 4
        case ping = 6
        case goAway = 7
        case windowUpdate = 8
        case continuation = 9
    }

    static let endStream: UInt8 = 0x1
    static let ack: UInt8 = 0x1
    static let endHeaders: UInt8 = 0x4
    static let padded: UInt8 = 0x8

    static func frame(_ kind: Kind, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8] = []) -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeInteger(UInt8(payload.count >> 16))
        bytes.writeInteger(UInt16(truncatingIfNeeded: payload.count))
        bytes.writeInteger(kind.rawValue)
        bytes.writeInteger(flags)
        bytes.writeInteger(stream)
        bytes.writeBytes(payload)
        return bytes
    }

    /// The client's preface and its settings, as identifier and value.
    static func opening(_ settings: [(UInt16, UInt32)] = []) -> ByteBuffer {
        join(preface, frame(.settings, settings.flatMap { big($0) + big($1) }))
    }

    static func big<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
        withUnsafeBytes(of: number.bigEndian) { Array($0) }
    }

    /// A gRPC request's head for `path`, without HPACK's table and Huffman's code (RFC 7541, section 6.2.2).
    static func head(_ path: String, more: [(String, String)] = []) -> [UInt8] {
        let fields = [
            (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost"), ("te", "trailers"),
            ("content-type", "application/grpc"),
        ]
        return (fields + more).flatMap { [0] + string($0) + string($1) }
    }

    private static func string(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        guard bytes.count >= 0x7F else { return [UInt8(bytes.count)] + bytes }
        // RFC 7541, section 5.1: what does not fit in seven bits follows in groups of seven.
        var length: [UInt8] = [0x7F]
        var rest = bytes.count - 0x7F
        while rest >= 0x80 {
            length.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        return length + [UInt8(rest)] + bytes
    }

    static func open(_ stream: UInt32, _ path: String) -> ByteBuffer {
        frame(.headers, flags: endHeaders, stream: stream, head(path))
    }

    /// One message with its prefix.
    static func message(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        return [0] + big(UInt32(bytes.count)) + bytes
    }

    static func join(_ parts: ByteBuffer...) -> ByteBuffer { join(parts) }

    static func join(_ parts: [ByteBuffer]) -> ByteBuffer {
        var all = ByteBuffer()
        for part in parts { all.writeImmutableBuffer(part) }
        return all
    }

    static func times(_ count: Int, _ part: ByteBuffer) -> ByteBuffer {
        join(Array(repeating: part, count: count))
    }
}

/// One frame of the server's.
struct ReceivedFrame: Equatable {
    let kind: UInt8
    let flags: UInt8
    let stream: UInt32
    let payload: [UInt8]

    /// The whole frames in `bytes`.
    static func all(in bytes: ByteBuffer) -> [ReceivedFrame] {
        var bytes = bytes
        var frames: [ReceivedFrame] = []
        while bytes.readableBytes >= 9 {
            var rest = bytes
            guard let high = rest.readInteger(as: UInt8.self), let low = rest.readInteger(as: UInt16.self),
                let kind = rest.readInteger(as: UInt8.self), let flags = rest.readInteger(as: UInt8.self),
                let stream = rest.readInteger(as: UInt32.self),
                let payload = rest.readBytes(length: Int(high) << 16 | Int(low))
            else { break }
            bytes = rest
            frames.append(ReceivedFrame(kind: kind, flags: flags, stream: stream & 0x7FFF_FFFF, payload: payload))
        }
        return frames
    }
}
