import HTTPTransport
import InferenceRouter
import Instruments
import NIOCore
import NIOHTTP1
import OpenAIWire
import SemanticRouter

/// A request whose head has been accepted: route and sender are known.
struct ArrivingRequest {
    let id: String
    let head: HTTPRequestHead
    let target: RequestTarget
    let route: Route
    let identity: Identity
    let arrival = NIODeadline.now()
    /// Where its way is recorded, if it is traced.
    let trace: TracePoint?
    /// What a worker is told of the trace when this process records none; nil passes on what the client said.
    let untraced: TraceContext?

    /// Whether the client asked to be told how its request was routed.
    var wantsDebugHeaders: Bool {
        RoutingHeaders.asksForDebug(head.headers.first(name: RoutingHeaders.debug))
    }

    static let missingModel = RouterError(
        .missingModel,
        origin: .client,
        "Invalid request: missing 'model' in request body.",
        parameter: "model"
    )

    /// The request to send on for a JSON body: edits applied, the model's name resolved.
    func proxied(
        _ document: JSONDocument,
        model: String?,
        modelName: String? = nil,
        edits: RequestEdits = RequestEdits(),
        answerHeaders: AnswerHeaders = AnswerHeaders(),
        inference: InferenceRouter,
        settings: GatewaySettings
    ) throws(RouterError) -> ProxyRequest {
        guard let model else { throw Self.missingModel }
        let resolved = inference.resolve(model)
        return proxied(
            body: try edits.body(of: document, model: resolved) ?? document.bytes,
            uri: target.removing("id"),
            model: resolved,
            modelName: modelName,
            pinnedEndpoint: target.parameter("id"),
            headerEdits: edits.headers,
            answerHeaders: answerHeaders,
            settings: settings
        )
    }

    func proxied(
        body: ByteBuffer,
        uri: String,
        model: String,
        modelName: String? = nil,
        pinnedEndpoint: String? = nil,
        headerEdits: [HeaderEdit] = [],
        answerHeaders: AnswerHeaders = AnswerHeaders(),
        settings: GatewaySettings
    ) -> ProxyRequest {
        var headers = HopByHop.forwardable(head.headers) { name in
            name == "host" || name == RoutingHeaders.requestID || RoutingHeaders.isReserved(name)
                || (settings.consumesCredentials && (name == "authorization" || name == "x-api-key"))
        }
        headers.add(name: RoutingHeaders.requestID, value: id)
        if let key = settings.workerAPIKey, settings.consumesCredentials || !headers.contains(name: "authorization") {
            headers.replaceOrAdd(name: "authorization", value: "Bearer \(key)")
        }
        for edit in headerEdits {
            switch edit {
            case .add(let name, let value): headers.add(name: name, value: value)
            case .set(let name, let value): headers.replaceOrAdd(name: name, value: value)
            case .remove(let name): headers.remove(name: name)
            }
        }
        if let untraced { headers.tell(untraced) }
        var request = ProxyRequest(
            id: id,
            method: head.method,
            uri: uri,
            headers: headers,
            body: body,
            model: model,
            modelName: modelName,
            pinnedEndpoint: pinnedEndpoint,
            responseHeaders: [(RoutingHeaders.requestID, id)] + answerHeaders.always,
            routingHeaders: answerHeaders.onSuccess,
            arrival: arrival
        )
        request.trace = trace
        return request
    }
}
