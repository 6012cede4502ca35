import AdminAPI
import NIOCore
import NIOHTTP1
import OpenAIWire
import Synchronization
import Testing

/// Models that answer what a test says.
private struct ScriptedModels: ManagedModels {
    let all: [LoadedModel]
    let answer: @Sendable ([String], String, Int) throws(RouterError) -> [[Float]]

    func embed(_ texts: [String], model: String, dimension: Int) async throws(RouterError) -> [[Float]] {
        try answer(texts, model, dimension)
    }
}

@Suite("Management endpoints that ask embedding models")
struct EmbeddingEndpointTests {
    private static let time = "2026-01-02T03:04:05.678Z"

    private static func model(
        _ name: String,
        _ dimensions: [Int],
        bytes: Int? = nil,
        tier: Int = 2
    ) -> LoadedModel {
        var model = LoadedModel(name: name, type: "embedding", isLoaded: true)
        model.memoryBytes = bytes
        model.embedding = EmbeddingOffer(
            tier: tier,
            defaultDimension: dimensions.max() ?? 0,
            dimensions: dimensions,
            maxTokens: 512
        )
        return model
    }

    /// Each vector is `[bytes of the text, 1, 0, …]`.
    private static let small = ScriptedModels(all: [model("small", [2, 4])]) { texts, _, dimension in
        texts.map { text in [Float(text.utf8.count), 1] + [Float](repeating: 0, count: dimension - 2) }
    }

