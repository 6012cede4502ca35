package import Instruments
import NIOCore
import NIOHTTP1
import OpenAIWire
import Synchronization

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// The simulated worker without its sockets: says what each request is answered with, and keeps the load model, the
/// faults and the metrics. Used from all event loops; its lock is held for one step of the load model at most.
package final class SimEngine: Sendable {
    /// What to do with a request.
    enum Plan {
        case respond(SimResponse)
        case generate(Generation)
    }

    private struct State {
        var load: LoadModel
        var faults: FaultPlan
        /// Called with the cached tokens when a waiting request is admitted.
        var wakers: [LoadModel.ID: @Sendable (Int) -> Void] = [:]
        var isSleeping = false
        var lastID: LoadModel.ID = 0
    }

    /// Apart from the engine, so that the metrics can read it.
    private final class Shared: Sendable {
        let state: Mutex<State>

        init(_ state: consuming sending State) {
            self.state = Mutex(state)
        }
    }

    package let config: SimConfig
    package let registry: MetricRegistry
    package let log: RequestLog
    /// Nil where nothing is traced.
    let tracer: RequestTracer?
    let metrics: SimMetrics
    let clockSettings: TokenClock.Settings
    private let shared: Shared
    private let running = Atomic<Int>(0)
    private let workerName: Mutex<String>
    private let portCloser = Mutex<(@Sendable (Duration) -> Void)?>(nil)
    private let startedAt: Int
    private let model: TextModel
    private let texts: TextEndpoints

    package init(_ config: SimConfig, registry: MetricRegistry = MetricRegistry(), tracer: RequestTracer? = nil) {
        self.config = config
        self.registry = registry
        self.tracer = tracer
        log = RequestLog(capacity: config.requestLogSize)
        clockSettings = TokenClock.Settings(config)
        workerName = Mutex(config.workerID.isEmpty ? String(config.port) : config.workerID)
        startedAt = time(nil)
        model = TextModel(
            mode: config.mode,
            seed: config.seed,
            outputTokens: config.outputTokens,
            maxModelTokens: config.maxModelTokens
        )
        texts = TextEndpoints(config: config)
        let cache = SimKVCache(blockCount: config.blockCount, blockTokens: config.blockTokens)
        let faults = FaultPlan(config.faults, seed: config.seed)
        var load = LoadModel(maxRunning: config.maxRunning, maxWaiting: config.maxWaiting, cache: cache)
        _ = load.setFull(faults.isFull)
        let shared = Shared(State(load: load, faults: faults))
        self.shared = shared
        metrics = SimMetrics(config, registry: registry) {
            shared.state.withLock { state in
                SimMetrics.Load(
                    running: state.load.runningCount,
                    waiting: state.load.waitingCount,
                    cacheUsage: state.load.cacheUsage,
                    queriedTokens: state.load.queriedTokens,
                    hitTokens: state.load.hitTokens
                )
            }
        }
    }

    /// What `x-sim-worker` says: the configured id, or the port.
    package var name: String { workerName.withLock { $0 } }

    /// Tells the port that was free.
    func bound(to port: Int) {
        if config.workerID.isEmpty { workerName.withLock { $0 = String(port) } }
    }

    /// How many requests run at the moment.
    var runningCount: Int { running.load(ordering: .relaxed) }

    // MARK: Load

    /// A request asks to run. If it is queued, `wake` is called later, on whichever thread frees its place.
    func arrived(_ generation: Generation, wake: @escaping @Sendable (Int) -> Void) -> (LoadModel.ID, LoadModel.Arrival)
    {
        let sequences = generation.sequences
        return shared.state.withLock { state in
            state.lastID += 1
            let id = state.lastID
            let arrival = state.load.arrived(id, sequences)
            if arrival == .queued { state.wakers[id] = wake }
            running.store(state.load.runningCount, ordering: .relaxed)
            return (id, arrival)
        }
    }

    func finished(_ id: LoadModel.ID, hashes: [[UInt64]]) {
        change { $0.load.finished(id, hashes: hashes) }
    }

    func cancelled(_ id: LoadModel.ID) {
        change { state in
            state.wakers[id] = nil
            return state.load.cancelled(id)
        }
    }

    /// Takes a step of the load model and wakes whom it admitted, outside the lock.
    private func change(_ step: (inout State) -> [LoadModel.Admission]) {
        let woken = shared.state.withLock { state in
            let admitted = step(&state)
            running.store(state.load.runningCount, ordering: .relaxed)
            return admitted.compactMap { admission in
                state.wakers.removeValue(forKey: admission.id).map { ($0, admission.cachedTokens) }
            }
        }
        for (wake, cachedTokens) in woken { wake(cachedTokens) }
    }

    // MARK: Faults

    /// The fault that hits a request, if one does: the one in its header, else one in force.
    func fault(_ head: HTTPRequestHead, path: String) throws(SimError) -> Fault.Kind? {
        if let text = head.headers.first(name: "x-sim-fault") {
            do {
                return try Fault(text).kind
            } catch {
                throw .badRequest("x-sim-fault: \(error)")
            }
        }
        return shared.state.withLock { $0.faults.isEmpty ? nil : $0.faults.hit(path: path) }
    }

    package var faults: [Fault] { shared.state.withLock { $0.faults.current } }

    /// Puts these faults in the place of all others. Waiting requests run on if the cache was declared full and no longer is.
    package func setFaults(_ faults: [Fault]) {
        change { state in
            state.faults.replace(with: faults)
            return state.load.setFull(state.faults.isFull)
        }
        closePortIfRefusing()
    }

    /// Names who closes the port for a while when a fault says so.
    func onRefusal(_ close: @escaping @Sendable (Duration) -> Void) {
        portCloser.withLock { $0 = close }
        closePortIfRefusing()
    }

    private func closePortIfRefusing() {
        guard let duration = shared.state.withLock({ $0.faults.refusal }) else { return }
        portCloser.withLock { $0 }?(duration)
    }

    // MARK: Requests

    /// What `head` and `body` are answered with.
    func plan(_ head: HTTPRequestHead, path: String, _ body: ByteBuffer) throws(SimError) -> Plan {
        try authenticate(head, path)
        guard let route = Route.all[path] else { return .respond(Self.detail("Not Found", .notFound)) }
        guard route.methods.contains(head.method) else {
            return .respond(Self.detail("Method Not Allowed", .methodNotAllowed))
        }
        switch route {
        case .generate(let api): return try generate(api, head, try document(body))
        case .text(let endpoint): return try fixed(endpoint, try document(body))
        case .transcriptions: return .respond(try Transcription.answer(head, body, config: config))
        case .tokenize: return .respond(try texts.tokenize(try document(body)))
        case .detokenize: return .respond(try texts.detokenize(try document(body)))
        case .models: return .respond(models)
        case .health: return .respond(.empty)
        case .version: return .respond(.json(["version": "0.32.0"]))
        case .metrics: return .respond(.text(registry.exposition(), contentType: Exposition.Format.text.contentType))
        case .sleepState, .sleep, .wakeUp: return .respond(sleep(route))
        case .simRequests: return .respond(requests(head.method))
        case .simFaults: return .respond(try faults(head.method, body))
        }
    }

    private func authenticate(_ head: HTTPRequestHead, _ path: String) throws(SimError) {
        guard let key = config.apiKey, path.hasPrefix("/v1") else { return }
        guard head.headers[canonicalForm: "authorization"].contains("Bearer \(key)") else {
            throw SimError(401, "AuthenticationError", "Unauthorized")
        }
    }

    private func document(_ body: ByteBuffer) throws(SimError) -> JSONValue {
        do {
            return try JSONDocument(body).root
        } catch {
            throw .badRequest("The body is not valid JSON: \(error).")
        }
    }

    private func generate(_ api: GenerationRequest.API, _ head: HTTPRequestHead, _ root: JSONValue) throws(SimError)
        -> Plan
    {
        try checkAwake()
        let request = try GenerationRequest(api, root, config: config)
        let choices = model.choices(request)
        let perPrompt = request.choicesPerPrompt
        let answer = Answer(
            id: answerID(api, head),
            created: time(nil),
            model: request.model,
            choices: choices,
            promptTokens: request.prompts.reduce(0) { $0 + $1.count },
            reasoning: reasoning(request),
            isStream: request.isStream,
            includesUsage: request.includesUsage,
            hasContinuousUsage: request.hasContinuousUsage,
            transferParameters: request.isRemoteDecode ? transferParameters : nil
        )
        let format: any AnswerFormat =
            switch api {
            case .chat: ChatFormat()
            case .completions: CompletionFormat()
            case .responses: ResponsesFormat()
            case .messages: MessagesFormat()
            }
        return .generate(
            Generation(
                hashers: request.prompts.map { prompt in
                    var hasher = BlockHasher(blockTokens: config.blockTokens)
                    hasher.append(prompt)
                    return hasher
                },
                promptTokens: request.prompts.map(\.count),
                outputTokens: request.prompts.indices.map { index in
                    choices[(index * perPrompt)..<((index + 1) * perPrompt)].reduce(0) { $0 + $1.pieces.count }
                },
                isPrefilled: request.isRemotePrefill,
                facts: tracer.map { _ in
                    RequestFacts(
                        model: request.model,
                        id: answer.id,
                        sampling: RequestFacts.Sampling(request, root, config: config)
                    )
                },
                payload: .answer(answer, format)
            )
        )
    }

    private func fixed(_ endpoint: Route.TextEndpoint, _ root: JSONValue) throws(SimError) -> Plan {
        try checkAwake()
        guard root.isObject else { throw .badRequest("The body must be a JSON object.") }
        let facts = tracer == nil ? nil : RequestFacts(model: try GenerationRequest.model(root, config))
        let result =
            switch endpoint {
            case .embeddings: try texts.embeddings(root)
            case .rerank: try texts.rerank(root)
            case .score: try texts.score(root)
            case .classify: try texts.classify(root)
            case .pooling: try texts.pooling(root)
            }
        return .generate(
            Generation(
                // Without hashes: what a pooling model computes is of no use to a later request.
                hashers: [BlockHasher(blockTokens: config.blockTokens)],
                promptTokens: [result.promptTokens],
                outputTokens: [0],
                isPrefilled: false,
                facts: facts,
                payload: .fixed(.json(result.body))
            )
        )
    }

    private func checkAwake() throws(SimError) {
        guard config.sleepMode, shared.state.withLock({ $0.isSleeping }) else { return }
        throw SimError(503, "ServiceUnavailableError", "The engine is asleep; POST /wake_up first.")
    }

    /// vLLM's scheme: a prefix and the request's id, or one of our own.
    private func answerID(_ api: GenerationRequest.API, _ head: HTTPRequestHead) -> String {
        let prefix =
            switch api {
            case .chat: "chatcmpl-"
            case .completions: "cmpl-"
            case .responses: "resp_"
            case .messages: "msg_"
            }
        if let id = head.headers.first(name: "x-request-id") { return prefix + id }
        let number = shared.state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        var random = SimRandom(seed: config.seed &+ number &* 0x1_0000_0001 &+ UInt64(startedAt))
        let hex = String(random.next(), radix: 16)
        return prefix + String(repeating: "0", count: 16 - hex.count) + hex
    }

    /// The settings that a reasoning model would heed, shown where it would show its reasoning.
    private func reasoning(_ request: GenerationRequest) -> String? {
        var parts: [String] = []
        if let effort = request.reasoningEffort { parts.append("reasoning_effort=\(effort)") }
        if let arguments = request.templateArguments { parts.append("chat_template_kwargs=\(arguments)") }
        return parts.isEmpty ? nil : parts.joined(separator: " ")
    }

    /// Where a decode worker would fetch the prompt's KV blocks: well-formed, leading nowhere.
    private var transferParameters: String {
        let parameters: JSONFragment = [
            "do_remote_prefill": true, "do_remote_decode": false, "remote_engine_id": JSONFragment("sim-\(name)"),
            "remote_block_ids": .array([]), "remote_host": JSONFragment(config.host), "remote_port": 1, "tp_size": 1,
        ]
        return String(buffer: parameters.bytes)
    }

    private var models: SimResponse {
        let data = config.modelNames.map { name -> JSONFragment in
            [
                "id": JSONFragment(name), "object": "model", "created": JSONFragment(startedAt), "owned_by": "vllm",
                "root": JSONFragment(config.model), "parent": .null,
                "max_model_len": JSONFragment(config.maxModelTokens), "permission": .array([]),
            ]
        }
        return .json(["object": "list", "data": .array(data)])
    }

    private func sleep(_ route: Route) -> SimResponse {
        // vLLM has these paths only in its development mode.
        guard config.sleepMode else { return Self.detail("Not Found", .notFound) }
        switch route {
        case .sleep:
            shared.state.withLock { state in
                state.isSleeping = true
                state.load.clearCache()
            }
            return .empty
        case .wakeUp:
            shared.state.withLock { $0.isSleeping = false }
            return .empty
        default:
            return .json(["is_sleeping": JSONFragment(shared.state.withLock { $0.isSleeping })])
        }
    }

    private func requests(_ method: HTTPMethod) -> SimResponse {
        if method == .DELETE { log.clear() }
        return SimResponse(body: log.json())
    }

    /// `{"faults": ["status=503;times=2", …]}` to set, DELETE to clear; answers those in force.
    private func faults(_ method: HTTPMethod, _ body: ByteBuffer) throws(SimError) -> SimResponse {
        switch method {
        case .POST:
            guard let list = try document(body)["faults"], list.isArray else {
                throw .badRequest("faults: field required.", "faults")
            }
            var faults: [Fault] = []
            for element in list.elements {
                do {
                    faults.append(try Fault(element.string ?? ""))
                } catch {
                    throw .badRequest("faults: \(error)", "faults")
                }
            }
            setFaults(faults)
        case .DELETE:
            setFaults([])
        default:
            break
        }
        return .json(["faults": .array(self.faults.map { JSONFragment($0.description) })])
    }

    /// An error as the web framework under vLLM writes it.
    private static func detail(_ text: String, _ status: HTTPResponseStatus) -> SimResponse {
        .json(["detail": JSONFragment(text)], status: status)
    }
}
