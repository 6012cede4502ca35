import Foundation
import HTTPTransport
import NIOCore
import NIOHTTP1
import Testing

@Suite("Response encoder")
struct ResponseEncoderTests {
    private func head(_ method: HTTPMethod = .POST, minor: Int = 1) -> HTTPRequestHead {
        HTTPRequestHead(version: HTTPVersion(major: 1, minor: minor), method: method, uri: "/")
    }

    private func encode(
        _ pieces: [ByteBuffer],
        length: Int?,
        to request: HTTPRequestHead,
        status: HTTPResponseStatus = .ok,
        keepAlive: Bool = true,
        flushingEach: Bool = false
    ) -> (text: String, writes: Int) {
        var encoder = ResponseEncoder()
        var output = ByteBuffer()
        var writes = 0
        let emit: (ByteBuffer) -> Void = {
            output.writeImmutableBuffer($0)
            writes += 1
        }
        encoder.start(status: status, headers: ["x-a": "1"], length: length, to: request, keepAlive: keepAlive)
        for piece in pieces {
            encoder.append(piece, emit)
            if flushingEach { encoder.flush(emit) }
        }
        encoder.finish(emit)
        return (String(buffer: output), writes)
    }

    @Test("A body of known length leaves with its head in one write")
    func wholeBody() {
        let (text, writes) = encode([ByteBuffer(string: "hello")], length: 5, to: head())
        #expect(text == "HTTP/1.1 200 OK\r\nx-a: 1\r\ncontent-length: 5\r\n\r\nhello")
        #expect(writes == 1)
    }

    @Test("Pieces that come together leave as one chunk")
    func gathersChunks() {
        let pieces = ["data: a\n\n", "data: b\n\n"].map { ByteBuffer(string: $0) }
        let (text, writes) = encode(pieces, length: nil, to: head())
        #expect(
            text == "HTTP/1.1 200 OK\r\nx-a: 1\r\ntransfer-encoding: chunked\r\n\r\n"
                + "0012\r\ndata: a\n\ndata: b\n\n\r\n0\r\n\r\n"
        )
        #expect(writes == 1)
    }

    @Test("A flush ends the chunk, so that what was written can be read at once")
    func flushesEachChunk() {
        let pieces = ["one", "two"].map { ByteBuffer(string: $0) }
        let (text, writes) = encode(pieces, length: nil, to: head(), flushingEach: true)
        #expect(text.hasSuffix("\r\n\r\n0003\r\none\r\n0003\r\ntwo\r\n0\r\n\r\n"))
        #expect(writes == 3)
    }

    @Test("Large pieces are framed by themselves and all bytes arrive in order", arguments: [true, false])
    func largePieces(chunked: Bool) throws {
        let sizes = [10, ResponseEncoder.copyLimit, 3, 70_000, ResponseEncoder.copyLimit - 1, 60_000]
        let pieces = sizes.enumerated().map {
            ByteBuffer(repeating: UInt8(ascii: "a") + UInt8($0.offset), count: $0.element)
        }
        let total = sizes.reduce(0, +)
        let (text, _) = encode(pieces, length: chunked ? nil : total, to: head())
        let bodyStart = try #require(text.range(of: "\r\n\r\n")).upperBound
        var body = String(text[bodyStart...])
        if chunked { body = try dechunk(body) }
        #expect(body == pieces.map { String(buffer: $0) }.joined())
    }

    @Test("Many small pieces never make a chunk larger than its size field")
    func manySmallPieces() throws {
        let pieces = (0..<3000).map { _ in ByteBuffer(repeating: UInt8(ascii: "x"), count: 97) }
        let (text, _) = encode(pieces, length: nil, to: head())
        let bodyStart = try #require(text.range(of: "\r\n\r\n")).upperBound
        #expect(try dechunk(String(text[bodyStart...])).utf8.count == 3000 * 97)
    }

    @Test(
        "Answers without a body write none",
        arguments: [
            (HTTPMethod.HEAD, HTTPResponseStatus.ok, true), (.GET, .noContent, false), (.GET, .notModified, true),
        ]
    )
    func noBody(method: HTTPMethod, status: HTTPResponseStatus, hasLength: Bool) {
        let (text, _) = encode([ByteBuffer(string: "hello")], length: 5, to: head(method), status: status)
        #expect(text.hasSuffix("\r\n\r\n"))
        #expect(text.contains("content-length: 5") == hasLength)
        #expect(!text.contains("hello"))
    }

    @Test("HTTP/1.0 gets an unframed body that ends with the connection")
    func oldProtocol() {
        let (text, _) = encode([ByteBuffer(string: "hello")], length: nil, to: head(minor: 0))
        #expect(text == "HTTP/1.1 200 OK\r\nx-a: 1\r\nconnection: close\r\n\r\nhello")
    }

    @Test("HTTP/1.0 that asks to keep the connection is told that it is kept")
    func oldKeepAlive() {
        let (text, _) = encode([ByteBuffer(string: "hi")], length: 2, to: head(minor: 0))
        #expect(text.contains("connection: keep-alive\r\n"))
    }

    @Test("Decimal numbers", arguments: [0, 7, 10, 99, 12_345, Int.max])
    func decimals(number: Int) {
        var buffer = ByteBuffer()
        buffer.writeDecimal(number)
        #expect(String(buffer: buffer) == "\(number)")
    }

    /// A plain reading of RFC 9112 section 7.1.
    private func dechunk(_ text: String) throws -> String {
        var rest = Substring(text)
        var body = ""
        while true {
            let line = try #require(rest.range(of: "\r\n"))
            let size = try #require(Int(rest[..<line.lowerBound], radix: 16))
            rest = rest[line.upperBound...]
            if size == 0 {
                #expect(rest == "\r\n")
                return body
            }
            let end = rest.utf8.index(rest.startIndex, offsetBy: size)
            body += rest[..<end]
            #expect(rest[end...].hasPrefix("\r\n"))
            rest = rest[rest.utf8.index(end, offsetBy: 2)...]
        }
    }
}
