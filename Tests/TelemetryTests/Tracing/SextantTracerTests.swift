import Instruments
import Telemetry
import TestRandom
import Testing
import Tracing

@Suite("Tracing facade")
struct SextantTracerTests {
    private let sink = KeptTraces()

    private func tracer(_ sampler: Sampler = Sampler(.always)) -> SextantTracer {
        var random = SeededRandom(seed: 5)
        return SextantTracer(RequestTracer(sampler: sampler, sink: sink, using: &random))
    }

    private struct Headers: Injector, Extractor {
        func inject(_ value: String, forKey key: String, into carrier: inout [String: String]) { carrier[key] = value }
        func extract(key: String, from carrier: [String: String]) -> String? { carrier[key] }
    }

    @Test("Nested spans are one trace, which goes out when the outermost ends")
    func nesting() async throws {
        let tracer = tracer()
        await tracer.withSpan("outer", ofKind: .server) { outer in
            outer.attributes["model"] = "m"
            outer.attributes["count"] = 3
            await tracer.withSpan("inner", ofKind: .client) { inner in
                inner.attributes["flag"] = true
                inner.attributes["share"] = 0.5
                inner.attributes["many"] = ["a", "b"]
                await Task.yield()
            }
            tracer.withSpan("sync") { $0.operationName = "renamed" }
            #expect(sink.all.isEmpty && outer.isRecording)
        }
        let trace = try #require(sink.all.first)
        #expect(sink.all.count == 1)
        #expect(trace.spans.map(\.name) == ["outer", "inner", "renamed"])
        #expect(trace.spans.map(\.definition.kind) == [.server, .client, .internal])
        #expect(trace.spans[1].parent == trace.spans[0].id && trace.spans[2].parent == trace.spans[0].id)
        func values(_ index: Int) -> [String: Instruments.SpanAttribute.Value] {
            Dictionary(uniqueKeysWithValues: trace.attributes[index].map { ($0.key.name, $0.value) })
        }
        #expect(values(0) == ["model": .text("m"), "count": .number(3)])
        #expect(values(1) == ["flag": .flag(true), "share": .decimal(0.5), "many": .texts(["a", "b"])])
    }

    @Test("An error that a body throws fails its span, by the error's type")
    func errors() throws {
        struct SecretError: Error { let prompt = "what the user said" }
        let tracer = tracer()
        #expect(throws: SecretError.self) { try tracer.withSpan("failing") { _ in throw SecretError() } }
        #expect(sink.all.first?.spans.first?.failure == "SecretError")
        let span = tracer.startSpan("status")
        span.setStatus(SpanStatus(code: .ok))
        span.setStatus(SpanStatus(code: .error, message: "what the user said"))
        span.end()
        span.end()
        span.attributes["late"] = 1
        #expect(sink.all.count == 2 && sink.all.last?.spans.first?.failure == "error" && !span.isRecording)
        #expect(sink.all.last?.statements.isEmpty == true)
    }

    @Test("The headers of W3C go in and out")
    func propagation() throws {
        let tracer = tracer()
        let incoming = [
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=b",
        ]
        var context = ServiceContext.topLevel
        tracer.extract(incoming, into: &context, using: Headers())
        let span = tracer.startSpan("request", context: context, ofKind: .server)
        var outgoing: [String: String] = [:]
        tracer.inject(span.context, into: &outgoing, using: Headers())
        span.end()
        let trace = try #require(sink.all.first)
        #expect(trace.id.text == "0af7651916cd43dd8448eb211c80319c")
        #expect(trace.spans[0].parent?.text == "b7ad6b7169203331")
        #expect(outgoing["traceparent"] == "00-\(trace.id.text)-\(trace.spans[0].id.text)-01")
        #expect(outgoing["tracestate"] == "a=b")
    }

    @Test("What is not sampled is not recorded, and the next process is told so")
    func unsampled() throws {
        let tracer = tracer(Sampler(.never))
        tracer.withSpan("outer") { outer in
            #expect(!outer.isRecording)
            tracer.withSpan("inner") { inner in
                var outgoing: [String: String] = [:]
                tracer.inject(inner.context, into: &outgoing, using: Headers())
                #expect(outgoing["traceparent"]?.hasSuffix("-00") == true)
                #expect(inner.context.traceContext?.traceID == outer.context.traceContext?.traceID)
            }
        }
        #expect(sink.all.isEmpty)
        var nothing: [String: String] = [:]
        tracer.inject(.topLevel, into: &nothing, using: Headers())
        #expect(nothing.isEmpty)
    }

    @Test("A malformed header counts as absent")
    func malformed() {
        var context = ServiceContext.topLevel
        tracer().extract(["traceparent": "00-zz"], into: &context, using: Headers())
        #expect(context.traceContext == nil)
    }

    @Test("Spans of the facade begin under a request's span")
    func underRequest() throws {
        var random = SeededRandom(seed: 9)
        let requests = RequestTracer(sampler: Sampler(.always), sink: sink, using: &random)
        let request = try #require(requests.begin(Spans.request, parent: nil))
        let stage = TracePoint(trace: request).begin(Spans.step)
        var context = ServiceContext.topLevel
        context.tracePoint = stage
        SextantTracer(requests).withSpan("facade", context: context) { _ in }
        stage.end()
        #expect(sink.all.isEmpty)
        request.finish()
        let spans = try #require(sink.all.first).spans
        #expect(spans.map(\.name) == ["request", "step", "facade"] && spans[2].parent == spans[1].id)
    }
}
