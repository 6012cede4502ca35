import Instruments
import TestRandom
import Testing

@Suite("Samplers")
struct SamplerTests {
    private let sink = KeptTraces()

    /// Whether a trace is recorded, chosen and kept.
    private struct Fate: Equatable {
        var isRecorded = false
        var isSampled = false
        var isKept = false

        static let kept = Fate(isRecorded: true, isSampled: true, isKept: true)
        static let nothing = Fate()
        static let forgotten = Fate(isRecorded: true)
        static let keptByOutcome = Fate(isRecorded: true, isKept: true)
    }

    private func fate(
        _ tracer: RequestTracer,
        parent: TraceContext? = nil,
        _ body: (Trace) -> Void = { _ in }
    ) -> Fate {
        let before = sink.all.count
        guard let trace = tracer.begin(Spans.request, parent: parent) else { return .nothing }
        body(trace)
        trace.finish()
        return Fate(isRecorded: true, isSampled: trace.isSampled, isKept: sink.all.count == before + 1)
    }

    private func parent(isSampled: Bool) throws -> TraceContext {
        try #require(
            TraceContext(traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0\(isSampled ? 1 : 0)")
        )
    }

    @Test("All or none")
    func constant() {
        #expect(fate(RequestTracer(Sampler(.always), sink)) == .kept)
        #expect(fate(RequestTracer(Sampler(.never), sink)) == .nothing)
    }

    @Test("The sender's choice holds, unless it is not to be followed", arguments: [true, false])
    func parents(isSampled: Bool) throws {
        let parent = try parent(isSampled: isSampled)
        for choice in [Sampler.Choice.always, .never, .ratio(0), .ratio(1), .perSecond(0)] {
            let tracer = RequestTracer(Sampler(choice), sink)
            #expect(fate(tracer, parent: parent) == (isSampled ? .kept : .nothing), "\(choice)")
        }
        let always = RequestTracer(Sampler(.always, followsParent: false), sink)
        let never = RequestTracer(Sampler(.never, followsParent: false), sink)
        #expect(fate(always, parent: parent) == .kept)
        #expect(fate(never, parent: parent) == .nothing)
        #expect(sink.all.last?.id == parent.traceID)
    }

    @Test("A ratio chooses its share of traces", arguments: [0.01, 0.1, 0.5, 0.9])
    func share(ratio: Double) {
        let seed = SeededRandom.fromEnvironment().seed
        let tracer = RequestTracer(Sampler(.ratio(ratio)), sink, seed: seed)
        let count = 20_000
        let chosen = (0..<count).count { _ in tracer.begin(Spans.request, parent: nil) != nil }
        // Six standard deviations of a binomial distribution: wrong once in 10⁹.
        let deviation = (Double(count) * ratio * (1 - ratio)).squareRoot()
        #expect(abs(Double(chosen) - Double(count) * ratio) < 6 * deviation)
    }

