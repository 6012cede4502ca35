import NIOCore
import OpenAIWire

/// The endpoints that answer about text instead of with text: embeddings, scores, classes, tokens.
///
/// Answers are a function of the texts alone, so that tests can compare them: equal texts have equal vectors, and texts
/// that share words are closer than others.
struct TextEndpoints: Sendable {
    let config: SimConfig

    /// An answer, and the tokens that it cost.
    struct Result {
        var body: JSONFragment
        var promptTokens: Int
    }

    func embeddings(_ root: JSONValue) throws(SimError) -> Result {
        let (model, lists) = try modelAndInput(root)
        var dimensions = config.embeddingDimensions
        if let wanted = root["dimensions"], !wanted.isNull {
            guard let number = wanted.int, (1...65_536).contains(number) else {
                throw .badRequest("dimensions must be a whole number from 1 to 65536.", "dimensions")
            }
            dimensions = number
        }
        let isBase64 = root["encoding_format"]?.isString(equalTo: "base64") == true
        let data = lists.enumerated().map { index, tokens -> JSONFragment in
            let vector = TextVector(tokens, dimensions: dimensions).values
            return [
                "object": "embedding", "index": JSONFragment(index),
                "embedding": isBase64 ? JSONFragment(base64(vector)) : .array(vector.map { JSONFragment(Double($0)) }),
            ]
        }
        let count = lists.reduce(0) { $0 + $1.count }
        return Result(body: list(model, data, id: "embd", promptTokens: count), promptTokens: count)
    }

    func pooling(_ root: JSONValue) throws(SimError) -> Result {
        let (model, lists) = try modelAndInput(root)
        let data = lists.enumerated().map { index, tokens -> JSONFragment in
            let vector = TextVector(tokens, dimensions: config.embeddingDimensions).values
            return [
                "object": "pooling", "index": JSONFragment(index),
                "data": .array(vector.map { JSONFragment(Double($0)) }),
            ]
        }
        let count = lists.reduce(0) { $0 + $1.count }
        return Result(body: list(model, data, id: "pool", promptTokens: count), promptTokens: count)
    }

    func classify(_ root: JSONValue) throws(SimError) -> Result {
        let (model, lists) = try modelAndInput(root)
        let data = lists.enumerated().map { index, tokens -> JSONFragment in
            // Two classes; the share of one is a hash of the text.
            let first = Double(TextVector.hash(tokens) >> 40) * 0x1p-24
            return [
                "index": JSONFragment(index), "label": first >= 0.5 ? "LABEL_0" : "LABEL_1",
                "probs": .array([JSONFragment(first), JSONFragment(1 - first)]), "num_classes": 2,
            ]
        }
        let count = lists.reduce(0) { $0 + $1.count }
        return Result(body: list(model, data, id: "classify", promptTokens: count), promptTokens: count)
    }

    func rerank(_ root: JSONValue) throws(SimError) -> Result {
        let model = try GenerationRequest.model(root, config)
        guard let query = root["query"]?.string else { throw .badRequest("query: field required.", "query") }
        guard let documents = root["documents"] else { throw .badRequest("documents: field required.", "documents") }
        let lists = try GenerationRequest.tokenLists(documents, "documents")
        let queryTokens = SimTokenizer.encode(query)
        let scores = lists.map { TextVector.similarity(queryTokens, $0) }
        // Best first; of equal ones the first stays first.
        let order = scores.indices.sorted { (-scores[$0], $0) < (-scores[$1], $1) }
        let top = root["top_n"]?.int.flatMap { $0 > 0 ? $0 : nil } ?? lists.count
        let results = order.prefix(top).map { index -> JSONFragment in
            [
                "index": JSONFragment(index), "document": ["text": JSONFragment(SimTokenizer.decode(lists[index]))],
                "relevance_score": JSONFragment(scores[index]),
            ]
        }
        let count = lists.reduce(0) { $0 + $1.count + queryTokens.count }
        return Result(
            body: [
                "id": "rerank-sim", "model": JSONFragment(model), "usage": ["total_tokens": JSONFragment(count)],
                "results": .array(results),
            ],
            promptTokens: count
        )
    }

