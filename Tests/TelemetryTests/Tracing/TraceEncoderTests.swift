import Foundation
import Instruments
import NIOCore
import OTLPAPI
import SwiftProtobuf
import Telemetry
import TestRandom
import Testing

@Suite("Encoding of traces")
struct TraceEncoderTests {
    private let sink = KeptTraces()
    private let encoder = TraceEncoder(resource: ["service.name": "test", "host.name": "there"], version: "1.2.3")

    private func tracer(_ sampler: Sampler = Sampler(.always)) -> RequestTracer {
        var random = SeededRandom(seed: 3)
        return RequestTracer(sampler: sampler, sink: sink, using: &random)
    }

    private func bytes(_ value: UInt64...) -> Data {
        Data(value.flatMap { number in (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * $0)) } })
    }

    @Test("Every field says what was recorded")
    func fields() throws {
        let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        let parent = try #require(TraceContext(traceparent: header, tracestate: "a=b,c=d"))
        let trace = try #require(tracer().begin(Spans.request, parent: parent, detail: "/v1/chat"))
        let upstream = trace.begin(Spans.upstream)
        trace.set(Spans.model, .text("m"), on: upstream)
        trace.set(SpanAttribute("flag", ""), .flag(true), on: upstream)
        trace.set(SpanAttribute("off", ""), .flag(false), on: upstream)
        trace.set(SpanAttribute("count", ""), .number(-5), on: upstream)
        trace.set(SpanAttribute("zero", ""), .number(0), on: upstream)
        trace.set(SpanAttribute("score", ""), .decimal(0.5), on: upstream)
        trace.set(SpanAttribute("empty", ""), .text(""), on: upstream)
        trace.set(SpanAttribute("many", ""), .texts(["x", "", "ü"]), on: upstream)
        trace.set(SpanAttribute("none", ""), .texts([]), on: upstream)
        trace.fail(upstream, "timeout")
        trace.finish()

        let finished = try #require(sink.all.first)
        let request = try encoder.request([finished]).decodedRequest
        #expect(request.resourceSpans.count == 1)
        let resource = request.resourceSpans[0]
        #expect(resource.resource.attributes.map(\.key) == ["host.name", "service.name"])
        #expect(resource.resource.attributes.map(\.value.stringValue) == ["there", "test"])
        #expect(resource.scopeSpans.count == 1)
        #expect(resource.scopeSpans[0].scope.name == "sextant" && resource.scopeSpans[0].scope.version == "1.2.3")
        let spans = resource.scopeSpans[0].spans
        #expect(spans.count == 2)

        let root = spans[0]
        #expect(root.traceID == bytes(0x0af7_6519_16cd_43dd, 0x8448_eb21_1c80_319c))
        #expect(root.spanID == bytes(finished.spans[0].id.value))
        #expect(root.parentSpanID == bytes(0xb7ad_6b71_6920_3331))
        #expect(root.traceState == "a=b,c=d")
        #expect(root.name == "request /v1/chat" && root.kind == .server)
        #expect(root.startTimeUnixNano == finished.spans[0].start && root.endTimeUnixNano == finished.spans[0].end)
        #expect(root.flags == 0x301 && !root.hasStatus && root.attributes.isEmpty)

        let client = spans[1]
        #expect(client.traceID == root.traceID && client.traceState == "a=b,c=d")
        #expect(client.spanID == bytes(finished.spans[1].id.value) && client.parentSpanID == root.spanID)
        #expect(client.name == "upstream" && client.kind == .client && client.flags == 0x101)
        #expect(client.status.code == .error && client.status.message == "timeout")
        var values: [String: OTLPAnyValue] = [:]
        for attribute in client.attributes { values[attribute.key] = attribute.value }
        #expect(
            client.attributes.map(\.key)
                == ["model", "flag", "off", "count", "zero", "score", "empty", "many", "none"]
        )
        #expect(values["model"]?.value == .stringValue("m"))
        #expect(values["flag"]?.value == .boolValue(true) && values["off"]?.value == .boolValue(false))
        #expect(values["count"]?.value == .intValue(-5) && values["zero"]?.value == .intValue(0))
        #expect(values["score"]?.value == .doubleValue(0.5) && values["empty"]?.value == .stringValue(""))
        #expect(values["many"]?.arrayValue.values.map(\.value) == ["x", "", "ü"].map { .stringValue($0) })
        guard case .arrayValue(let none) = values["none"]?.value else {
            Issue.record("an empty list is a list")
            return
        }
        #expect(none.values.isEmpty)
    }

    @Test("A trace that nobody sent has no parent; one that was not chosen says so")
    func roots() throws {
        let trace = try #require(tracer(Sampler(.never, keepsErrors: true)).begin(Spans.request, parent: nil))
        trace.fail(.root, "x")
        trace.finish()
        let root = try #require(try encoder.request(sink.all).spans.first)
        #expect(root.parentSpanID.isEmpty && root.flags == 0x100 && root.traceState.isEmpty)
    }

    @Test("What there was no room for is counted")
    func dropped() throws {
        let trace = try #require(tracer().begin(Spans.request, parent: nil))
        for _ in 0..<Trace.mostAttributes + 3 { trace.set(Spans.model, .text("x")) }
        for _ in 0..<Trace.mostSpans + 4 { trace.end(trace.begin(Spans.step)) }
        trace.finish()
        let spans = try encoder.request(sink.all).spans
        #expect(spans.count == Trace.mostSpans)
        #expect(spans[0].droppedAttributesCount == 3)
        #expect(spans[0].attributes.last?.key == "sextant.dropped_spans")
        #expect(spans[0].attributes.last?.value.intValue == 5)
        #expect(spans[1].droppedAttributesCount == 0)
    }

    @Test("Nothing is a request without spans")
    func empty() throws {
        #expect(try encoder.request([]).spans.isEmpty)
    }

    @Test("What is written is byte for byte what SwiftProtobuf writes of the same messages")
    func canonical() throws {
        var random = SeededRandom.fromEnvironment()
        let tracer = RequestTracer(sampler: Sampler(.ratio(0.5), keepsErrors: true), sink: sink, using: &random)
        let long = String(repeating: "länger ", count: 40)
        for _ in 0..<300 {
            var parent: TraceContext?
            if random.once(in: 3), let id = TraceID(high: random.next(), low: random.next()),
                let span = SpanID(random.next())
            {
                parent = TraceContext(
                    traceID: id,
                    spanID: span,
                    isSampled: true,
                    state: random.once(in: 2) ? "" : "k=v"
                )
            }
            guard let trace = tracer.begin(Spans.request, parent: parent) else { continue }
            for _ in 0..<random.below(20) {
                let span = trace.begin(random.pick([Spans.step, Spans.upstream]))
                for _ in 0..<random.below(6) {
                    let key = SpanAttribute(random.pick(["a", "b.c", long]), "")
                    let value: SpanAttribute.Value =
                        switch random.below(6) {
                        case 0: .text(random.pick(["", "x", long]))
                        case 1: .number(Int(bitPattern: UInt(random.next())) >> random.below(64))
                        case 2: .decimal(Double(random.below(1000)) / 7)
                        case 3: .flag(random.once(in: 2))
                        case 4: .texts((0..<random.below(4)).map { _ in random.pick(["", "y", long]) })
                        default: .number(-random.below(3))
                        }
                    trace.set(key, value, on: span)
                }
                if random.once(in: 4) { trace.fail(span, random.pick(["timeout", long])) }
                if random.once(in: 2) { trace.end(span) }
            }
            trace.finish()
        }
        #expect(sink.all.count > 100)
        for count in [1, 3, sink.all.count] {
            let written = encoder.request(Array(sink.all.prefix(count)))
            let again: [UInt8] = try written.decodedRequest.serializedBytes()
            #expect(Array(written.readableBytesView) == again)
        }
    }
}