    private func ask(
        _ path: String,
        _ body: String,
        of models: (any ManagedModels)? = small,
        now: (@Sendable () -> NIODeadline)? = nil
    ) async throws -> (status: HTTPResponseStatus, text: String, headers: HTTPHeaders) {
        var process = ManagedProcess(
            service: "sextant-test",
            version: "1.2.3",
            timestamp: { Self.time },
            readiness: { Readiness(phase: .ready, message: "", since: "") }
        )
        process.models = models
        if let now { process.now = now }
        let method: HTTPMethod = body.isEmpty ? .GET : .POST
        let route = try #require(ManagementRoute.catalogue.first { $0.method == method && $0.path == path })
        let request = ManagementRequest(body: ByteBuffer(string: body))
        let response =
            switch try #require(route.handler(process)) {
            case .immediate(let handle): handle(request)
            case .waiting(let handle): await handle(request)
            }
        guard case .whole(let bytes) = response.body else { return (response.status, "", response.headers) }
        return (response.status, String(buffer: bytes), response.headers)
    }

    private func json(_ text: String) throws -> JSONValue { try JSONDocument(ByteBuffer(string: text)).root }

    /// Goes on by 4.5 ms whenever it is read.
    private final class SteppingClock: Sendable {
        private let reads = Atomic<UInt64>(0)

        func now() -> NIODeadline {
            .uptimeNanoseconds(reads.add(1, ordering: .relaxed).newValue * 4_500_000)
        }
    }

    // MARK: Answers

    @Test("Every text gets its vector, in upstream's shape")
    func embeddings() async throws {
        let body = #"{"texts":["abc","é"],"model":"small","dimension":2,"sequence_length":9}"#
        let answer = try await ask("/api/v1/embeddings", body, now: SteppingClock().now)
        #expect(answer.status == .ok && answer.headers["content-type"] == ["application/json"])
        #expect(
            answer.text == """
                {"embeddings":[\
                {"text":"abc","embedding":[3.0,1.0],"dimension":2,"model_used":"small","processing_time_ms":2},\
                {"text":"é","embedding":[2.0,1.0],"dimension":2,"model_used":"small","processing_time_ms":2}],\
                "total_count":2,"total_processing_time_ms":4,"avg_processing_time_ms":2.25}
                """
        )
    }

    @Test("Numbers are written as short as their precision allows")
    func precision() async throws {
        let numbers: [Float] = [0.1, -1e-30, .greatestFiniteMagnitude, .leastNonzeroMagnitude, -0.0]
        let models = ScriptedModels(all: [Self.model("m", [5])]) { _, _, _ in [numbers] }
        let answer = try await ask("/api/v1/embeddings", #"{"texts":["a"]}"#, of: models)
        #expect(answer.text.contains(#""embedding":[0.1,-1e-30,"#))
        let read = try #require(try json(answer.text)["embeddings"]?[0]?["embedding"])
        #expect(read.elements.compactMap { $0.double.map(Float.init) } == numbers)
    }

    @Test("How alike two texts are is the cosine of their vectors' angle")
    func similarity() async throws {
        let models = ScriptedModels(all: [Self.model("m", [2])]) { texts, _, _ in
            texts.map { $0 == "up" ? [0, 2] : $0 == "down" ? [0, -0.5] : $0 == "right" ? [3, 0] : [1, 1] }
        }
        for (other, expected) in [("up", 1), ("down", -1), ("right", 0), ("between", 0.5.squareRoot())] {
            let body = #"{"text1":"up","text2":"\#(other)"}"#
            let answer = try await ask("/api/v1/similarity", body, of: models, now: SteppingClock().now)
            let root = try json(answer.text)
            let similarity = try #require(root["similarity"]?.double)
            #expect(abs(similarity - expected) < 1e-12 && abs(similarity) <= 1, "\(other)")
            #expect(root["model_used"]?.string == "m" && root["processing_time_ms"]?.double == 4.5)
            #expect(root.members.map { $0.key.string } == ["model_used", "similarity", "processing_time_ms"])
        }
    }

    @Test("The largest and the smallest numbers have an angle too")
    func extremeSimilarity() async throws {
        for number in [Float.greatestFiniteMagnitude, .leastNonzeroMagnitude] {
            let models = ScriptedModels(all: [Self.model("m", [2])]) { texts, _, _ in
                texts.map { _ in [number, number] }
            }
            let answer = try await ask("/api/v1/similarity", #"{"text1":"a","text2":"b"}"#, of: models)
            let similarity = try #require(try json(answer.text)["similarity"]?.double)
            #expect(abs(similarity - 1) < 1e-12 && similarity <= 1)
        }
    }

    @Test("Rounding takes no similarity past 1", arguments: [(Float(3), 1.0), (-3, -1)])
    func rounding(factor: Float, expected: Double) async throws {
        // The quotient is 1.0000000000000002 for these.
        let models = ScriptedModels(all: [Self.model("m", [2])]) { _, _, _ in
            [[0.25, 0.02], [0.25 * factor, 0.02 * factor]]
        }
        let answer = try await ask("/api/v1/similarity", #"{"text1":"a","text2":"b"}"#, of: models)
        #expect(try json(answer.text)["similarity"]?.double == expected)
    }

    private static let compass = ScriptedModels(all: [model("m", [2])]) { texts, _, _ in
        texts.map { text in
            switch text.first {
            case "n": [0, 1]
            case "e": [1, 0]
            case "s": [0, -1]
            default: [1, 1]
            }
        }
    }

    @Test(
        "The most similar come first, equal ones in the order in which they came",
        arguments: [
            ("", [2, 4, 0, 1, 3]), (#","top_k":0"#, [2, 4, 0, 1, 3]), (#","top_k":null"#, [2, 4, 0, 1, 3]),
            (#","top_k":1"#, [2]), (#","top_k":3"#, [2, 4, 0]), (#","top_k":5"#, [2, 4, 0, 1, 3]),
            (#","top_k":9223372036854775807"#, [2, 4, 0, 1, 3]),
        ]
    )
    func ranking(limit: String, order: [Int]) async throws {
        let candidates = ["east", "emu", "north", "south", "name"]
        let list = candidates.map { "\"\($0)\"" }.joined(separator: ",")
        let body = #"{"query":"n","candidates":[\#(list)]\#(limit)}"#
        let answer = try await ask("/api/v1/similarity/batch", body, of: Self.compass, now: SteppingClock().now)
        #expect(answer.status == .ok)
        let root = try json(answer.text)
        let matches = try #require(root["matches"]).elements.map { $0 }
        #expect(matches.map { $0["index"]?.int } == order)
        #expect(matches.map { $0["text"]?.string } == order.map { candidates[$0] })
        #expect(matches.map { $0["similarity"]?.double } == order.map { [0, 0, 1, -1, 1][$0] })
        #expect(root["total_candidates"]?.int == 5 && root["model_used"]?.string == "m")
        #expect(root["processing_time_ms"]?.double == 4.5)
    }

    // MARK: The choice of a model

    private static let several = ScriptedModels(
        all: [
            LoadedModel(name: "classifier", type: "domain", isLoaded: true),
            LoadedModel(name: "broken", type: "embedding", isLoaded: false), model("middle", [64, 128], bytes: 200),
            model("large", [64, 256], bytes: 300), model("tiny", [64], bytes: 100),
        ]
    ) { texts, _, dimension in texts.map { _ in [Float](repeating: 1, count: dimension) } }

    @Test(
        "A request gets the model that it names, or one that has what it asks for",
        arguments: [
            ("", "middle", 128), (#","model":"auto""#, "middle", 128), (#","model":"""#, "middle", 128),
            (#","model":null,"dimension":null"#, "middle", 128), (#","model":"tiny""#, "tiny", 64),
            (#","dimension":0"#, "middle", 128), (#","dimension":256"#, "large", 256),
            (#","model":"large","dimension":64"#, "large", 64), (#","dimension":64"#, "middle", 64),
            (#","dimension":6.4e1"#, "middle", 64),
            (#","quality_priority":0.9,"latency_priority":0.1"#, "large", 256),
            (#","latency_priority":1"#, "tiny", 64), (#","latency_priority":1,"dimension":128"#, "middle", 128),
            (#","quality_priority":0.5,"latency_priority":0.5"#, "middle", 128),
            (#","quality_priority":1,"model":"tiny""#, "tiny", 64),
        ]
    )
    func choice(members: String, model: String, dimension: Int) async throws {
        let answer = try await ask("/api/v1/embeddings", #"{"texts":["a"]\#(members)}"#, of: Self.several)
        let embedding = try #require(try json(answer.text)["embeddings"]?[0])
        #expect(embedding["model_used"]?.string == model && embedding["dimension"]?.int == dimension)
        #expect(try #require(embedding["embedding"]).elements.count { _ in true } == dimension)
    }

    @Test(
        "A model that computes counts for quality, one that looks up for latency, whatever their sizes",
        arguments: [("quality", "net"), ("latency", "words")]
    )
    func tiers(priority: String, name: String) async throws {
        let all = [Self.model("words", [2], bytes: 30, tier: 1), Self.model("net", [2], bytes: 20, tier: 2)]
        for all in [all, all.reversed()] {
            let models = ScriptedModels(all: all) { _, _, _ in [[1, 1]] }
            let answer = try await ask(
                "/api/v1/embeddings",
                #"{"texts":["a"],"\#(priority)_priority":1}"#,
                of: models
            )
            #expect(try json(answer.text)["embeddings"]?[0]?["model_used"]?.string == name)
        }
    }

    // MARK: Refusals

    private func expect(
        _ answer: (status: HTTPResponseStatus, text: String, headers: HTTPHeaders),
        _ status: HTTPResponseStatus,
        _ code: String,
        _ message: String
    ) {
        #expect(answer.status == status)
        let message = String(buffer: JSONFragment(message).bytes)
        #expect(
            answer.text == #"{"error":{"code":"\#(code)","message":\#(message),"timestamp":"\#(Self.time)"}}"#
        )
    }

    /// What one text needs, by endpoint, with a place for further members.
    private static let complete = [
        "/api/v1/embeddings": #""texts":["a"]"#, "/api/v1/similarity": #""text1":"a","text2":"b""#,
        "/api/v1/similarity/batch": #""query":"a","candidates":["b"]"#,
    ]

    @Test(
        "What cannot be had is refused alike by all three",
        arguments: [
            (#""model":"huge""#, "INVALID_MODEL", "model must be one of: auto, middle, large, tiny."),
            (#""model":"classifier""#, "INVALID_MODEL", "model must be one of: auto, middle, large, tiny."),
            (#""model":7"#, "INVALID_INPUT", "model must be a string"),
            (#""dimension":65"#, "INVALID_DIMENSION", "dimension must be one of: 64, 128, 256."),
            (#""dimension":-64"#, "INVALID_DIMENSION", "dimension must be one of: 64, 128, 256."),
            (#""model":"tiny","dimension":128"#, "INVALID_DIMENSION", "dimension must be one of: 64."),
            (#""dimension":64.5"#, "INVALID_INPUT", "dimension must be a whole number."),
            (#""dimension":"64""#, "INVALID_INPUT", "dimension must be a whole number."),
            (#""dimension":1e300"#, "INVALID_INPUT", "dimension must be a whole number."),
            (#""quality_priority":1.01"#, "INVALID_PARAMETER", "quality_priority must be between 0 and 1."),
            (#""latency_priority":-0.1"#, "INVALID_PARAMETER", "latency_priority must be between 0 and 1."),
            (#""latency_priority":1e999"#, "INVALID_PARAMETER", "latency_priority must be between 0 and 1."),
            (#""latency_priority":"1""#, "INVALID_INPUT", "latency_priority must be a number."),
            (#""target_layer":3"#, "INVALID_LAYER", "target_layer is not supported: leave it out."),
            (#""images":["data:"]"#, "UNSUPPORTED_CAPABILITY", "images are not supported: give texts."),
            (#""audios":["data:"]"#, "UNSUPPORTED_CAPABILITY", "audios are not supported: give texts."),
        ]
    )
    func options(member: String, code: String, message: String) async throws {
        for (path, body) in Self.complete {
            expect(try await ask(path, "{\(body),\(member)}", of: Self.several), .badRequest, code, message)
        }
    }

    @Test("Without embedding models the answer is 503, but for what is wrong with the request itself")
    func noModels() async throws {
        let classifier = LoadedModel(name: "c", type: "domain", isLoaded: true)
        let classifiers = ScriptedModels(all: [classifier]) { _, _, _ in [] }
        for models in [nil, classifiers] as [(any ManagedModels)?] {
            for (path, body) in Self.complete {
                let answer = try await ask(path, "{\(body)}", of: models)
                expect(
                    answer,
                    .serviceUnavailable,
                    "EMBEDDING_UNAVAILABLE",
                    "No embedding model runs in this process."
                )
                #expect(answer.headers["retry-after"].isEmpty)
                let bad = try await ask(path, "{}", of: models)
                #expect(bad.status == .badRequest && bad.text.contains(#""code":"INVALID_INPUT""#))
            }
        }
    }

    @Test(
        "What is wrong with a text is said with its place",
        arguments: [
            ("/api/v1/embeddings", "{}", "texts must be given."),
            ("/api/v1/embeddings", #"{"texts":null}"#, "texts must be given."),
            ("/api/v1/embeddings", #"{"texts":"a"}"#, "texts must be a list of strings."),
            ("/api/v1/embeddings", #"{"texts":[]}"#, "texts must hold a text at least."),
            ("/api/v1/embeddings", #"{"texts":["a",7]}"#, "texts[1] must be a string."),
            ("/api/v1/embeddings", #"{"texts":["a",null]}"#, "texts[1] must be a string."),
            ("/api/v1/embeddings", #"{"texts":["a",""]}"#, "texts[1] must not be blank."),
            ("/api/v1/embeddings", #"{"texts":[" \n\u3000"]}"#, "texts[0] must not be blank."),
            ("/api/v1/embeddings", #"{"texts":["a\u0000b"]}"#, "texts[0] must not hold a NUL character."),
            ("/api/v1/similarity", #"{"text2":"b"}"#, "text1 must be given."),
            ("/api/v1/similarity", #"{"text1":"a"}"#, "text2 must be given."),
            ("/api/v1/similarity", #"{"text1":"a","text2":["b"]}"#, "text2 must be a string."),
            ("/api/v1/similarity", #"{"text1":"a","text2":" "}"#, "text2 must not be blank."),
            ("/api/v1/similarity/batch", #"{"candidates":["b"]}"#, "query must be given."),
            ("/api/v1/similarity/batch", #"{"query":"","candidates":["b"]}"#, "query must not be blank."),
            ("/api/v1/similarity/batch", #"{"query":"a"}"#, "candidates must be given."),
            ("/api/v1/similarity/batch", #"{"query":"a","candidates":[]}"#, "candidates must hold a text at least."),
            ("/api/v1/similarity/batch", #"{"query":"a","candidates":["b"," "]}"#, "candidates[1] must not be blank."),
            (
                "/api/v1/similarity/batch", #"{"query":"a","candidates":["b"],"top_k":-1}"#,
                "top_k must not be negative."
            ),
            (
                "/api/v1/similarity/batch", #"{"query":"a","candidates":["b"],"top_k":1.5}"#,
                "top_k must be a whole number."
            ),
            ("/api/v1/similarity", "[]", "the request body must be a JSON object"),
        ]
    )
    func texts(path: String, body: String, message: String) async throws {
        expect(try await ask(path, body), .badRequest, "INVALID_INPUT", message)
    }

    @Test("A body that is no JSON is refused", arguments: complete.keys.sorted())
    func noJSON(path: String) async throws {
        let answer = try await ask(path, "{")
        #expect(answer.status == .badRequest && answer.text.contains(#""code":"INVALID_INPUT""#))
    }

    @Test("At most 256 texts, and each of at most 128 KiB")
    func limits() async throws {
        func list(_ count: Int) -> String { "[\(Array(repeating: #""a""#, count: count).joined(separator: ","))]" }
        #expect(try await ask("/api/v1/embeddings", #"{"texts":\#(list(256))}"#).status == .ok)
        expect(
            try await ask("/api/v1/embeddings", #"{"texts":\#(list(257))}"#),
            .badRequest,
            "INVALID_INPUT",
            "texts must not hold more than 256 texts."
        )
        #expect(try await ask("/api/v1/similarity/batch", #"{"query":"a","candidates":\#(list(256))}"#).status == .ok)
        expect(
            try await ask("/api/v1/similarity/batch", #"{"query":"a","candidates":\#(list(257))}"#),
            .badRequest,
            "INVALID_INPUT",
            "candidates must not hold more than 256 texts."
        )
        // The bound is on the text, not on how it is escaped.
        let long = String(repeating: "a", count: (128 << 10) - 1)
        #expect(try await ask("/api/v1/embeddings", #"{"texts":["\#(long)\u0061"]}"#).status == .ok)
        expect(
            try await ask("/api/v1/embeddings", #"{"texts":["\#(long)\u00e9"]}"#),
            .badRequest,
            "INVALID_INPUT",
            "texts[0] must not be longer than 131072 bytes."
        )
    }

    // MARK: Models that fail

    private static let codes = [
        "/api/v1/embeddings": "EMBEDDING_GENERATION_FAILED", "/api/v1/similarity": "SIMILARITY_CALCULATION_FAILED",
        "/api/v1/similarity/batch": "BATCH_SIMILARITY_FAILED",
    ]

    @Test(
        "Vectors that no answer can hold are an error, not a number",
        arguments: [
            { count in Array(repeating: [.nan, 1], count: count) },
            { count in Array(repeating: [1, .infinity], count: count) },
            { count in Array(repeating: [1], count: count) }, { count in Array(repeating: [1, 1, 1], count: count) },
            { count in Array(repeating: [1, 1], count: count - 1) },
            { count in Array(repeating: [1, 1], count: count + 1) },
            { _ in [] },
        ] as [@Sendable (Int) -> [[Float]]]
    )
    func badVectors(vectors: @escaping @Sendable (Int) -> [[Float]]) async throws {
        let models = ScriptedModels(all: [Self.model("m", [2])]) { texts, _, _ in vectors(texts.count) }
        for (path, body) in Self.complete {
            let answer = try await ask(path, "{\(body)}", of: models)
            let code = try #require(Self.codes[path])
            expect(answer, .internalServerError, code, "The embedding model failed.")
        }
    }

    @Test("One vector that is not a number spoils the answer, whichever it is", arguments: 0..<4)
    func oneBadVector(bad: Int) async throws {
        let models = ScriptedModels(all: [Self.model("m", [2])]) { texts, _, _ in
            texts.indices.map { $0 == bad ? [1, -.nan] : [1, 1] }
        }
        let batch = try await ask("/api/v1/similarity/batch", #"{"query":"q","candidates":["a","b","c"]}"#, of: models)
        #expect(batch.status == .internalServerError && batch.text.contains("BATCH_SIMILARITY_FAILED"))
        let embeddings = try await ask("/api/v1/embeddings", #"{"texts":["q","a","b","c"]}"#, of: models)
        #expect(embeddings.status == .internalServerError && embeddings.text.contains("EMBEDDING_GENERATION_FAILED"))
    }

    @Test("A vector without a direction is like no other")
    func zeroVector() async throws {
        let models = ScriptedModels(all: [Self.model("m", [2])]) { texts, _, _ in texts.map { _ in [0, 0] } }
        #expect(try await ask("/api/v1/embeddings", #"{"texts":["a"]}"#, of: models).status == .ok)
        let answer = try await ask("/api/v1/similarity", #"{"text1":"a","text2":"b"}"#, of: models)
        #expect(answer.status == .internalServerError && answer.text.contains("SIMILARITY_CALCULATION_FAILED"))
    }

    @Test("Of a model's errors the client learns those that are its own")
    func modelErrors() async throws {
        let errors: [(RouterError, HTTPResponseStatus, String?, String)] = [
            (.invalidRequest("texts[0] is too long."), .badRequest, "INVALID_INPUT", "texts[0] is too long."),
            (
                RouterError(.bodyTooLarge, origin: .client, "Too many tokens."), .badRequest, "INVALID_INPUT",
                "Too many tokens."
            ),
            (
                RouterError(.overloaded, origin: .internal, "Too much to do."), .serviceUnavailable,
                "EMBEDDING_OVERLOADED", "Too much to do."
            ),
            (
                RouterError(.internalError, origin: .internal, "/secret/path is broken"), .internalServerError, nil,
                "The embedding model failed."
            ),
        ]
        for (error, status, code, message) in errors {
            let models = ScriptedModels(all: [Self.model("m", [2])]) { _, _, _ throws(RouterError) in throw error }
            for (path, body) in Self.complete {
                let answer = try await ask(path, "{\(body)}", of: models)
                expect(answer, status, try #require(code ?? Self.codes[path]), message)
                #expect(answer.headers["retry-after"] == (status == .serviceUnavailable ? ["1"] : []))
            }
        }
    }

    // MARK: Lists

    @Test("The list of embedding models says what each offers")
    func embeddingModels() async throws {
        var model = LoadedModel(name: "small", type: "embedding", isLoaded: true, metadata: ["provider": "x"])
        model.path = "/models/small"
        model.memoryBytes = 3 << 19
        model.loadTime = .milliseconds(1050)
        model.embedding = EmbeddingOffer(
            tier: 2,
            defaultDimension: 384,
            dimensions: [128, 64, 128],
            maxTokens: 512
        )
        let classifier = LoadedModel(name: "c", type: "domain", isLoaded: true)
        let models = ScriptedModels(all: [classifier, model]) { _, _, _ in [] }
        let answer = try await ask("/api/v1/embeddings/models", "", of: models)
        #expect(answer.status == .ok)
        #expect(
            answer.text == """
                {"models":[{"name":"small","type":"embedding","loaded":true,"model_path":"/models/small","metadata":\
                {"default_dimension":"384","dimensions":"64,128,384","matryoshka_supported":"true",\
                "max_sequence_length":"512","model_type":"small","provider":"x"},\
                "load_time":"1.050s","memory_usage":"1.50 MB"}],"count":1}
                """
        )
        #expect(try await ask("/api/v1/embeddings/models", "", of: nil).text == #"{"models":[],"count":0}"#)
    }

    @Test("/info/models lists every model with what is known of it")
    func information() async throws {
        var classifier = LoadedModel(name: "c", type: "domain", isLoaded: false)
        classifier.categories = ["law", "physics"]
        classifier.loadTime = .microseconds(7_900)
        let models = ScriptedModels(all: [classifier, Self.model("e", [8])]) { _, _, _ in [] }
        let root = try json(try await ask("/info/models", "", of: models).text)
        #expect(
            root["models"]?[0].map { String(buffer: $0.rawBytes) } == """
                {"name":"c","type":"domain","loaded":false,"categories":["law","physics"],"metadata":{},\
                "load_time":"0.007s"}
                """
        )
        #expect(root["models"]?[1]?["metadata"]?["matryoshka_supported"]?.string == "false")
        #expect(root["summary"]?["loaded_models"]?.int == 1 && root["summary"]?["total_models"]?.int == 2)
        let bare = try json(try await ask("/info/models", "", of: nil).text)
        #expect(bare["models"]?.isArray == true && bare["models"]?[0] == nil)
        #expect(bare["system"]?["go_version"]?.string?.hasPrefix("Swift 6.") == true)
    }
}