    @Test("A ratio of 0, or that is no number, chooses none; of 1 or more all")
    func extremes() throws {
        let ids = [UInt64.min, 1, 1 << 63 - 1, 1 << 63, .max - 1, .max].compactMap { TraceID(high: 1, low: $0) }
        for id in ids {
            let parent = TraceContext(traceID: id, spanID: try #require(SpanID(1)), isSampled: false)
            for ratio in [0, -1, Double.nan] {
                #expect(
                    fate(RequestTracer(Sampler(.ratio(ratio), followsParent: false), sink), parent: parent) == .nothing
                )
            }
            for ratio in [1, 2, Double.infinity] {
                #expect(
                    fate(RequestTracer(Sampler(.ratio(ratio), followsParent: false), sink), parent: parent) == .kept
                )
            }
        }
    }

    @Test("Processes with one ratio choose the same traces, and one with a larger ratio those and more")
    func agreement() {
        var random = SeededRandom.fromEnvironment()
        let a = RequestTracer(Sampler(.ratio(0.3), followsParent: false), sink, seed: 1)
        let b = RequestTracer(Sampler(.ratio(0.3), followsParent: false), sink, seed: 2)
        let larger = RequestTracer(Sampler(.ratio(0.6), followsParent: false), sink, seed: 3)
        for _ in 0..<5000 {
            guard let id = TraceID(high: random.next(), low: random.next()), let span = SpanID(random.next()) else {
                continue
            }
            let parent = TraceContext(traceID: id, spanID: span, isSampled: random.once(in: 2))
            let isChosen = a.begin(Spans.request, parent: parent) != nil
            #expect((b.begin(Spans.request, parent: parent) != nil) == isChosen)
            if isChosen { #expect(larger.begin(Spans.request, parent: parent) != nil) }
        }
    }

    @Test("A ratio looks at the id as OpenTelemetry's Go and Python SDKs do: its lower half as a fraction")
    func sameAsOthers() throws {
        let tracer = RequestTracer(Sampler(.ratio(0.25), followsParent: false), sink)
        for (low, isChosen) in [(0, true), (1 << 62 - 1, true), (1 << 62, false), (1 << 63, false)] as [(UInt64, Bool)]
        {
            let id = try #require(TraceID(high: .max, low: low))
            let parent = TraceContext(traceID: id, spanID: try #require(SpanID(1)), isSampled: false)
            #expect((tracer.begin(Spans.request, parent: parent) != nil) == isChosen, "\(low)")
        }
    }

    @Test("A rate lets so many through in a second, and saves up one second's worth at most")
    func rate() {
        let clock = SetClock()
        let tracer = RequestTracer(Sampler(.perSecond(5), clock: clock.read), sink)
        func chosen(of count: Int) -> Int { (0..<count).count { _ in tracer.begin(Spans.request, parent: nil) != nil } }
        #expect(chosen(of: 10) == 1)
        clock.advance(.milliseconds(199))
        #expect(chosen(of: 10) == 0)
        clock.advance(.milliseconds(1))
        #expect(chosen(of: 10) == 1)
        clock.advance(.seconds(3600))
        #expect(chosen(of: 100) == 5)
        // Spread over ten seconds in small steps, ten seconds' worth.
        var total = 0
        for _ in 0..<1000 {
            clock.advance(.milliseconds(10))
            total += chosen(of: 3)
        }
        #expect((49...50).contains(total))
    }

    @Test("A rate below one a second lets one through when its time has come")
    func slowRate() {
        let clock = SetClock()
        let tracer = RequestTracer(Sampler(.perSecond(0.1), clock: clock.read), sink)
        #expect(tracer.begin(Spans.request, parent: nil) != nil)
        clock.advance(.milliseconds(9_990))
        #expect(tracer.begin(Spans.request, parent: nil) == nil)
        clock.advance(.milliseconds(20))
        #expect(tracer.begin(Spans.request, parent: nil) != nil)
        #expect(tracer.begin(Spans.request, parent: nil) == nil)
    }

    @Test("A rate of 0 lets none through")
    func noRate() {
        let clock = SetClock()
        let tracer = RequestTracer(Sampler(.perSecond(0), clock: clock.read), sink)
        clock.advance(.seconds(3600))
        #expect(tracer.begin(Spans.request, parent: nil) == nil)
    }

    @Test("A clock reading that comes late changes nothing")
    func lateReading() {
        let clock = SetClock()
        let tracer = RequestTracer(Sampler(.perSecond(1), clock: clock.read), sink)
        #expect(tracer.begin(Spans.request, parent: nil) != nil)
        clock.goBack(.seconds(1))
        #expect(tracer.begin(Spans.request, parent: nil) == nil)
        clock.advance(.seconds(1))
        #expect(tracer.begin(Spans.request, parent: nil) == nil)
        clock.advance(.seconds(1))
        #expect(tracer.begin(Spans.request, parent: nil) != nil)
    }

    @Test("Tasks that ask at once share one rate")
    func concurrentRate() async {
        let clock = SetClock()
        let tracer = RequestTracer(Sampler(.perSecond(100), clock: clock.read), sink)
        clock.advance(.seconds(10))
        let chosen = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<8 {
                group.addTask { (0..<1000).count { _ in tracer.begin(Spans.request, parent: nil) != nil } }
            }
            return await group.reduce(0, +)
        }
        #expect(chosen == 100)
    }

    @Test("A trace with a failed span is kept, chosen or not; the others are not")
    func errors() throws {
        let tracer = RequestTracer(Sampler(.never, keepsErrors: true), sink)
        #expect(fate(tracer) == .forgotten)
        #expect(fate(tracer) { $0.fail(.root, "no_endpoint") } == .keptByOutcome)
        #expect(fate(tracer) { $0.fail($0.begin(Spans.upstream), "timeout") } == .keptByOutcome)
        #expect(fate(tracer, parent: try parent(isSampled: false)) { $0.fail(.root, "no") } == .keptByOutcome)
        // The next process is told what was chosen at the beginning.
        #expect(tracer.begin(Spans.request, parent: nil)?.context().isSampled == false)
    }

    @Test("A trace that took longer than asked is kept, chosen or not")
    func slow() {
        let always = RequestTracer(Sampler(.never, slowerThan: .nanoseconds(1)), sink)
        let never = RequestTracer(Sampler(.never, slowerThan: .seconds(3600)), sink)
        let busy: (Trace) -> Void = { trace in
            let start = TraceClock.monotonic
            while TraceClock.monotonic - start < 1000 {}
        }
        #expect(fate(always, busy) == .keptByOutcome)
        #expect(fate(never, busy) == .forgotten)
    }
}
