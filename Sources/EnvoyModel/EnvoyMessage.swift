package import ExtProcServer
package import NIOCore

/// Messages as Envoy's ExtProc filter writes them (`envoy.service.ext_proc.v3.ProcessingRequest`).
package enum EnvoyMessage {
    package typealias Fields = [(name: String, value: String)]

    package enum Part {
        case requestHeaders(Fields, isLast: Bool)
        case responseHeaders(Fields, isLast: Bool)
        case requestBody(ByteBuffer, isLast: Bool)
        case responseBody(ByteBuffer, isLast: Bool)
        case requestTrailers(Fields)
        case responseTrailers(Fields)
    }

    /// - Parameter modes: what Envoy tells in a stream's first message, and only there.
    package static func encode(_ part: Part, modes: BodyModes? = nil, isObservation: Bool = false) -> ByteBuffer {
        var message = ByteBuffer()
        switch part {
        case .requestHeaders(let fields, let isLast): message.write(2, headers(fields, isLast))
        case .responseHeaders(let fields, let isLast): message.write(3, headers(fields, isLast))
        case .requestBody(let bytes, let isLast): message.write(4, body(bytes, isLast))
        case .responseBody(let bytes, let isLast): message.write(5, body(bytes, isLast))
        case .requestTrailers(let fields): message.write(6, headers(fields, false))
        case .responseTrailers(let fields): message.write(7, headers(fields, false))
        }
        if isObservation { message.write(10, number: 1) }
        if let modes {
            var told = ByteBuffer()
            told.write(1, number: modes.request.rawValue)
            told.write(2, number: modes.response.rawValue)
            message.write(11, told)
        }
        return message
    }

    private static func headers(_ fields: Fields, _ isLast: Bool) -> ByteBuffer {
        var map = ByteBuffer()
        for field in fields {
            var entry = ByteBuffer()
            entry.write(1, ByteBuffer(string: field.name))
            // `raw_value`: Envoy writes no other since 1.27.
            entry.write(3, ByteBuffer(string: field.value))
            map.write(1, entry)
        }
        var part = ByteBuffer()
        part.write(1, map)
        part.write(3, number: isLast ? 1 : 0)
        return part
    }

    private static func body(_ bytes: ByteBuffer, _ isLast: Bool) -> ByteBuffer {
        var part = ByteBuffer()
        if bytes.readableBytes > 0 { part.write(1, bytes) }
        part.write(2, number: isLast ? 1 : 0)
        return part
    }
}

extension ByteBuffer {
    /// A field with a length: bytes, text or a message.
    fileprivate mutating func write(_ number: Int, _ content: ByteBuffer) {
        writeInteger(UInt8(number << 3 | 2))
        writeNumber(content.readableBytes)
        writeImmutableBuffer(content)
    }

    fileprivate mutating func write(_ number: Int, number value: Int) {
        guard value != 0 else { return }
        writeInteger(UInt8(number << 3))
        writeNumber(value)
    }

    private mutating func writeNumber(_ value: Int) {
        var rest = value
        while rest >= 0x80 {
            writeInteger(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        writeInteger(UInt8(rest))
    }
}
