import ConfigKit
import Foundation
import Instruments
import NIOCore
import OpenAIWire
import SemanticRouter
import Testing

/// Routers from policies, and what came of a request, in words.
enum PolicyTools {
    static func router(_ yaml: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> SemanticRouter {
        let result = SemanticConfig.parse(yaml, name: "policy.yaml")
        for diagnostic in result.diagnostics where diagnostic.severity == .error {
            Issue.record("\(diagnostic)", sourceLocation: sourceLocation)
        }
        return router(try result.get())
    }

    static func router(_ config: SemanticConfig) -> SemanticRouter {
        SemanticRouter(
            config,
            metrics: SemanticMetrics(),
            unixTime: { 1_700_000_000 }
        )
    }

    static func request(
        _ body: String,
        debug: Bool = false,
        identity: Identity = .anonymous
    ) throws -> InboundRequest {
        InboundRequest(
            try TextRequest(endpoint: .chatCompletions, body: ByteBuffer(string: body)),
            identity: identity,
            wantsDebugHeaders: debug
        )
    }

    /// One message of the user's.
    static func ask(_ text: String, model: String = "auto", debug: Bool = false) throws -> InboundRequest {
        let content = String(buffer: JSONFragment(text).bytes)
        let name = String(buffer: JSONFragment(model).bytes)
        return try request(#"{"model":\#(name),"messages":[{"role":"user","content":\#(content)}]}"#, debug: debug)
    }

    /// The path of a file recorded from upstream; see `Fixtures/upstream`.
    static func upstream(_ name: String) throws -> String {
        try #require(Bundle.module.resourcePath) + "/Fixtures/upstream/" + name
    }

    static func upstreamPolicy(_ name: String) throws -> SemanticConfig {
        try SemanticConfig.load(upstream(name), options: DecodingOptions(unknownKeys: .error)).get()
    }
}

extension RoutingOutcome {
    /// `big` or `bypass explicit_model` or `respond 200`.
    var summary: String {
        switch self {
        case .forward(let routed): routed.model
        case .bypass(let reason): "bypass \(reason.rawValue)"
        case .respond(let response): "respond \(response.statusCode)"
        }
    }

    var forwarded: RoutedRequest? {
        if case .forward(let routed) = self { routed } else { nil }
    }

    var response: LocalResponse? {
        if case .respond(let response) = self { response } else { nil }
    }
}

extension RoutedRequest {
    /// What the worker gets, with the model's name written as a front end does.
    func body(of request: InboundRequest) throws -> String {
        var edits = edits.body
        if request.text.model != model { edits.append(.set("model", JSONFragment(model))) }
        return String(buffer: try edits.applied(to: request.text.document))
    }
}

extension SemanticRouter {
    /// `routeNow` where workers serve everything.
    func routeAll(_ request: InboundRequest) -> RoutingOutcome { routeNow(request) { _ in true } }
}

extension [AnswerHeaders.Field] {
    /// `name: value`, in order.
    var lines: [String] { map { "\($0.name): \($0.value)" } }
}
