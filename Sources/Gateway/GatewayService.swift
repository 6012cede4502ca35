package import ConfigKit
package import HTTPTransport
package import InferenceRouter
package import Instruments
import NIOCore
package import NIOHTTP1
package import OpenAIWire
package import SemanticRouter

/// The OpenAI front end: finds the route, says who asks, lets the semantic router decide (where there is one), hands the
/// request to the inference router.
///
/// `sextant router` is this with `semantic: nil`, so that failing open is the same code path.
package struct GatewayService: HTTPService {
    package let semantic: Live<SemanticRouter>?
    package let inference: InferenceRouter
    package let authenticator: Live<Authenticator>
    package let settings: GatewaySettings
    package let metrics: GatewayMetrics
    package let requestIDs: RequestIDs
    /// Nil where nothing is traced.
    package let tracer: RequestTracer?
    private let isDraining: @Sendable () -> Bool
    private let metricsPage: (@Sendable (String?) async -> LocalResponse)?

    /// - Parameters:
    ///   - semantic: nil routes by the model that the request names.
    ///   - isDraining: whether the process is on its way out: `/health` then asks load balancers to look elsewhere.
    ///   - metricsPage: what `/metrics` answers to an `accept` header, apart from event loops; nil where metrics have a
    ///     port of their own.
    package init(
        semantic: Live<SemanticRouter>?,
        inference: InferenceRouter,
        authenticator: Live<Authenticator>,
        settings: GatewaySettings,
        metrics: GatewayMetrics,
        requestIDs: RequestIDs,
        tracer: RequestTracer?,
        isDraining: @escaping @Sendable () -> Bool,
        metricsPage: (@Sendable (String?) async -> LocalResponse)?
    ) {
        self.semantic = semantic
        self.inference = inference
        self.authenticator = authenticator
        self.settings = settings
        self.metrics = metrics
        self.requestIDs = requestIDs
        self.tracer = tracer
        self.isDraining = isDraining
        self.metricsPage = metricsPage
    }

    // MARK: HTTPService

    package func receive(_ head: HTTPRequestHead, on exchange: HTTPExchange) -> BodyPlan {
        let id = requestIDs.id(for: head.headers.first(name: RoutingHeaders.requestID))
        let target = RequestTarget(head.uri)
        var trace: TracePoint?
        do {
            let route = try Routes.route(head.method, target.path)
            if case .local(let local) = route, local.isOpenToAll {
                answer(local, to: head, id: id, on: exchange)
                return .answered
            }
            let started = begin(head, target, id: id, route)
            trace = started.trace
            let identity = try authenticator.current.identify(head.headers, from: exchange.remoteAddress)
            if case .local(let local) = route {
                answer(local, to: head, id: id, on: exchange)
                return .answered
            }
            try checkReadable(head, route)
            let arriving = ArrivingRequest(
                id: id,
                head: head,
                target: target,
                route: route,
                identity: identity,
                trace: started.trace,
                untraced: started.untraced
            )
            exchange.attachment = Arrived(id: id, trace: started.trace)
            return .collect(maxBytes: settings.maxBodyBytes) { body in
                respond(to: arriving, body: body, on: exchange)
            }
        } catch {
            fail(error, id: id, trace, on: exchange)
            return .answered
        }
    }

    package func refuse(_ refusal: HTTPRefusal, on exchange: HTTPExchange) {
        let arrived = exchange.attachment as? Arrived
        fail(refusal.error, id: arrived?.id ?? requestIDs.make(), arrived?.trace, on: exchange)
    }

    /// What is known of a request whose body is coming.
    private struct Arrived: Sendable {
        let id: String
        let trace: TracePoint?
    }

    // MARK: Tracing

    /// Begins the trace of a request that goes to a worker, or says what is told when there is none.
    private func begin(
        _ head: HTTPRequestHead,
        _ target: RequestTarget,
        id: String,
        _ route: Route
    ) -> (trace: TracePoint?, untraced: TraceContext?) {
        guard let tracer else { return (nil, nil) }
        if case .local = route { return (nil, nil) }
        let parent = head.headers.traceContext
        guard let trace = tracer.begin(InferenceSpans.request, parent: parent, detail: target.path) else {
            return (nil, parent == nil ? tracer.untraced() : nil)
        }
        let root = TracePoint(trace: trace)
        root.set(InferenceSpans.method, .text(head.method.rawValue))
        root.set(InferenceSpans.target, .text(target.path))
        root.set(InferenceSpans.requestID, .text(id))
        return (root, nil)
    }

    // MARK: The request's path

    private func respond(to arriving: ArrivingRequest, body: ByteBuffer, on exchange: HTTPExchange) {
        let receiving = NIODeadline.now() - arriving.arrival
        metrics.stages.record(.receive, Double(receiving.nanoseconds) * 1e-9)
        do {
            let proxied: ProxyRequest?
            switch arriving.route {
            case .text(let endpoint): proxied = try proxyText(arriving, endpoint, body, on: exchange)
            case .json: proxied = try proxyJSON(arriving, body)
            case .form: proxied = try proxyForm(arriving, body)
            case .worker(let changesState): proxied = try proxyToWorker(arriving, body, changesState: changesState)
            case .local: preconditionFailure("local routes are answered with the head")
            }
            if let proxied { try inference.handle(proxied, on: exchange) }
        } catch {
            fail(error, id: arriving.id, arriving.trace, on: exchange)
        }
    }

    /// Nil when the request has been answered here.
    private func proxyText(
        _ arriving: ArrivingRequest,
        _ endpoint: TextEndpoint,
        _ body: ByteBuffer,
        on exchange: HTTPExchange
    ) throws(RouterError) -> ProxyRequest? {
        let text = try TextRequest(endpoint: endpoint, body: body)
        guard let semantic else {
            return try arriving.proxied(text.document, model: text.model, inference: inference, settings: settings)
        }
        let (router, pool) = inForce(semantic)
        let inbound = InboundRequest(text, identity: arriving.identity, wantsDebugHeaders: arriving.wantsDebugHeaders)
        var proxied: ProxyRequest
        switch router.routeNow(inbound, isServed: { pool.candidates(for: $0) != nil }, trace: arriving.trace) {
        case .bypass(let reason):
            // Who asks for a choice and gets none is answered by the inference router's own default.
            let model = reason == .explicitModel ? text.model : ModelName.automatic
            proxied = try arriving.proxied(
                text.document,
                model: model,
                answerHeaders: router.bypassHeaders,
                inference: inference,
                settings: settings
            )
        case .respond(let local):
            exchange.send(local, adding: Self.ids(arriving.id, arriving.trace))
            arriving.trace?.set(InferenceSpans.status, .number(local.statusCode))
            arriving.trace?.finish()
            return nil
        case .forward(let routed):
            proxied = try arriving.proxied(
                text.document,
                model: routed.model,
                modelName: routed.modelName,
                edits: routed.edits,
                answerHeaders: routed.headers,
                inference: inference,
                settings: settings
            )
        }
        proxied.pool = pool
        return proxied
    }

    /// A policy, and workers that include those that it names.
    ///
    /// A reload lets workers in before it puts the policy in force that names them, and out after the next policy is. So
    /// workers that were looked up while one policy stayed in force belong to it.
    private func inForce(_ semantic: Live<SemanticRouter>) -> (SemanticRouter, PoolSnapshot) {
        var generation = semantic.generation
        // Reloads take milliseconds: nobody goes round twice.
        while true {
            let pool = inference.pool.snapshot
            let current = semantic.generation
            if current.number == generation.number { return (generation.value, pool) }
            generation = current
        }
    }

    private func proxyJSON(_ arriving: ArrivingRequest, _ body: ByteBuffer) throws(RouterError) -> ProxyRequest {
        let request = try JSONRequest(body: body)
        return try arriving.proxied(request.document, model: request.model, inference: inference, settings: settings)
    }

    private func proxyForm(_ arriving: ArrivingRequest, _ body: ByteBuffer) throws(RouterError) -> ProxyRequest {
        let contentType = arriving.head.headers.first(name: "content-type") ?? ""
        guard let field = try MultipartField.find("model", in: body, contentType: contentType) else {
            throw ArrivingRequest.missingModel
        }
        let resolved = inference.resolve(field.value)
        return arriving.proxied(
            body: resolved == field.value ? body : field.replaced(by: resolved, in: body),
            uri: arriving.head.uri,
            model: resolved,
            settings: settings
        )
    }

    private func proxyToWorker(
        _ arriving: ArrivingRequest,
        _ body: ByteBuffer,
        changesState: Bool
    ) throws(RouterError) -> ProxyRequest {
        if changesState, settings.knowsIdentities, !arriving.identity.groups.contains(settings.adminGroup) {
            throw RouterError(
                .forbidden,
                origin: .client,
                "Only members of the group '\(settings.adminGroup)' may change a worker's state."
            )
        }
        guard let id = arriving.target.parameter("id") else {
            throw .invalidRequest("Invalid request: missing target Engine Id.", parameter: "id")
        }
        return arriving.proxied(
            body: body,
            uri: arriving.target.removing("id"),
            model: "",
            pinnedEndpoint: id,
            settings: settings
        )
    }

    /// - Throws: `unsupportedMediaType` (415) for a body that we could not read: a compressed one, or a JSON body where a
    ///   form is needed.
    private func checkReadable(_ head: HTTPRequestHead, _ route: Route) throws(RouterError) {
        if let encoding = head.headers.first(name: "content-encoding"), encoding.lowercased() != "identity" {
            throw .compressedBody
        }
        let contentType = head.headers.first(name: "content-type")?.lowercased() ?? ""
        if route == .form, !contentType.hasPrefix("multipart/form-data") {
            throw RouterError(.unsupportedMediaType, origin: .client, "This path takes multipart/form-data.")
        }
    }

    // MARK: Local answers

    private func answer(
        _ route: Route.LocalRoute,
        to head: HTTPRequestHead,
        id: String,
        on exchange: HTTPExchange
    ) {
        if route == .metrics, let metricsPage {
            let accept = head.headers.combined("accept")
            exchange.eventLoop.makeFutureWithTask { await metricsPage(accept) }
                .assumeIsolated()
                .whenSuccess { exchange.send($0, adding: [(RoutingHeaders.requestID, id)]) }
            return
        }
        do {
            let local = try localResponse(to: route)
            exchange.send(local, adding: [(RoutingHeaders.requestID, id)])
        } catch {
            fail(error, id: id, nil, on: exchange)
        }
    }

    private func localResponse(to route: Route.LocalRoute) throws(RouterError) -> LocalResponse {
        switch route {
        case .models:
            return .json(modelList.json)
        case .model(let name):
            guard let card = modelList.entries.first(where: { $0.id == name }) else {
                throw RouterError(
                    .modelNotFound,
                    origin: .client,
                    "Model '\(name.prefix(128))' not found. Available models can be listed at /v1/models.",
                    parameter: "model"
                )
            }
            return .json(card.json.bytes)
        case .engines: return .json(inference.enginesPage())
        case .health:
            return isDraining()
                ? .json(ByteBuffer(string: "{\"status\":\"draining\"}"), status: .serviceUnavailable)
                : .json(ByteBuffer(string: "{\"status\":\"healthy\"}"))
        case .version: return .json(ByteBuffer(string: "{\"version\":\"\(settings.version)\"}"))
        // They have a port of their own.
        case .metrics: throw Routes.notFound
        }
    }

    /// What clients may ask for; virtual models first, as they are what a client should ask for.
    package var modelList: ModelList {
        ModelList((semantic?.current.modelCards ?? []) + inference.modelCards())
    }

    /// What an answer of our own tells of its request.
    private static func ids(_ id: String, _ trace: TracePoint?) -> [(name: String, value: String)] {
        [(RoutingHeaders.requestID, id)] + (trace?.exemplar.map { [(RoutingHeaders.traceID, $0.text)] } ?? [])
    }

    private func fail(_ error: RouterError, id: String, _ trace: TracePoint?, on exchange: HTTPExchange) {
        metrics.countRefusal(error.code)
        let local = ErrorResponder.respond(to: error)
        exchange.send(local, adding: Self.ids(id, trace))
        trace?.set(InferenceSpans.status, .number(local.statusCode))
        trace?.fail(error.code.rawValue)
        trace?.finish()
    }
}

extension Route.LocalRoute {
    /// What load balancers and Prometheus ask for comes without a key and tells nothing about tenants.
    var isOpenToAll: Bool {
        switch self {
        case .health, .version, .metrics: true
        case .models, .model, .engines: false
        }
    }
}

/// Settings of the front end.
package struct GatewaySettings: Sendable {
    /// 50 MiB, the buffer limit of upstream's Envoy configurations.
    package var maxBodyBytes = 50 * 1024 * 1024
    /// What workers are shown in place of a client's own key, when clients' keys end here.
    package var workerAPIKey: String?
    /// Whether clients' credentials end here: true when API keys are checked.
    package var consumesCredentials = false
    /// Whether clients are told apart at all, by keys or by a trusted hop: then only members of `adminGroup` may change
    /// the state of workers.
    package var knowsIdentities = false
    package var adminGroup = "admin"
    package var version = ""

    package init() {}
}
