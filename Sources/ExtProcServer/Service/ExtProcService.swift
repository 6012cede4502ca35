package import ConfigKit
package import GRPCTransport
package import Instruments
package import NIOCore
import OpenAIWire
package import SemanticRouter
package import Transport

/// Envoy's external processing service (`envoy.service.ext_proc.v3.ExternalProcessor`): the semantic core's other front
/// end. One call is one HTTP request with its answer.
package struct ExtProcService: GRPCMethod {
    /// The service's full name, by which its health is asked for.
    package let name = "envoy.service.ext_proc.v3.ExternalProcessor"
    package let path = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"

    let semantic: Live<SemanticRouter>
    let settings: ExtProcSettings
    let metrics: ExtProcMetrics
    let budget: ByteBudget
    /// Nil where nothing is traced.
    let tracer: RequestTracer?

    /// - Parameter budget: memory for bodies that come in pieces.
    package init(
        semantic: Live<SemanticRouter>,
        settings: ExtProcSettings,
        metrics: ExtProcMetrics,
        budget: ByteBudget,
        tracer: RequestTracer? = nil
    ) {
        self.semantic = semantic
        self.settings = settings
        self.metrics = metrics
        self.budget = budget
        self.tracer = tracer
    }

    package func begin(_ call: GRPCServerCall) -> any GRPCCallHandler {
        ExtProcCall(service: self, call: call)
    }

    /// The state of a request that has not begun.
    package func stream() -> ExtProcStream {
        ExtProcStream(maxBodyBytes: settings.maxBodyBytes, trustsIdentityHeaders: settings.trustsIdentityHeaders)
    }

    /// Answers what a stream asks. Never fails: what cannot be decided goes on as it is.
    package func verdict(_ question: ExtProcStream.Question, _ trace: TracePoint? = nil) -> ExtProcStream.Verdict {
        switch question {
        case .models(let head, let name): return models(name, head, trace)
        case .route(let head, let endpoint, let body):
            let start = NIODeadline.now()
            trace?.set(SemanticSpans.path, .text(endpoint.rawValue))
            let verdict = route(head, endpoint, body, trace)
            metrics.decided.record(.nanoseconds((NIODeadline.now() - start).nanoseconds))
            return verdict
        }
    }

    /// What became of a request, as a figure and in its span.
    func count(_ outcome: ExtProcMetrics.Outcome, _ trace: TracePoint?) {
        metrics.count(outcome)
        trace?.set(SemanticSpans.outcome, .text(outcome.rawValue))
    }

    func countRefusal(_ code: RouterError.Code, _ trace: TracePoint?) {
        count(.refuse, trace)
        metrics.countRefusal(code)
        trace?.fail(code.rawValue)
    }

    private func models(_ name: String?, _ head: RequestHead, _ trace: TracePoint?) -> ExtProcStream.Verdict {
        let list = ModelList(semantic.current.modelCards)
        guard let name else { return respond(.json(list.json), to: head, trace) }
        // One that is none of ours may be a worker's.
        guard let card = list.entries.first(where: { $0.id == name }) else {
            count(.pass, trace)
            return .proceed(ExtProcStream.Proceeding())
        }
        return respond(.json(card.json.bytes), to: head, trace)
    }

    private func respond(_ local: LocalResponse, to head: RequestHead, _ trace: TracePoint?) -> ExtProcStream.Verdict {
        count(.respond, trace)
        return .respond(ImmediateResponse(local, to: head, details: "sextant_local_response"))
    }

    private func route(
        _ head: RequestHead,
        _ endpoint: TextEndpoint,
        _ body: ByteBuffer,
        _ trace: TracePoint?
    ) -> ExtProcStream.Verdict {
        do throws(RouterError) {
            let identity = settings.trustsIdentityHeaders ? try Identity.claimed(by: head.fields.values) : nil
            let text = try TextRequest(endpoint: endpoint, body: body)
            let router = semantic.current
            let inbound = InboundRequest(
                text,
                identity: identity ?? .anonymous,
                wantsDebugHeaders: head.wantsDebugHeaders
            )
            // Who serves what is known to the inference router behind Envoy alone.
            let outcome = router.routeNow(inbound, isServed: { _ in true }, trace: trace)
            let verdict = try ExtProcTranslator.verdict(outcome, for: text, head: head, by: router)
            count(outcome.kind, trace)
            return verdict
        } catch {
            guard error.origin == .client else {
                metrics.countFailure(.internal)
                trace?.fail(error.code.rawValue)
                return .proceed(ExtProcStream.Proceeding())
            }
            countRefusal(error.code, trace)
            return .respond(ImmediateResponse(error, to: head))
        }
    }
}

extension ExtProcStream.Verdict {
    /// With what the next process is told of the trace; an Envoy that traces says it in its own words after that.
    func telling(_ context: TraceContext?) -> ExtProcStream.Verdict {
        guard let context, case .proceed(var proceeding) = self else { return self }
        proceeding.headers.fields.append(.init(TraceContext.parentHeader, context.traceparent))
        if context.state.isEmpty {
            proceeding.headers.removed.append(TraceContext.stateHeader)
        } else {
            proceeding.headers.fields.append(.init(TraceContext.stateHeader, context.state))
        }
        return .proceed(proceeding)
    }
}

extension RoutingOutcome {
    fileprivate var kind: ExtProcMetrics.Outcome {
        switch self {
        case .forward: .forward
        case .respond: .respond
        case .bypass: .bypass
        }
    }
}

package struct ExtProcSettings: Sendable {
    /// Of a body that comes in pieces: 50 MiB, the buffer limit of upstream's Envoy configurations.
    package var maxBodyBytes = 50 * 1024 * 1024
    /// How long such a body may take.
    package var bodyTimeout = TimeAmount.seconds(300)
    /// Whether `x-authz-*` headers are believed: Envoy must then let nobody but a trusted hop set them.
    package var trustsIdentityHeaders = true

    package init() {}
}
