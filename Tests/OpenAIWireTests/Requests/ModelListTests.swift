import NIOCore
import OpenAIWire
import Testing

@Suite struct ModelListTests {
    @Test("A list is written as OpenAI's API has it, and read back")
    func roundTrip() throws {
        let list = ModelList([
            .init(id: "m", created: 7, ownedBy: "vllm", root: "/models/m", maxModelTokens: 4096),
            .init(id: "a\"b", parent: "m"),
        ])
        let expected =
            #"{"object":"list","data":[{"id":"m","object":"model","created":7,"owned_by":"vllm","root":"/models/m","#
            + #""max_model_len":4096},{"id":"a\"b","object":"model","created":0,"owned_by":"vllm","parent":"m"}]}"#
        #expect(String(buffer: list.json) == expected)
        #expect(try ModelList(parsing: list.json) == list)
        #expect(ModelList(list.entries + list.entries.map { .init(id: $0.id, ownedBy: "another") }) == list)
        #expect(String(buffer: ModelList().json) == #"{"object":"list","data":[]}"#)
    }

    @Test("A worker's list may say more, or less")
    func lenient() throws {
        let body = """
            {"object": "list", "data": [{"id": "m", "object": "model", "created": "soon", "permission": [{}],
                "parent": null}, {"name": "nameless"}, 5]}
            """
        #expect(try ModelList(parsing: ByteBuffer(string: body)).entries == [.init(id: "m", ownedBy: "")])
    }

    @Test("What is no list is the worker's fault", arguments: ["", "{}", "[]", #"{"data": {}}"#, "<html>"])
    func mistakes(body: String) throws {
        let error = try routerError { () throws(RouterError) in
            _ = try ModelList(parsing: ByteBuffer(string: body))
        }
        #expect(error.code == .workerUnavailable)
        #expect(error.origin == .upstream)
    }
}
