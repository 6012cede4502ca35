import Instruments
import Synchronization
import TestRandom
import Testing

@Suite struct WindowedModelMetricsTests {
    /// A clock that tests set, in seconds.
    final class Clock: Sendable {
        private let time = Atomic<UInt64>(5_000_000_000_000)
        var nanoseconds: UInt64 { time.load(ordering: .relaxed) }
        func advance(_ seconds: Double) {
            time.add(UInt64(seconds * 1e9), ordering: .relaxed)
        }
    }

    private let registry = MetricRegistry()
    private let clock = Clock()
    private let metrics: ModelMetrics

    init() {
        let clock = clock
        metrics = ModelMetrics(registry: registry) { clock.nanoseconds }
        metrics.know(["m"])
    }

    private func value(_ name: String, _ window: String, _ more: [String: String] = [:]) -> Double? {
        let labels = ["model": "m", "time_window": window].merging(more) { first, _ in first }
        return registry.value(of: "llm_model_" + name, labels: labels)
    }

    private func request(_ milliseconds: Int, fails: Bool = false, prompt: Int = 0, completion: Int = 0) {
        let call = metrics.begin("m")
        if fails {
            call.failed(.failedByModel, after: .milliseconds(milliseconds))
        } else {
            call.recordTokens(prompt: prompt, completion: completion)
            call.succeeded(after: .milliseconds(milliseconds), isStream: false)
        }
    }

    @Test("A window without requests shows none, and no latency")
    func empty() {
        for (window, _) in WindowedModelMetrics.windows {
            #expect(value("requests_windowed_total", window) == 0)
            #expect(value("tokens_windowed_total", window, ["token_type": "prompt"]) == 0)
            #expect(value("error_rate_windowed", window) == 0)
            #expect(value("utilization_percentage", window) == 0)
            #expect(value("latency_windowed_seconds", window) == nil)
            #expect(value("latency_p99_windowed_seconds", window) == nil)
        }
    }

    @Test("Requests are in every window at once, and leave the shorter ones first")
    func leaving() {
        clock.advance(60)
        request(200, prompt: 10, completion: 20)
        request(400, fails: true)
        for (window, _) in WindowedModelMetrics.windows {
            #expect(value("requests_windowed_total", window) == 2)
            #expect(value("error_rate_windowed", window) == 0.5)
            #expect(value("tokens_windowed_total", window, ["token_type": "prompt"]) == 10)
            #expect(value("tokens_windowed_total", window, ["token_type": "completion"]) == 20)
            #expect(abs((value("latency_windowed_seconds", window) ?? 0) - 0.3) < 1e-9)
            // 0.6 s of one minute.
            #expect(abs((value("utilization_percentage", window) ?? 0) - 1) < 1e-9)
        }
        var shown: [String: [Int]] = [:]
        for second in stride(from: 10, through: 90_000, by: 10) {
            metrics.tick()
            clock.advance(10)
            for (window, length) in WindowedModelMetrics.windows where second % 50 == 0 {
                // Far from the end of a window the figure is known; looking at all of them would take long.
                guard abs(Double(second) - length / .seconds(1)) < length / .seconds(1) / 3 else { continue }
                if value("requests_windowed_total", window) == 2 { shown[window, default: []].append(second) }
            }
        }
        // The last look at which the requests were still within, and the exactness of each window.
        for (window, length) in WindowedModelMetrics.windows {
            let last = shown[window]?.last ?? 0
            let seconds = Int(length / .seconds(1))
            let slack = seconds <= 900 ? 20 : seconds == 3_600 ? 70 : 910
            #expect((seconds - 50..<seconds + slack).contains(last), "\(window): \(last)")
            #expect(value("requests_windowed_total", window) == 0, "\(window)")
        }
    }

    @Test("Without ticks the windows are too long, never wrong about what they hold")
    func withoutTicks() {
        request(100)
        clock.advance(7_200)
        // A scrape is a tick too.
        #expect(value("requests_windowed_total", "1m") == 1)
        clock.advance(61)
        #expect(value("requests_windowed_total", "1m") == 0)
        #expect(value("requests_windowed_total", "24h") == 1)
    }

