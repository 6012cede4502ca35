import ExtProcServer
import NIOCore
import OpenAIWire
import Testing

@Suite("Envoy's words for our edits")
struct ExtProcTranslatorTests {
    private func mutation(_ edits: [HeaderEdit]) -> HeaderMutation { HeaderMutation(edits) }

    @Test("Each name is told once how it ends, in the order in which it was first named")
    func edits() {
        typealias Field = HeaderMutation.Field
        let cases: [([HeaderEdit], HeaderMutation)] = [
            ([], HeaderMutation()),
            ([.set(name: "A", value: "1")], HeaderMutation(fields: [Field("a", "1")])),
            ([.add(name: "a", value: "1")], HeaderMutation(fields: [Field("a", "1", .append)])),
            ([.remove(name: "A")], HeaderMutation(removed: ["a"])),
            (
                [.add(name: "a", value: "1"), .add(name: "A", value: "2")],
                HeaderMutation(fields: [Field("a", "1", .append), Field("a", "2", .append)])
            ),
            (
                [.set(name: "a", value: "1"), .add(name: "a", value: "2")],
                HeaderMutation(fields: [Field("a", "1"), Field("a", "2", .append)])
            ),
            (
                [.add(name: "a", value: "1"), .set(name: "a", value: "2")],
                HeaderMutation(fields: [Field("a", "2")])
            ),
            ([.add(name: "a", value: "1"), .remove(name: "a")], HeaderMutation(removed: ["a"])),
            (
                [.remove(name: "a"), .add(name: "a", value: "1"), .add(name: "a", value: "2")],
                HeaderMutation(fields: [Field("a", "1"), Field("a", "2", .append)])
            ),
            (
                [.set(name: "b", value: ""), .set(name: "a", value: "x"), .remove(name: "b"), .remove(name: "c")],
                HeaderMutation(fields: [Field("a", "x")], removed: ["b", "c"])
            ),
        ]
        for (edits, expected) in cases { #expect(mutation(edits) == expected, "\(edits)") }
    }

    @Test("What Envoy would answer 500 to is left out", arguments: ["", "a b", "a:b", ":path", "a\n", "ä", "(a)"])
    func names(name: String) {
        let kept = HeaderMutation.Field("x-kept", "1")
        let edits: [HeaderEdit] = [
            .set(name: name, value: "1"), .add(name: name, value: "1"), .remove(name: name),
            .set(name: "x-kept", value: "1"),
        ]
        #expect(mutation(edits) == HeaderMutation(fields: [kept]))
    }

    @Test(
        "A value without control characters is told, another is not",
        arguments: [
            ("", true), ("plain", true), ("tab\there", true), ("ümläut 世界", true), ("a\nb", false), ("a\r", false),
            ("\0", false), ("\u{7F}", false),
        ]
    )
    func values(value: String, isTold: Bool) {
        let expected = isTold ? [HeaderMutation.Field("a", value)] : []
        #expect(mutation([.set(name: "a", value: value)]).fields == expected)
    }

    @Test("An answer of ours comes whole, with the request's id; names that stand twice stay twice")
    func local() throws {
        var local = LocalResponse.events([ByteBuffer(string: "data: 1\n\n"), ByteBuffer(string: "data: [DONE]\n\n")])
        local.add([("set-cookie", "a"), ("set-cookie", "b"), ("x-request-id", "forged")])
        let head = RequestHead(try Messages.fields([("x-request-id", "id-7")]))
        let response = ImmediateResponse(local, to: head, details: "why")
        #expect(response.status == 200 && response.details == "why")
        #expect(response.body == ByteBuffer(string: "data: 1\n\ndata: [DONE]\n\n"))
        #expect(
            response.headers
                == HeaderMutation(fields: [
                    .init("content-type", "text/event-stream"), .init("set-cookie", "a"),
                    .init("set-cookie", "b", .append), .init("x-request-id", "id-7"),
                ])
        )
        #expect(ImmediateResponse(.json(ByteBuffer(string: "{}")), to: nil, details: "").headers.fields.count == 1)
    }

    @Test("An error becomes the answer that the gateway gives to it, named in the access log")
    func errors() {
        let codes: [RouterError.Code] = [.invalidJSON, .invalidAPIKey, .forbidden, .overloaded, .internalError]
        for code in codes {
            let error = RouterError(code, origin: .client, "Said: \"no\".", retryable: true)
            let local = ErrorResponder.respond(to: error)
            let response = ImmediateResponse(error, to: nil)
            #expect(response.status == local.statusCode && response.details == "sextant_\(code.rawValue)")
            #expect(LocalResponse.Body.whole(response.body) == local.body)
            #expect(response.headers.fields.map(\.name) == local.fields.map(\.name))
            #expect(response.headers.fields.map(\.value) == local.fields.map(\.value))
        }
    }
}
