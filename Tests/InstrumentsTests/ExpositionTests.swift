import Instruments
import Testing

@Suite struct ExpositionTests {
    private let registry = MetricRegistry()

    @Test("The whole text is in order, byte for byte")
    func wholeText() {
        let requests = registry.counters(
            .counter("vllm:num_incoming_requests_total", "Requests that came in.", labels: ["model"])
        )
        requests.with("b").increment(by: 12)
        requests.with("a").increment()
        registry.gauge(.gauge("temperature", "Degrees.")).set(-1.5)
        let latency = registry.histograms(
            .histogram("latency_seconds", "Latency.", labels: ["status"], buckets: [0.25, 1])
        )
        latency.with("ok").record(0.25)
        latency.with("ok").record(0.5)
        latency.with("ok").record(3.0)
        registry.sample(.counter("uptime_seconds", "Uptime.")) { 2.5 }

        #expect(
            registry.exposition() == """
                # HELP latency_seconds Latency.
                # TYPE latency_seconds histogram
                latency_seconds_bucket{status="ok",le="0.25"} 1
                latency_seconds_bucket{status="ok",le="1"} 2
                latency_seconds_bucket{status="ok",le="+Inf"} 3
                latency_seconds_sum{status="ok"} 3.75
                latency_seconds_count{status="ok"} 3
                # HELP temperature Degrees.
                # TYPE temperature gauge
                temperature -1.5
                # HELP uptime_seconds_total Uptime.
                # TYPE uptime_seconds_total counter
                uptime_seconds_total 2.5
                # HELP vllm:num_incoming_requests_total Requests that came in.
                # TYPE vllm:num_incoming_requests_total counter
                vllm:num_incoming_requests_total{model="a"} 1
                vllm:num_incoming_requests_total{model="b"} 12

                """
        )
    }

    @Test("Quotes, backslashes and line breaks are escaped in label values, the latter two in help")
    func escaping() {
        registry.gauges(.gauge("odd", "One\\two\nthree \"four\".", labels: ["text"])).with("a\"b\\c\nd").set(1)
        #expect(
            registry.exposition() == #"""
                # HELP odd One\\two\nthree "four".
                # TYPE odd gauge
                odd{text="a\"b\\c\nd"} 1

                """#
        )
    }

    @Test(
        "Numbers read as Prometheus spells them",
        arguments: [
            (0.0, "0"), (-0.5, "-0.5"), (1e15, "1000000000000000"), (1e300, "1e+300"), (.infinity, "+Inf"),
            (-.infinity, "-Inf"), (.nan, "NaN"),
        ]
    )
    func numbers(value: Double, text: String) {
        registry.gauge(.gauge("g", "G.")).set(value)
        #expect(registry.exposition().hasSuffix("\ng \(text)\n"))
    }

    @Test("A counter's name ends in _total exactly once")
    func totals() {
        #expect(MetricDefinition.counter("hits", "H.").name == "hits_total")
        #expect(MetricDefinition.counter("hits_total", "H.").name == "hits_total")
    }

    @Test("Gauges set on scrape are fresh in every scrape, series they make included")
    func onScrape() {
        let family = registry.gauges(.gauge("g", "G.", labels: ["worker"]))
        let scrapes = Counter()
        registry.onScrape {
            scrapes.increment()
            family.with("w").set(scrapes.value)
        }
        #expect(registry.exposition().hasSuffix("g{worker=\"w\"} 1\n"))
        #expect(registry.exposition().hasSuffix("g{worker=\"w\"} 2\n"))
    }

    @Test("The catalogue lists every metric in a table, with bars escaped")
    func catalogue() {
        let markdown = MetricCatalogue.markdown([
            .histogram("b_seconds", "Time.", labels: ["x", "y"], buckets: [0.5, 1]),
            .counter("a", "This|that."),
        ])
        #expect(
            markdown == """
                | Metric | Kind | Labels | Meaning |
                |---|---|---|---|
                | `a_total` | counter |  | This\\|that. |
                | `b_seconds` | histogram | `x`, `y` | Time. Buckets: 0.5, 1. |

                """
        )
    }
}