    @Test("Counts, rates and quantiles are those of a list of all requests")
    func likeAList() {
        struct Entry {
            let time: UInt64
            let seconds: Double
            let fails: Bool
            let tokens: Int
        }
        var random = SeededRandom.fromEnvironment()
        var list: [Entry] = []
        var ticks = [clock.nanoseconds]
        for _ in 0..<1_500 {
            clock.advance(Double(random.below(9_000) + 1_000) / 1_000)
            if ticks.last.map({ clock.nanoseconds / 10_000_000_000 > $0 / 10_000_000_000 }) ?? true {
                metrics.tick()
                ticks.append(clock.nanoseconds)
            }
            for _ in 0..<random.below(4) {
                // From 1 ms to about a minute, as many short as long.
                let milliseconds = 1 << random.below(16)
                let exact = milliseconds + random.below(milliseconds)
                let fails = random.once(in: 10)
                let tokens = random.below(500)
                request(exact, fails: fails, prompt: tokens, completion: 1)
                list.append(
                    Entry(
                        time: clock.nanoseconds,
                        seconds: Double(exact) / 1_000,
                        fails: fails,
                        tokens: fails ? 0 : tokens
                    )
                )
            }
            guard random.once(in: 20) else { continue }
            for (window, length) in WindowedModelMetrics.windows {
                // The three short windows begin at ticks of their own accord.
                guard length <= .seconds(900) else { continue }
                let begin = clock.nanoseconds - UInt64(length / .nanoseconds(1))
                let start = ticks.last { $0 <= begin } ?? 0
                // What came at a tick's very time came after it.
                let within = list.filter { $0.time >= start }
                #expect(value("requests_windowed_total", window) == Double(within.count))
                guard !within.isEmpty else { continue }
                let errors = Double(within.count { $0.fails }) / Double(within.count)
                #expect(value("error_rate_windowed", window) == errors)
                let tokens = Double(within.reduce(0) { $0 + $1.tokens })
                #expect(value("tokens_windowed_total", window, ["token_type": "prompt"]) == tokens)
                let mean = within.reduce(0) { $0 + $1.seconds } / Double(within.count)
                #expect(abs((value("latency_windowed_seconds", window) ?? 0) / mean - 1) < 1e-6)
                let sorted = within.map(\.seconds).sorted()
                for (name, share) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
                    let rank = max(1, Int((share * Double(sorted.count)).rounded(.up)))
                    let shown = value("latency_\(name)_windowed_seconds", window) ?? 0
                    // Buckets are an eighth wide and their middle is shown.
                    #expect(abs(shown / sorted[rank - 1] - 1) <= 0.0625, "\(name) of \(window)")
                }
            }
        }
        #expect(list.count > 1_000)
    }

    @Test(
        "Latencies of any size are counted, the outermost in the outermost buckets",
        arguments: [(0.0, 0.0...0.001), (0.0005, 0.0...0.001), (-1, 0.0...0.001), (86_400, 2_000.0...3_000)]
    )
    func extremes(seconds: Double, shown: ClosedRange<Double>) throws {
        metrics.begin("m").succeeded(after: .milliseconds(Int(seconds * 1_000)), isStream: false)
        #expect(shown.contains(try #require(value("latency_p50_windowed_seconds", "1m"))))
    }

    @Test("The hundredth model has windows, the next has none, and neither stops the counting")
    func mostModels() {
        // `other` and `m` are two of them.
        metrics.know((1...200).map { "m\($0)" })
        for index in 1...200 { metrics.begin("m\(index)").succeeded(after: .seconds(1), isStream: false) }
        let windowed = registry.exposition().split(separator: "\n").filter {
            $0.hasPrefix("llm_model_requests_windowed_total{") && $0.contains("1m")
        }
        #expect(windowed.count == WindowedModelMetrics.mostModels)
        #expect(registry.value(of: "llm_model_requests_total", labels: ["model": "m200"]) == 1)
    }
}
