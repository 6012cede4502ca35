import Instruments
import Testing

@Suite("Traces")
struct TraceTests {
    private let sink = KeptTraces()

    private func tracer(_ sampler: Sampler = Sampler(.always)) -> RequestTracer { RequestTracer(sampler, sink) }

    private func trace(parent: TraceContext? = nil) throws -> Trace {
        try #require(tracer().begin(Spans.request, parent: parent))
    }

    private func only() throws -> Trace.Finished {
        #expect(sink.all.count == 1)
        return try #require(sink.all.first)
    }

    @Test("A trace is handed on as a tree, in the order of the spans' beginnings")
    func tree() throws {
        let trace = try trace()
        let first = trace.begin(Spans.step)
        let inner = trace.begin(Spans.upstream, in: first)
        trace.end(inner)
        trace.end(first)
        let second = trace.begin(Spans.step)
        trace.end(second)
        #expect(sink.all.isEmpty)
        trace.finish()

        let spans = try only().spans
        #expect(spans.map(\.definition.name) == ["request", "step", "upstream", "step"])
        #expect(spans.map(\.definition.kind) == [.server, .internal, .client, .internal])
        #expect(spans[0].parent == nil)
        #expect(spans[1].parent == spans[0].id)
        #expect(spans[2].parent == spans[1].id)
        #expect(spans[3].parent == spans[0].id)
        #expect(Set(spans.map(\.id)).count == 4)
        #expect(spans.allSatisfy { $0.start <= $0.end && $0.start >= spans[0].start && $0.end <= spans[0].end })
        #expect(spans[2].end <= spans[1].end && spans[1].end <= spans[3].start)
    }

    @Test("A trace that nobody can end any more is handed on as abandoned, one that has ended not again")
    func abandoned() throws {
        do {
            let trace = try trace()
            _ = trace.begin(Spans.step)
        }
        let spans = try only().spans
        #expect(spans.map(\.failure) == ["abandoned", nil])
        #expect(spans.allSatisfy { $0.end >= $0.start })
        do { try trace().finish() }
        #expect(sink.all.map { $0.spans[0].failure } == ["abandoned", nil])
    }

    @Test("Times are the wall clock's")
    func wallClock() throws {
        let before = TraceClock.wall
        let trace = try trace()
        trace.finish()
        let after = TraceClock.wall
        let root = try only().spans[0]
        // The two clocks are read one after the other, and may be slewed against each other.
        let slack: UInt64 = 50_000_000
        #expect(root.start >= before - slack && root.end <= after + slack)
    }

    @Test("The root continues the sender's span, and the next process is told of ours")
    func propagation() throws {
        let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        let parent = try #require(TraceContext(traceparent: header, tracestate: "congo=t61rcWkgMzE"))
        let trace = try trace(parent: parent)
        let upstream = trace.begin(Spans.upstream)
        let context = trace.context(of: upstream)
        let rootContext = trace.context()
        trace.finish()

        let finished = try only()
        #expect(finished.id == parent.traceID && finished.isSampled)
        #expect(finished.state == "congo=t61rcWkgMzE")
        #expect(finished.spans[0].parent == parent.spanID)
        #expect(context.traceID == parent.traceID)
        #expect(context.spanID == finished.spans[1].id)
        #expect(context.isSampled && context.state == "congo=t61rcWkgMzE")
        #expect(rootContext.spanID == finished.spans[0].id)
        #expect(trace.context(of: upstream) == context)
    }

    @Test("The root's name may say more than its definition's")
    func detail() throws {
        let trace = try #require(tracer().begin(Spans.request, parent: nil, detail: "/v1/models"))
        trace.end(trace.begin(Spans.step))
        trace.finish()
        #expect(try only().spans.map(\.name) == ["request /v1/models", "step"])
    }

    @Test("A stage records itself under the point that it is handed")
    func points() throws {
        let trace = try trace()
        let stage = TracePoint(trace: trace).begin(Spans.step)
        let upstream = TracePoint(trace: trace, span: stage.span).begin(Spans.upstream)
        upstream.set(Spans.attempt, .number(1))
        upstream.fail("refused")
        upstream.end()
        stage.end()
        let context = upstream.context
        trace.finish()
        let finished = try only()
        #expect(finished.spans[2].parent == finished.spans[1].id)
        #expect(finished.spans.map(\.failure) == [nil, nil, "refused"])
        #expect(finished.attributes[2].map(\.value) == [.number(1)])
        #expect(context.spanID == finished.spans[2].id)
    }

    @Test("A request that is not traced has ids of its own, and is told not to be traced")
    func untraced() throws {
        let tracer = tracer(Sampler(.never))
        let contexts = (0..<100).map { _ in tracer.untraced() }
        #expect(Set(contexts.map(\.traceID)).count == 100)
        #expect(Set(contexts.map(\.spanID)).count == 100)
        #expect(contexts.allSatisfy { !$0.isSampled && $0.state.isEmpty })
    }