    func score(_ root: JSONValue) throws(SimError) -> Result {
        let model = try GenerationRequest.model(root, config)
        guard let left = root["text_1"] ?? root["queries"], let right = root["text_2"] ?? root["documents"] else {
            throw .badRequest("text_1 and text_2: fields required.", "text_1")
        }
        var lefts = try GenerationRequest.tokenLists(left, "text_1")
        let rights = try GenerationRequest.tokenLists(right, "text_2")
        if lefts.count == 1 { lefts = Array(repeating: lefts[0], count: rights.count) }
        guard lefts.count == rights.count else {
            throw .badRequest("text_1 must be one text, or as many as text_2.", "text_1")
        }
        let data = zip(lefts, rights).enumerated().map { index, pair -> JSONFragment in
            [
                "index": JSONFragment(index), "object": "score",
                "score": JSONFragment(TextVector.similarity(pair.0, pair.1)),
            ]
        }
        let count = zip(lefts, rights).reduce(0) { $0 + $1.0.count + $1.1.count }
        return Result(body: list(model, data, id: "score", promptTokens: count), promptTokens: count)
    }

    func tokenize(_ root: JSONValue) throws(SimError) -> SimResponse {
        _ = try GenerationRequest.model(root, config)
        let tokens: [UInt32]
        if let prompt = root["prompt"]?.string {
            tokens = SimTokenizer.encode(prompt)
        } else {
            guard root["messages"] != nil else { throw .badRequest("prompt or messages: field required.", "prompt") }
            let tools = root["tools"].flatMap { $0.isArray && $0[0] != nil ? $0 : nil }
            tokens = try GenerationRequest.chat(root["messages"], tools: tools).tokensForAnswer()
        }
        let strings: JSONFragment =
            root["return_token_strs"]?.bool == true
            ? .array(tokens.map { JSONFragment(SimTokenizer.decode([$0])) }) : .null
        return .json([
            "count": JSONFragment(tokens.count), "max_model_len": JSONFragment(config.maxModelTokens),
            "tokens": .array(tokens.map { JSONFragment(Int($0)) }), "token_strs": strings,
        ])
    }

    func detokenize(_ root: JSONValue) throws(SimError) -> SimResponse {
        _ = try GenerationRequest.model(root, config)
        guard let list = root["tokens"], list.isArray else { throw .badRequest("tokens: field required.", "tokens") }
        let tokens = try GenerationRequest.tokens(list, "tokens")
        return .json(["prompt": JSONFragment(SimTokenizer.decode(tokens))])
    }

    private func modelAndInput(_ root: JSONValue) throws(SimError) -> (String, [[UInt32]]) {
        let model = try GenerationRequest.model(root, config)
        let lists: [[UInt32]]
        if let input = root["input"], !input.isNull {
            lists = try GenerationRequest.tokenLists(input, "input")
        } else {
            guard root["messages"] != nil else { throw .badRequest("input: field required.", "input") }
            lists = [try GenerationRequest.chat(root["messages"], tools: nil).tokensForAnswer()]
        }
        if let long = lists.first(where: { $0.count > config.maxModelTokens }) {
            throw .badRequest(
                "The model's maximum context length is \(config.maxModelTokens) tokens, but an input has \(long.count).",
                "input"
            )
        }
        return (model, lists)
    }

    private func list(_ model: String, _ data: [JSONFragment], id: String, promptTokens: Int) -> JSONFragment {
        [
            "id": JSONFragment("\(id)-sim"), "object": "list", "created": 0, "model": JSONFragment(model),
            "data": .array(data),
            "usage": [
                "prompt_tokens": JSONFragment(promptTokens), "total_tokens": JSONFragment(promptTokens),
                "completion_tokens": 0,
            ],
        ]
    }

    /// Float32, little-endian, in base 64 (RFC 4648, section 4): what OpenAI's client libraries ask for by default.
    private func base64(_ vector: [Float]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        let bytes = vector.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) } }
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            for position in 0..<4 {
                text.append(position <= group.count ? alphabet[bits >> (18 - 6 * position) & 63] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// A text's place in a space of words: the sum of a fixed pseudo-random direction per token, of length 1.
struct TextVector {
    let values: [Float]

    init(_ tokens: [UInt32], dimensions: Int) {
        var sums = [Float](repeating: 0, count: dimensions)
        for token in tokens {
            var random = SimRandom(seed: UInt64(token))
            for index in sums.indices { sums[index] += Float(random.unit() - 0.5) }
        }
        let length = sums.reduce(0) { $0 + $1 * $1 }.squareRoot()
        values = length > 0 ? sums.map { $0 / length } : sums
    }

    /// The share of the smaller text's distinct tokens that the other one has too, 0…1.
    static func similarity(_ left: [UInt32], _ right: [UInt32]) -> Double {
        let (left, right) = (Set(left), Set(right))
        let smaller = min(left.count, right.count)
        return smaller == 0 ? 0 : Double(left.intersection(right).count) / Double(smaller)
    }

    static func hash(_ tokens: [UInt32]) -> UInt64 {
        var random = SimRandom(seed: tokens.reduce(0) { $0 &* 31 &+ UInt64($1) })
        return random.next()
    }
}
