import NIOCore
import OpenAIWire
import Testing

@Suite("Multipart fields")
struct MultipartFieldTests {
    private func form(_ parts: [(head: String, body: String)], boundary: String = "B") -> ByteBuffer {
        var buffer = ByteBuffer()
        for part in parts { buffer.writeString("--\(boundary)\r\n\(part.head)\r\n\r\n\(part.body)\r\n") }
        buffer.writeString("--\(boundary)--\r\n")
        return buffer
    }

    private func model(in body: ByteBuffer, type: String = "multipart/form-data; boundary=B") throws -> String? {
        try MultipartField.find("model", in: body, contentType: type)?.value
    }

    @Test(
        "The field is found however its head is spelled",
        arguments: [
            "content-disposition: form-data; name=\"model\"", "Content-Disposition: form-data; NAME=model",
            "x-other: 1\r\nContent-Disposition: form-data;name=\"model\"",
            "content-disposition: form-data; name=\"mod\\el\"",
        ]
    )
    func found(head: String) throws {
        #expect(try model(in: form([(head, "whisper")])) == "whisper")
    }

    @Test(
        "What only looks like the field is not taken for it",
        arguments: [
            "content-disposition: form-data; name=\"x;name=model\"", "content-disposition: form-data; name=\"models\"",
            "content-disposition: form-data; name=\"model\"; filename=\"a\"", "x: form-data; name=\"model\"",
        ]
    )
    func notFound(head: String) throws {
        #expect(try model(in: form([(head, "whisper")])) == nil)
    }

    @Test("Of several fields the last one counts")
    func last() throws {
        let head = "content-disposition: form-data; name=model"
        #expect(
            try model(in: form([(head, "a"), ("content-disposition: form-data; name=x", "y"), (head, "b")])) == "b"
        )
    }

    @Test("Contents that look like delimiters or heads are contents")
    func lookalikes() throws {
        let body = form([
            ("content-disposition: form-data; name=file; filename=a", "\r\n--C\r\n--b\r\nname=model\r\n\r\n-B"),
            ("content-disposition: form-data; name=model", "m"),
        ])
        #expect(try model(in: body) == "m")
    }

    @Test("Replacing the value changes nothing else")
    func replaced() throws {
        let body = form([
            ("content-disposition: form-data; name=model", "alias"),
            ("content-disposition: form-data; name=x", "alias"),
        ])
        let field = try #require(
            try MultipartField.find("model", in: body, contentType: "multipart/form-data; boundary=\"B\"")
        )
        let edited = String(buffer: field.replaced(by: "a-much-longer-name", in: body))
        #expect(edited == String(buffer: body).replacing("alias", with: "a-much-longer-name", maxReplacements: 1))
    }

    @Test("A form cut anywhere is refused or has no field, and never crashes")
    func everyCut() {
        let whole = form([
            ("content-disposition: form-data; name=x", "y"), ("content-disposition: form-data; name=model", "m"),
        ])
        for count in 0..<whole.readableBytes {
            var cut = whole
            cut.moveWriterIndex(to: count)
            #expect((try? model(in: cut)) != "m" || count >= whole.readableBytes - 4)
        }
    }

    @Test("Forms made to be expensive are refused")
    func bounds() {
        let longHead = form([("x: \(String(repeating: "a", count: 10_000))", "")])
        #expect(throws: RouterError.self) { try model(in: longHead) }
        let manyParts = form(Array(repeating: ("content-disposition: form-data; name=x", ""), count: 1001))
        #expect(throws: RouterError.self) { try model(in: manyParts) }
        let longValue = form([("content-disposition: form-data; name=model", String(repeating: "m", count: 2000))])
        #expect(throws: RouterError.self) { try model(in: longValue) }
    }

    @Test(
        "A content type without a usable boundary is refused",
        arguments: ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; x=boundary=B"]
    )
    func noBoundary(type: String) {
        #expect(throws: RouterError.self) { try model(in: form([]), type: type) }
    }
}