    @Test("Facts and failures stay with their spans; what is said twice of a span has the last value")
    func statements() throws {
        let trace = try trace()
        let step = trace.begin(Spans.step)
        trace.set(Spans.model, .text("a"))
        trace.set(Spans.attempt, .number(1), on: step)
        trace.set(Spans.model, .text("b"))
        trace.set(Spans.attempt, .number(2), on: step)
        trace.set(Spans.model, .flag(true), on: step)
        trace.fail(step, "timeout")
        trace.fail(step, "later")
        trace.finish()

        let finished = try only()
        let attributes = finished.attributes
        #expect(attributes[0].map(\.value) == [.text("b")])
        #expect(attributes[1].map(\.key.name) == ["attempt", "model"])
        #expect(attributes[1].map(\.value) == [.number(2), .flag(true)])
        #expect(finished.spans.map(\.failure) == [nil, "timeout"])
    }

    @Test("What has not ended ends with the trace; the first end counts")
    func ends() throws {
        let trace = try trace()
        let open = trace.begin(Spans.step)
        let ended = trace.begin(Spans.step)
        trace.end(ended)
        let context = trace.begin(Spans.step)
        trace.end(ended)
        trace.finish()
        let spans = try only().spans
        #expect(spans[1].end == spans[0].end)
        #expect(spans[2].end <= spans[3].start)
        #expect(open != context)
    }

    @Test("A trace is handed on once, and nothing is added to it afterwards")
    func finishOnce() throws {
        let trace = try trace()
        trace.finish()
        let late = trace.begin(Spans.step)
        trace.set(Spans.model, .text("late"))
        trace.fail(.root, "late")
        trace.set(Spans.model, .text("late"), on: late)
        trace.end(late)
        trace.finish()
        let finished = try only()
        #expect(finished.spans.count == 1 && finished.statements.isEmpty && finished.spans[0].failure == nil)
        #expect(trace.context(of: late).spanID == finished.spans[0].id)
    }

    @Test("Past the most spans and statements, what comes is counted only")
    func bounds() throws {
        let trace = try trace()
        var last = Trace.Span.root
        for _ in 0..<1000 {
            last = trace.begin(Spans.step, in: last)
            trace.set(Spans.model, .text("x"), on: last)
        }
        for index in 0..<100 { trace.set(Spans.attempt, .number(index)) }
        let below = trace.begin(Spans.step, in: last)
        trace.fail(below, "no room")
        trace.finish()
        let finished = try only()
        #expect(finished.spans.count == Trace.mostSpans)
        #expect(finished.droppedSpans == 1002 - Trace.mostSpans)
        #expect(finished.statements.count == Trace.mostSpans - 1 + Trace.mostAttributes)
        #expect(finished.spans[0].droppedAttributes == 100 - Trace.mostAttributes)
        #expect(finished.spans[1].droppedAttributes == 0)
        #expect(finished.spans.allSatisfy { $0.failure == nil })
    }

    @Test("A trace that many threads record into loses nothing")
    func concurrency() async throws {
        let trace = try trace()
        let workers = 6
        let spansEach = 20
        await withTaskGroup(of: Void.self) { group in
            for worker in 0..<workers {
                group.addTask {
                    let above = trace.begin(Spans.upstream)
                    for index in 1..<spansEach {
                        let span = trace.begin(Spans.step, in: above)
                        trace.set(Spans.attempt, .number(worker * 1000 + index), on: span)
                        trace.end(span)
                    }
                    trace.end(above)
                }
            }
        }
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<workers { group.addTask { trace.finish() } }
        }
        let finished = try only()
        #expect(finished.spans.count == workers * spansEach + 1)
        #expect(Set(finished.spans.map(\.id)).count == finished.spans.count)
        let attributes = finished.attributes
        for (index, span) in finished.spans.enumerated() where span.definition === Spans.step {
            #expect(attributes[index].count == 1)
            let parent = try #require(finished.spans.first { $0.id == span.parent })
            #expect(parent.definition === Spans.upstream)
        }
        let values = attributes.joined().map(\.value)
        let wanted = (0..<workers).flatMap { worker in
            (1..<spansEach).map { SpanAttribute.Value.number(worker * 1000 + $0) }
        }
        #expect(Set(values) == Set(wanted) && values.count == wanted.count)
    }

    @Test("Traces of one process, and of processes with other seeds, have ids of their own")
    func uniqueIDs() throws {
        var traces: Set<TraceID> = []
        var spans: Set<SpanID> = []
        for seed in 0..<4 as Range<UInt64> {
            let tracer = RequestTracer(Sampler(.always), sink, seed: seed)
            for _ in 0..<2000 {
                let trace = try #require(tracer.begin(Spans.request, parent: nil))
                traces.insert(trace.id)
                spans.insert(trace.context().spanID)
                spans.insert(trace.context(of: trace.begin(Spans.step)).spanID)
            }
        }
        #expect(traces.count == 8000)
        #expect(spans.count == 16000)
    }

    @Test("Tasks that begin traces at once get different ids")
    func concurrentIDs() async {
        let tracer = tracer()
        let ids = await withTaskGroup(of: [TraceID].self) { group in
            for _ in 0..<8 {
                group.addTask { (0..<2000).compactMap { _ in tracer.begin(Spans.request, parent: nil)?.id } }
            }
            return await group.reduce(into: Set<TraceID>()) { $0.formUnion($1) }
        }
        #expect(ids.count == 16000)
    }
}
