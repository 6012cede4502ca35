import Gateway
import NIOHTTP1
import OpenAIWire
import Testing

@Suite("Routes")
struct RoutesTests {
    @Test(
        "Paths that vLLM serves",
        arguments: [
            (HTTPMethod.POST, "/v1/chat/completions", Route.text(.chatCompletions)),
            (.POST, "/v1/completions", .text(.completions)), (.POST, "/v1/responses", .text(.responses)),
            (.POST, "/v1/messages", .text(.messages)), (.POST, "/v1/embeddings", .text(.embeddings)),
            (.POST, "/v1/rerank", .text(.rerank)), (.POST, "/rerank", .text(.rerank)),
            (.POST, "/v2/rerank", .text(.rerank)), (.POST, "/v1/score", .text(.score)),
            (.POST, "/score", .text(.score)),
            (.POST, "/tokenize", .text(.tokenize)), (.POST, "/detokenize", .text(.detokenize)),
            (.POST, "/classify", .text(.classify)), (.POST, "/pooling", .text(.pooling)),
            (.POST, "/v1/audio/speech", .json), (.POST, "/v1/images/generations", .json),
            (.POST, "/v1/audio/transcriptions", .form), (.POST, "/v1/audio/translations", .form),
            (.POST, "/v1/images/edits", .form), (.GET, "/is_sleeping", .worker(changesState: false)),
            (.POST, "/sleep", .worker(changesState: true)), (.POST, "/wake_up", .worker(changesState: true)),
            (.POST, "/v1/load_lora_adapter", .worker(changesState: true)), (.GET, "/v1/models", .local(.models)),
            (.GET, "/v1/models/meta-llama/Llama-3.1-8B", .local(.model(id: "meta-llama/Llama-3.1-8B"))),
            (.GET, "/v1/models/a%2Fb", .local(.model(id: "a/b"))), (.GET, "/health", .local(.health)),
            (.HEAD, "/health", .local(.health)), (.GET, "/version", .local(.version)),
            (.GET, "/engines", .local(.engines)),
            (.GET, "/metrics", .local(.metrics)),
        ] as [(HTTPMethod, String, Route)]
    )
    func known(method: HTTPMethod, path: String, route: Route) throws {
        #expect(try Routes.route(method, path) == route)
    }

    @Test(
        "Everything else is unknown",
        arguments: [
            "/", "", "/v1", "/v1/chat", "/v1/chat/completions/", "/V1/models", "/v1/models/", "//v1/models", "*",
        ]
    )
    func unknown(path: String) {
        let error = #expect(throws: RouterError.self) { _ = try Routes.route(.GET, path) }
        #expect(error?.code == .routeNotFound)
    }

    @Test("A known path by another method is not allowed, and says by which it is")
    func wrongMethod() {
        let error = #expect(throws: RouterError.self) { _ = try Routes.route(.GET, "/v1/chat/completions") }
        #expect(error?.code == .methodNotAllowed)
        #expect(error?.message == "This path takes POST, not GET.")
    }
}
