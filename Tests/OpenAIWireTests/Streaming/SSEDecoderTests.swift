import NIOCore
import OpenAIWire
import Testing

@Suite struct SSEDecoderTests {
    /// An event as type, data and id.
    private struct Seen: Equatable {
        var type = "message"
        var data: String
        var id = ""
    }

    private func decode(_ pieces: [ByteBuffer], maxEventBytes: Int = 1 << 20) throws(SSEError) -> [Seen] {
        var decoder = SSEDecoder(maxEventBytes: maxEventBytes)
        var events: [Seen] = []
        for piece in pieces {
            decoder.receive(piece)
            while let event = try decoder.next() {
                events.append(Seen(type: event.type, data: String(buffer: event.data), id: event.lastEventID))
            }
        }
        return events
    }

    private static let streams: [(stream: String, events: [Seen])] = [
        ("data: a\n\ndata: [DONE]\n\n", [Seen(data: "a"), Seen(data: "[DONE]")]),
        ("data: a\r\n\r\ndata: b\r\rdata: c\n\n", [Seen(data: "a"), Seen(data: "b"), Seen(data: "c")]),
        ("data: a\ndata:b\ndata:  c\ndata\n\n", [Seen(data: "a\nb\n c\n")]),
        (
            "event: token\nid: 7\ndata: x\n\ndata: y\n\n",
            [Seen(type: "token", data: "x", id: "7"), Seen(data: "y", id: "7")]
        ),
        ("id: 1\n\nid\ndata: x\n\n", [Seen(data: "x")]), ("id: a\u{0}b\ndata: x\n\n", [Seen(data: "x")]),
        (": comment\n:\ndata: x\n: another\n\n", [Seen(data: "x")]),
        ("\u{FEFF}data: x\n\n\u{FEFF}data: y\n\n", [Seen(data: "x")]),
        ("event: lonely\n\ndata: x\n\n", [Seen(data: "x")]), ("event:\ndata: x\n\n", [Seen(data: "x")]),
        ("data\n\ndata\ndata\n\ndata:", [Seen(data: ""), Seen(data: "\n")]),
        ("data: cut off\n", []), ("data: x\n\ndata: cut", [Seen(data: "x")]), ("\n\n\r\r\n", []),
        ("unknown: x\nDATA: y\ndatax: z\ndata: ok\n\n", [Seen(data: "ok")]),
        ("data: {\"a\": \"b: c\"}\n\n", [Seen(data: "{\"a\": \"b: c\"}")]), ("data: 中😀\n\n", [Seen(data: "中😀")]),
        ("data:\r\ndata:\r\n\r\n", [Seen(data: "\n")]),
    ]

    @Test("The standard's grammar, whole and cut at every byte", arguments: SSEDecoderTests.streams.indices)
    func cuts(index: Int) throws {
        let (stream, events) = SSEDecoderTests.streams[index]
        let bytes = Array(stream.utf8)
        #expect(try decode([ByteBuffer(bytes: bytes)]) == events)
        for cut in 0...bytes.count {
            let pieces = [ByteBuffer(bytes: bytes[..<cut]), ByteBuffer(bytes: bytes[cut...])]
            #expect(try decode(pieces) == events, "cut at \(cut)")
        }
        #expect(try decode(bytes.map { ByteBuffer(bytes: [$0]) }) == events)
    }

    @Test("Buffers may be received before the events of earlier ones are taken")
    func lateReading() throws {
        var decoder = SSEDecoder()
        for byte in "data: a\r\n\r\ndata: b\n\n".utf8 { decoder.receive(ByteBuffer(bytes: [byte])) }
        #expect(try decoder.next()?.data == ByteBuffer(string: "a"))
        #expect(try decoder.next()?.data == ByteBuffer(string: "b"))
        #expect(try decoder.next() == nil)
    }

    @Test("Data on one line in one buffer is not copied")
    func sharing() throws {
        let buffer = ByteBuffer(string: "data: {\"a\": \"long enough to need storage of its own\"}\n\n")
        var decoder = SSEDecoder()
        decoder.receive(buffer)
        let event = try #require(try decoder.next())
        let start = buffer.withUnsafeReadableBytes { $0.baseAddress }
        #expect(event.data.withUnsafeReadableBytes { $0.baseAddress } == start.map { $0 + 6 })
    }

    @Test("An event, a line or a comment that never ends is an error, and stays one")
    func limit() throws {
        let error = SSEError.eventTooLarge(limitBytes: 10)
        #expect(try decode([ByteBuffer(string: "data: 1234\n\n")], maxEventBytes: 10) == [Seen(data: "1234")])
        for stream in ["data: 12345\n\n", "data: 12345", ": 123456789\n", "data: 1\ndata: 2\ndata: 34567\n\n"] {
            #expect(throws: error) { try decode([ByteBuffer(string: stream)], maxEventBytes: 10) }
            #expect(throws: error) { try decode(stream.utf8.map { ByteBuffer(bytes: [$0]) }, maxEventBytes: 10) }
        }
        var decoder = SSEDecoder(maxEventBytes: 10)
        decoder.receive(ByteBuffer(string: "data: 12345\n\n"))
        #expect(throws: error) { try decoder.next() }
        decoder.receive(ByteBuffer(string: "data: x\n\n"))
        #expect(throws: error) { try decoder.next() }
    }

    @Test("A reconnection time is kept when it is a number")
    func retry() throws {
        var decoder = SSEDecoder()
        for (text, expected) in [("retry: 10x\n", nil), ("retry:\n", nil), ("retry: 2500\n", 2500)] as [(String, Int?)]
        {
            decoder.receive(ByteBuffer(string: text))
            #expect(try decoder.next() == nil)
            #expect(decoder.retryMilliseconds == expected)
        }
    }

    @Test("The end of an OpenAI stream is told from a chunk")
    func done() {
        #expect(SSEEvent(data: ByteBuffer(string: "[DONE]")).isDone)
        #expect(!SSEEvent(data: ByteBuffer(string: "{}")).isDone)
        #expect(!SSEEvent(data: ByteBuffer(string: "[DONE] ")).isDone)
    }
}

@Suite struct SSEEncoderTests {
    @Test("Events are written as OpenAI and Anthropic write them")
    func framing() {
        #expect(String(buffer: SSEEncoder.done) == "data: [DONE]\n\n")
        #expect(String(buffer: SSEEncoder.encode(ByteBuffer(string: "{}"))) == "data: {}\n\n")
        let event = SSEEncoder.encode(ByteBuffer(string: "{}"), type: "ping\n", id: "1\r2")
        #expect(String(buffer: event) == "event: ping\nid: 12\ndata: {}\n\n")
        var buffer = ByteBuffer()
        SSEEncoder.writeComment("keep\nalive", to: &buffer)
        #expect(String(buffer: buffer) == ": keepalive\n\n")
    }

    @Test(
        "Data comes back as it went, but for the kind of its line breaks",
        arguments: ["", "a", "a\nb", "\n", "a\r\nb\rc\n", " x"]
    )
    func roundTrip(data: String) throws {
        var decoder = SSEDecoder()
        decoder.receive(SSEEncoder.encode(ByteBuffer(string: data)))
        let expected = data.replacing("\r\n", with: "\n").replacing("\r", with: "\n")
        #expect(try decoder.next()?.data == ByteBuffer(string: expected))
        #expect(try decoder.next() == nil)
    }
}
