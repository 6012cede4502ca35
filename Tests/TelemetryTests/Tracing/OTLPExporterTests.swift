import Instruments
import Logging
import NIOCore
import Resilience
import Telemetry
import TestSupport
import Testing

@Suite("Trace exporter", .timeLimit(.minutes(2)))
struct OTLPExporterTests {
    private let registry = MetricRegistry()
    private let log = CapturedLog()
    private let time = ManualTime()

    private func settings(_ change: (inout TracingSettings.Limits) -> Void = { _ in }) -> TracingSettings {
        var settings = TracingSettings(host: "collector", port: 4317)
        settings.resource = ["service.name": "test"]
        change(&settings.limits)
        return settings
    }

    private func exporter(
        _ carrier: ScriptedCarrier,
        _ settings: TracingSettings? = nil,
        retries: OTLPExporter.Retries = OTLPExporter.Retries()
    ) -> OTLPExporter {
        OTLPExporter(
            settings ?? self.settings(),
            carrier: carrier,
            version: "1",
            registry: registry,
            logger: log.logger,
            retries: retries,
            sleep: time.sleep
        )
    }

    private func dropped(_ reason: TracingMetrics.Drop) -> Int {
        Int(registry.value(of: "sextant_traces_dropped_spans_total", labels: ["reason": reason.rawValue]) ?? -1)
    }

    private var exported: Int { Int(registry.value(of: "sextant_traces_exported_spans_total") ?? -1) }
    private var queued: Int { Int(registry.value(of: "sextant_traces_queued_spans") ?? -1) }
    private var queuedBytes: Int { Int(registry.value(of: "sextant_traces_queued_bytes") ?? -1) }

    private func attempts(_ outcome: String) -> Int {
        Int(registry.value(of: "sextant_traces_export_seconds", labels: ["outcome": outcome]) ?? 0)
    }

    private func sleeping(_ duration: Duration) async -> Bool { await eventually { time.pending == [duration] } }

    // MARK: Batches

    @Test("What came is exported after the delay, once and in order")
    func delay() async throws {
        let carrier = ScriptedCarrier()
        let exporter = exporter(carrier)
        let maker = TraceMaker(exporter)
        exporter.start()
        for number in 0..<5 { maker.record(number, spans: 2) }
        #expect(await sleeping(.seconds(5)))
        #expect(carrier.attempts == 0 && queued == 10 && queuedBytes > 0)
        time.pass()
        #expect(await eventually { exported == 10 })
        for number in 5..<7 { maker.record(number) }
        #expect(await sleeping(.seconds(5)))
        time.pass()
        #expect(await eventually { exported == 12 })
        #expect(try carrier.requests.map { try $0.traceNumbers } == [[0, 1, 2, 3, 4], [5, 6]])
        #expect(carrier.timeouts == [.seconds(10), .seconds(10)])
        #expect(await eventually { queued == 0 && queuedBytes == 0 })
        await exporter.shutdown(within: .seconds(1))
        #expect(carrier.attempts == 2 && carrier.isClosed)
        #expect(TracingMetrics.Drop.allCases.allSatisfy { dropped($0) == 0 })
        #expect(attempts("accepted") == 2)
        #expect(log.lines.isEmpty)
    }

    @Test("A full batch does not wait, and no batch is larger")
    func fullBatch() async throws {
        let carrier = ScriptedCarrier()
        let exporter = exporter(carrier, settings { $0.batchSpans = 10 })
        let maker = TraceMaker(exporter)
        exporter.start()
        #expect(await sleeping(.seconds(5)))
        for number in 0..<25 { maker.record(number, spans: 3) }
        #expect(await eventually { exported + queued == 75 && queued < 10 })
        await exporter.shutdown(within: .seconds(1))
        #expect(exported == 75)
        #expect(try carrier.requests.flatMap { try $0.traceNumbers } == Array(0..<25))
        #expect(try carrier.requests.allSatisfy { try $0.spans.count <= 10 })
    }

    @Test("A trace with more spans than a batch goes alone")
    func largeTrace() async throws {
        let carrier = ScriptedCarrier()
        let exporter = exporter(carrier, settings { $0.batchSpans = 10 })
        let maker = TraceMaker(exporter)
        maker.record(0)
        maker.record(1, spans: 50)
        maker.record(2)
        exporter.start()
        #expect(await eventually { exported == 52 })
        #expect(try carrier.requests.map { try $0.traceNumbers } == [[0], [1], [2]])
        await exporter.shutdown(within: .seconds(1))
    }

