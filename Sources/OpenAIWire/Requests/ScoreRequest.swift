/// A request to vLLM's `/v1/score`: two lists that are scored pair by pair, or one against all.
package struct ScoreRequest: Sendable {
    private let root: JSONValue

    package init(_ request: TextRequest) { root = request.root }

    /// What vLLM calls the two sides, the names it prefers first (vllm/entrypoints/pooling/scoring/protocol.py).
    private static let names = [
        ("queries", "documents"), ("queries", "items"), ("data_1", "data_2"), ("text_1", "text_2"),
    ]

    /// The queries, and what is scored against them.
    package var sides: (queries: [ScoreInput], documents: [ScoreInput]) {
        get throws(RouterError) {
            for (first, second) in ScoreRequest.names {
                guard let queries = root.given(first), let documents = root.given(second) else { continue }
                return (try ScoreInput.list(queries), try ScoreInput.list(documents))
            }
            throw .invalidRequest(
                "queries and documents (or text_1 and text_2) are missing",
                parameter: root.given("queries") == nil ? "queries" : "documents"
            )
        }
    }

    func collect(into collector: inout TextCollector) throws(RouterError) {
        let sides = try sides
        collector.text(root.given("instruction"), .system, isContent: false)
        collector.strings(in: root.given("chat_template_kwargs"), .other)
        collector.scored(sides.queries, .user)
        collector.scored(sides.documents, .document)
    }
}

/// A request to `/v1/rerank`, in the form of Jina's and Cohere's APIs.
package struct RerankRequest: Sendable {
    private let root: JSONValue

    package init(_ request: TextRequest) { root = request.root }

    package var query: ScoreInput {
        get throws(RouterError) {
            guard let query = root.given("query") else { throw root.missing("query") }
            return try ScoreInput(query)
        }
    }

    package var documents: [ScoreInput] {
        get throws(RouterError) {
            guard let documents = root.given("documents") else { throw root.missing("documents") }
            return try ScoreInput.list(documents)
        }
    }

    func collect(into collector: inout TextCollector) throws(RouterError) {
        collector.text(root.given("instruction"), .system, isContent: false)
        collector.strings(in: root.given("chat_template_kwargs"), .other)
        collector.scored([try query], .user)
        collector.scored(try documents, .document)
    }
}

/// A text to be scored or ranked: a string, Cohere's `{"text": …}`, or vLLM's `{"content": [parts]}`.
package enum ScoreInput: Sendable {
    case text(JSONValue)
    case parts([ContentPart])

    init(_ value: JSONValue) throws(RouterError) {
        if value.isString {
            self = .text(value)
        } else if value.isObject, let content = value.given("content") {
            switch try MessageContent(content) {
            case .none: self = .parts([])
            case .text(let text): self = .text(text)
            case .parts(let parts): self = .parts(parts)
            }
        } else if value.isObject, let text = value.given("text") {
            self = .text(try text.expect(.string))
        } else {
            throw value.mustBe("a string, an object with text, or an object with content parts")
        }
    }

    /// One input, or a list of them.
    static func list(_ value: JSONValue) throws(RouterError) -> [ScoreInput] {
        guard value.isArray else { return [try ScoreInput(value)] }
        var inputs: [ScoreInput] = []
        for element in value.elements { inputs.append(try ScoreInput(element)) }
        return inputs
    }
}
