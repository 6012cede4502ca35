package import NIOCore

/// Writes server-sent events (WHATWG HTML section 9.2.6).
package enum SSEEncoder {
    /// The event that ends an OpenAI stream: `data: [DONE]`.
    package static let done = encode(ByteBuffer(string: ChatChunk.done))

    /// One event. `data` with line breaks becomes several `data` lines, which a decoder joins by line feeds.
    package static func encode(_ data: ByteBuffer, type: String? = nil, id: String? = nil) -> ByteBuffer {
        // One field line and the empty line, in the usual case.
        var buffer = ByteBufferAllocator().buffer(capacity: data.readableBytes + 16)
        write(data, type: type, id: id, to: &buffer)
        return buffer
    }

    /// Appends one event to `buffer`.
    package static func write(
        _ data: ByteBuffer,
        type: String? = nil,
        id: String? = nil,
        to buffer: inout ByteBuffer
    ) {
        if let type { writeField("event: ", type, to: &buffer) }
        if let id { writeField("id: ", id, to: &buffer) }
        var rest = data.readableBytesView[...]
        while true {
            buffer.writeStaticString("data: ")
            guard let end = rest.firstIndex(where: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }) else {
                buffer.writeBytes(rest)
                buffer.writeStaticString("\n\n")
                return
            }
            buffer.writeBytes(rest[..<end])
            buffer.writeStaticString("\n")
            let isPair = rest[end...].starts(with: [UInt8(ascii: "\r"), UInt8(ascii: "\n")])
            rest = rest[(end + (isPair ? 2 : 1))...]
        }
    }

    /// Appends a comment, which decoders skip: it keeps an idle connection open.
    package static func writeComment(_ text: String, to buffer: inout ByteBuffer) {
        writeField(": ", text, to: &buffer)
        buffer.writeStaticString("\n")
    }

    /// A field's value cannot hold line breaks or NUL; they are left out.
    private static func writeField(_ name: StaticString, _ value: String, to buffer: inout ByteBuffer) {
        buffer.writeStaticString(name)
        buffer.writeBytes(value.utf8.filter { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") && $0 != 0 })
        buffer.writeStaticString("\n")
    }
}