    @Test("A collector that does not say goodbye does not hold up the end")
    func goodbye() async throws {
        let carrier = ScriptedCarrier(closes: false)
        let exporter = exporter(carrier)
        exporter.start()
        let shutdown = Task { await exporter.shutdown(within: .seconds(1)) }
        #expect(await eventually { carrier.isClosed && time.pending.contains(.milliseconds(200)) })
        time.pass()
        await shutdown.value
    }

    @Test("Nothing is sent while nothing is traced")
    func nothing() async {
        let carrier = ScriptedCarrier()
        let exporter = exporter(carrier)
        exporter.start()
        for _ in 0..<3 {
            #expect(await sleeping(.seconds(5)))
            time.pass()
        }
        await exporter.shutdown(within: .seconds(1))
        #expect(carrier.attempts == 0)
    }

    // MARK: Bounds

    @Test("A collector that hangs keeps nobody waiting: what does not fit is dropped and counted")
    func hanging() async throws {
        let carrier = ScriptedCarrier { _ in nil }
        let exporter = exporter(
            carrier,
            settings {
                $0.queuedSpans = 100
                $0.batchSpans = 20
            }
        )
        let maker = TraceMaker(exporter)
        exporter.start()
        for number in 0..<20 { maker.record(number) }
        #expect(await eventually { carrier.hangingCount == 1 })
        // Every one of these returns while the collector hangs: nothing but this test goes on.
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask { for number in 0..<1000 { maker.record(task * 1000 + number) } }
            }
        }
        #expect(carrier.hangingCount == 1 && carrier.attempts == 1)
        // What is on its way counts as waiting.
        #expect(queued == 100)
        #expect(dropped(.queueFull) == 8000 - 80)
        let shutdown = Task { await exporter.shutdown(within: .seconds(1)) }
        #expect(await passing { carrier.isClosed })
        await shutdown.value
        #expect(exported == 0)
        #expect(dropped(.shutdown) == 100)
    }

    @Test("The queue is bounded by bytes as well")
    func bytes() async {
        let carrier = ScriptedCarrier()
        let exporter = exporter(carrier, settings { $0.queuedBytes = 100_000 })
        let maker = TraceMaker(exporter)
        for number in 0..<100 { maker.record(number, text: String(repeating: "x", count: 9_000)) }
        #expect(queued == 10 && queuedBytes <= 100_000)
        #expect(dropped(.queueFull) == 90)
        await exporter.shutdown(within: .seconds(1))
    }

    @Test("A trace that fits no batch is dropped as too large, and a batch stays within its bytes")
    func tooLarge() async throws {
        let carrier = ScriptedCarrier()
        let exporter = exporter(carrier, settings { $0.batchBytes = 50_000 })
        let maker = TraceMaker(exporter)
        maker.record(0, text: String(repeating: "x", count: 60_000))
        for number in 1...12 { maker.record(number, text: String(repeating: "x", count: 9_000)) }
        exporter.start()
        await exporter.shutdown(within: .seconds(1))
        #expect(dropped(.tooLarge) == 1 && exported == 12)
        #expect(carrier.attempts == 3)
        #expect(carrier.requests.allSatisfy { $0.readableBytes <= 50_000 })
        #expect(try carrier.requests.flatMap { try $0.traceNumbers } == Array(1...12))
    }

    // MARK: Failures

    private var quick: OTLPExporter.Retries {
        var retries = OTLPExporter.Retries()
        retries.backoff = Backoff(base: .seconds(1), cap: .seconds(4))
        retries.most = 3
        return retries
    }

    /// Lets time pass until `condition` holds.
    private func passing(until condition: () -> Bool) async -> Bool {
        await eventually {
            time.pass()
            return condition()
        }
    }

    @Test("What failed is sent again, the same, until it is taken; the log says so once")
    func retries() async throws {
        let carrier = ScriptedCarrier {
            $0 % 4 < 3 ? .failed("down", retryAfter: nil) : .accepted(rejected: 0, message: "")
        }
        let exporter = exporter(carrier, retries: quick)
        let maker = TraceMaker(exporter)
        exporter.start()
        for number in 0..<2 {
            maker.record(number)
            #expect(await passing { exported == number + 1 })
        }
        await exporter.shutdown(within: .seconds(1))
        #expect(try carrier.requests.map { try $0.traceNumbers } == [[0], [0], [0], [0], [1], [1], [1], [1]])
        #expect(carrier.requests[0] == carrier.requests[3])
        #expect(attempts("failed") == 6 && attempts("accepted") == 2)
        #expect(TracingMetrics.Drop.allCases.allSatisfy { dropped($0) == 0 })
        #expect(
            log.lines == [
                "warning traces cannot be exported endpoint=grpc://collector:4317 reason=down",
                "notice traces are exported again endpoint=grpc://collector:4317",
                "warning traces cannot be exported endpoint=grpc://collector:4317 reason=down",
                "notice traces are exported again endpoint=grpc://collector:4317",
            ]
        )
    }

    @Test("After the last attempt a batch is dropped, and the next has its turn")
    func givingUp() async throws {
        let carrier = ScriptedCarrier {
            $0 < 4 ? .failed("down", retryAfter: nil) : .accepted(rejected: 0, message: "")
        }
        let exporter = exporter(carrier, retries: quick)
        let maker = TraceMaker(exporter)
        exporter.start()
        maker.record(0, spans: 3)
        #expect(await passing { dropped(.failed) == 3 })
        #expect(carrier.attempts == 4)
        maker.record(1)
        #expect(await passing { exported == 1 })
        #expect(try carrier.requests.last?.traceNumbers == [1])
        await exporter.shutdown(within: .seconds(1))
    }

    @Test(
        "A collector that says when is not asked before, up to a bound",
        arguments: [(asked: 30, waited: 30), (asked: 7200, waited: 300)]
    )
    func retryAfter(asked: Int, waited: Int) async {
        let carrier = ScriptedCarrier { attempt in
            attempt == 0 ? .failed("busy", retryAfter: .seconds(asked)) : .accepted(rejected: 0, message: "")
        }
        let exporter = exporter(carrier, retries: quick)
        TraceMaker(exporter).record(0)
        exporter.start()
        #expect(await sleeping(.seconds(5)))
        time.pass()
        #expect(await sleeping(.seconds(waited)))
        #expect(carrier.attempts == 1)
        time.pass()
        #expect(await eventually { exported == 1 })
        await exporter.shutdown(within: .seconds(1))
    }

    @Test("The wait grows from attempt to attempt, and has a bound")
    func backoff() async {
        let carrier = ScriptedCarrier { _ in .failed("down", retryAfter: nil) }
        var retries = OTLPExporter.Retries()
        retries.most = 40
        let exporter = exporter(carrier, retries: retries)
        TraceMaker(exporter).record(0)
        exporter.start()
        #expect(await sleeping(.seconds(5)))
        time.pass()
        var longest = Duration.zero
        for attempt in 1...retries.most {
            #expect(await eventually { carrier.attempts == attempt && time.pending.count == 1 })
            guard let wait = time.pending.first else { break }
            #expect(wait <= min(.seconds(30), .seconds(1 << min(attempt - 1, 5))))
            longest = max(longest, wait)
            time.pass()
        }
        // Full jitter: that none of the last 35 waits is over 10 s happens once in 10¹⁶.
        #expect(longest > .seconds(10))
        #expect(await eventually { dropped(.failed) == 1 })
        await exporter.shutdown(within: .seconds(1))
    }

    @Test("What the collector will not have is not sent again", arguments: [true, false])
    func refused(isTooLarge: Bool) async {
        let carrier = ScriptedCarrier { _ in isTooLarge ? .tooLarge("no") : .refused("no") }
        let exporter = exporter(carrier)
        let maker = TraceMaker(exporter)
        exporter.start()
        for number in 0..<3 {
            maker.record(number, spans: 2)
            #expect(await passing { carrier.attempts == number + 1 && queued == 0 })
        }
        await exporter.shutdown(within: .seconds(1))
        #expect(carrier.attempts == 3 && attempts("refused") == 3)
        #expect(dropped(isTooLarge ? .tooLarge : .rejected) == 6 && exported == 0)
        #expect(log.lines == ["warning traces cannot be exported endpoint=grpc://collector:4317 reason=no"])
    }

    @Test("Spans that the collector rejects are counted, the others as exported")
    func partial() async {
        let carrier = ScriptedCarrier { .accepted(rejected: $0 == 0 ? 2 : 1_000_000, message: "bad span") }
        let exporter = exporter(carrier)
        let maker = TraceMaker(exporter)
        exporter.start()
        maker.record(0, spans: 5)
        #expect(await passing { exported == 3 && dropped(.rejected) == 2 })
        maker.record(1, spans: 5)
        #expect(await passing { exported == 3 && dropped(.rejected) == 7 })
        await exporter.shutdown(within: .seconds(1))
        #expect(carrier.attempts == 2)
        #expect(log.lines.count == 1 && log.lines[0].contains("rejected=2") && log.lines[0].contains("bad span"))
    }

    @Test("That spans are dropped for want of room is said once while it lasts")
    func dropLog() async {
        let carrier = ScriptedCarrier()
        let exporter = exporter(carrier, settings { $0.queuedSpans = 10 })
        let maker = TraceMaker(exporter)
        func overflow() { for number in 0..<15 { maker.record(number) } }
        exporter.start()
        for round in 1...3 {
            overflow()
            #expect(dropped(.queueFull) >= 5 * round)
            #expect(await passing { queued == 0 && carrier.attempts >= round })
        }
        await exporter.shutdown(within: .seconds(1))
        #expect(log.lines.filter { $0.contains("spans are dropped") }.count == 1)
    }

    // MARK: Shutdown

    @Test("Shutdown sends what waits, in batches, and closes the way to the collector")
    func flush() async throws {
        let carrier = ScriptedCarrier()
        let exporter = exporter(carrier, settings { $0.batchSpans = 100 })
        let maker = TraceMaker(exporter)
        exporter.start()
        for number in 0..<99 { maker.record(number) }
        await exporter.shutdown(within: .seconds(1))
        #expect(exported == 99 && queued == 0 && carrier.isClosed)
        #expect(try carrier.requests.flatMap { try $0.traceNumbers } == Array(0..<99))
        maker.record(100)
        #expect(dropped(.shutdown) == 1)
    }

    @Test("Shutdown does not try again what a collector that is gone did not take")
    func flushToNobody() async {
        let carrier = ScriptedCarrier { _ in .failed("gone", retryAfter: .seconds(60)) }
        let exporter = exporter(carrier)
        let maker = TraceMaker(exporter)
        exporter.start()
        for number in 0..<5 { maker.record(number) }
        await exporter.shutdown(within: .seconds(1))
        #expect(carrier.attempts == 1 && dropped(.shutdown) == 5)
    }

    @Test("Shutdown ends a wait for the next attempt, which is made at once")
    func shutdownWhileWaiting() async {
        let carrier = ScriptedCarrier {
            $0 == 0 ? .failed("down", retryAfter: nil) : .accepted(rejected: 0, message: "")
        }
        let exporter = exporter(carrier)
        let maker = TraceMaker(exporter)
        exporter.start()
        maker.record(0)
        #expect(await passing { carrier.attempts == 1 })
        #expect(await eventually { time.pending.count == 1 })
        await exporter.shutdown(within: .seconds(1))
        #expect(carrier.attempts == 2 && exported == 1)
    }

    @Test("Shutdown gives up at its deadline")
    func shutdownDeadline() async {
        let carrier = ScriptedCarrier { _ in nil }
        let exporter = exporter(carrier, settings { $0.batchSpans = 10 })
        let maker = TraceMaker(exporter)
        exporter.start()
        for number in 0..<35 { maker.record(number) }
        #expect(await eventually { carrier.hangingCount == 1 })
        let shutdown = Task { await exporter.shutdown(within: .seconds(3)) }
        #expect(await eventually { time.pending.contains(.seconds(3)) })
        #expect(carrier.hangingCount == 1)
        time.pass()
        await shutdown.value
        #expect(carrier.hangingCount == 0 && carrier.isClosed)
        #expect(dropped(.shutdown) == 35 && exported == 0 && queued == 0)
    }

    @Test("An exporter that was never started keeps its bounds and shuts down")
    func neverStarted() async {
        let carrier = ScriptedCarrier()
        let exporter = exporter(carrier, settings { $0.queuedSpans = 10 })
        let maker = TraceMaker(exporter)
        for number in 0..<20 { maker.record(number) }
        await exporter.shutdown(within: .seconds(1))
        #expect(carrier.attempts == 0 && dropped(.queueFull) == 10)
    }
}
