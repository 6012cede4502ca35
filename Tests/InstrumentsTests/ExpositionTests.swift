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
                latency_seconds_bucket{status="ok",le="1.0"} 2
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

    @Test(
        "In OpenMetrics counters' families have no ending, units are told, exemplars follow their samples, and it ends"
    )
    func openMetrics() throws {
        let trace = try #require(TraceID(high: 0x4bf9_2f35_77b3_4da6, low: 0xa3ce_929d_0e0e_4736))
        let requests = registry.counters(.counter("requests_total", "Say \"what\".", labels: ["model"]))
        requests.with("a").increment(exemplar: trace)
        requests.with("b").increment(exemplar: nil)
        let latency = registry.histogram(.histogram("latency_seconds", "Latency.", buckets: [0.25, 1]))
        latency.record(0.5, exemplar: trace)
        latency.record(3.0)
        registry.gauge(.gauge("healthy_pods_total", "A gauge of upstream's.")).set(2)

        let lines = registry.exposition(.openMetrics).split(separator: "\n").map(String.init)
        let untimed = lines.map { line in
            // The last word of an exemplar is its time.
            line.contains(" # {") ? line.split(separator: " ").dropLast().joined(separator: " ") : line
        }
        #expect(
            untimed == [
                "# HELP healthy_pods_total A gauge of upstream's.",
                "# TYPE healthy_pods_total gauge",
                "healthy_pods_total 2",
                "# HELP latency_seconds Latency.",
                "# TYPE latency_seconds histogram",
                "# UNIT latency_seconds seconds",
                #"latency_seconds_bucket{le="0.25"} 0"#,
                #"latency_seconds_bucket{le="1.0"} 1 # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"} 0.5"#,
                #"latency_seconds_bucket{le="+Inf"} 2"#,
                "latency_seconds_sum 3.5",
                "latency_seconds_count 2",
                #"# HELP requests Say \"what\"."#,
                "# TYPE requests counter",
                #"requests_total{model="a"} 1 # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"} 1"#,
                #"requests_total{model="b"} 1"#,
                "# EOF",
            ]
        )
        #expect(!registry.exposition(.text).contains("trace_id"))
        #expect(registry.exposition(.text).contains(#"# HELP requests_total Say "what"."#))
        let time = try #require(lines.compactMap { $0.split(separator: "} 0.5 ").last.flatMap { Double($0) } }.first)
        // After this was written, before it is long obsolete: seconds, not milliseconds.
        #expect((1.7e9..<1e10).contains(time))
    }

    @Test(
        "The format is what Accept asks for, and text unless it says otherwise",
        arguments: [
            (nil, .text),
            ("", .text),
            ("*/*", .text),
            ("text/html", .text),
            ("application/openmetrics-text", .openMetrics),
            ("application/openmetrics-text; version=1.0.0; charset=utf-8", .openMetrics),
            ("application/openmetrics-text;version=9.0.0", .text),
            ("application/openmetrics-text;q=0", .text),
            // Prometheus 2.42's and 3's.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
                    + "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                .openMetrics
            ),
            ("text/plain;version=0.0.4;q=0.5,Application/OpenMetrics-Text; Version=1.0.0; q=0.4", .text),
            ("text/plain;version=0.0.4;q=0.5 , Application/OpenMetrics-Text; Version=\"1.0.0\"; Q=0.6", .openMetrics),
        ] as [(String?, Exposition.Format)]
    )
    func negotiation(accept: String?, format: Exposition.Format) {
        #expect(Exposition.Format.accepted(by: accept) == format)
    }

    @Test("What is collected at a scrape is ordered, escaped, and gone when it is no longer told")
    func collected() {
        let definition = MetricDefinition.gauge("share", "Share.", labels: ["model"])
        let isEmpty = Gauge()
        registry.collect(definition) {
            isEmpty.value == 1 ? [] : [.init(labels: ["b\""], value: 2), .init(labels: ["a"], value: 0.5)]
        }
        #expect(registry.exposition().hasSuffix("gauge\nshare{model=\"a\"} 0.5\nshare{model=\"b\\\"\"} 2\n"))
        #expect(registry.value(of: "share", labels: ["model": "a"]) == 0.5)
        isEmpty.set(1)
        #expect(registry.exposition().hasSuffix("gauge\n"))
        #expect(registry.value(of: "share", labels: ["model": "a"]) == nil)
        #expect(registry.definitions == [definition])
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
