import SemanticRouter
import Testing

/// What upstream's tests of projections say; numbers that they leave out are computed from the formulas.
@Suite struct ProjectionTests {
    /// The projections of a policy, applied to readings by `type:name`.
    private struct Bench {
        private let profile: RoutingProfile
        private let signals: SignalSet

        init(_ projections: String, _ readings: [String: SignalReading]) throws {
            profile = try PolicyTools.router(
                """
                version: v0.3
                providers: {defaults: {default_model: m}, models: [{name: m}]}
                routing:
                  signals:
                    context: [{name: long, min_tokens: 1K}]
                    structure:
                      - {name: sig, feature: {type: count, source: {type: regex, pattern: x}}}
                    conversation:
                      - {name: turns, feature: {type: count, source: {type: message}}}
                    fact_check: [{name: needs_fact_check}]
                    embeddings: [{name: a}, {name: b}, {name: c}, {name: d}]
                    domains: [{name: math}, {name: law}]
                  projections: \(projections)
                  decisions:
                    - name: uses
                      rules:
                        operator: OR
                        conditions:
                          - {type: embedding, name: a}
                          - {type: embedding, name: b}
                          - {type: embedding, name: c}
                          - {type: embedding, name: d}
                      modelRefs: [{model: m}]
                """
            ).profiles[0]
            var signals = SignalSet(readings: profile.table.ids.map { readings["\($0)"] ?? .absent })
            _ = profile.projections.apply(to: &signals)
            self.signals = signals
        }

        subscript(signal: String) -> SignalReading {
            get throws {
                signals[try #require(profile.table.ids.firstIndex { "\($0)" == signal })]
            }
        }

        /// The names of a kind's signals that are present.
        func present(_ type: SignalType) -> [String] {
            zip(profile.table.ids, signals.readings).filter { $0.type == type && $1.isPresent }.map(\.0.name)
        }

        var bands: [String] { present(.projection) }

        func confidence(_ signal: String) throws -> Double { try self[signal].confidence }
        func score(of band: String) throws -> Double? { try self["projection:\(band)"].value }
    }

    private func close(_ number: Double?, _ expected: Double, _ tolerance: Double = 1e-9) -> Bool {
        number.map { abs($0 - expected) <= tolerance } ?? false
    }

    // MARK: Scores

    @Test("A score is the sum of its inputs, each by its weight")
    func weightedSum() throws {
        let bench = try Bench(
            """
            {scores: [{name: difficulty, method: weighted_sum, inputs: [
            {type: embedding, name: a, weight: 0.6, value_source: confidence}, {type: context, name: long, weight: 0.2}]}],
            mappings: [{name: m, source: difficulty, method: threshold_bands, outputs: [
            {name: medium, lt: 0.7}, {name: reasoning, gte: 0.7}]}]}
            """,
            ["embedding:a": .present(0.9), "context:long": .present()]
        )
        #expect(close(try bench.score(of: "reasoning"), 0.74))
        #expect(bench.bands == ["reasoning"])
        #expect(close(try bench.confidence("projection:reasoning"), 0.617748, 1e-6))
    }

    @Test("A signal counts by its presence; the band's confidence follows its distance from the bounds")
    func binary() throws {
        let projections = """
            {scores: [{name: s, method: weighted_sum, inputs: [{type: fact_check, name: needs_fact_check, weight: 0.5}]}],
            mappings: [{name: m, source: s, outputs: [{name: verify, gte: 0.3}]}]}
            """
        let found = try Bench(projections, ["fact_check:needs_fact_check": .present()])
        #expect(found.bands == ["verify"])
        #expect(close(try found.confidence("projection:verify"), 0.916827, 1e-6))
        for reading in [SignalReading.absent, .unavailable] {
            let missing = try Bench(projections, ["fact_check:needs_fact_check": reading])
            #expect(missing.bands.isEmpty)
            #expect(try missing.score(of: "verify") == 0)
        }
    }

    @Test("`match` and `miss` are what a signal's presence and absence count for")
    func matchAndMiss() throws {
        let projections = """
            {scores: [{name: s, method: weighted_sum, inputs: [
            {type: fact_check, name: needs_fact_check, weight: 2, value_source: binary, match: 3, miss: -0.5}]}],
            mappings: [{name: m, source: s, outputs: [{name: high, gte: 3}, {name: low, lt: 3}]}]}
            """
        #expect(try Bench(projections, ["fact_check:needs_fact_check": .present(0.1)]).score(of: "high") == 6)
        #expect(try Bench(projections, [:]).score(of: "low") == -1)
    }

    @Test(
        "Raw values count whether or not the signal is present, and a missing one counts as 0",
        arguments: [
            (4.0, 7.0, 4.1, ["high_pressure"]), (0, 0, 0, ["low_pressure"]), (-2.5, 0, -1.25, ["low_pressure"]),
            (nil, nil, 0, ["low_pressure"]),
        ] as [(Double?, Double?, Double, [String])]
    )
    func raw(structure: Double?, turns: Double?, score: Double, bands: [String]) throws {
        let bench = try Bench(
            """
            {scores: [{name: s, method: weighted_sum, inputs: [
            {type: structure, name: sig, weight: 0.5, value_source: raw},
            {type: conversation, name: turns, weight: 0.3, value_source: raw}]}],
            mappings: [{name: m, source: s, outputs: [{name: low_pressure, lt: 2}, {name: high_pressure, gte: 2}]}]}
            """,
            [
                "structure:sig": SignalReading(state: .absent, confidence: 0, value: structure),
                "conversation:turns": .present(value: turns),
            ]
        )
        #expect(close(try bench.score(of: "low_pressure"), score))
        #expect(bench.bands == bands)
    }

    @Test("Raw values and confidences add up")
    func mixed() throws {
        let bench = try Bench(
            """
            {scores: [{name: s, method: weighted_sum, inputs: [
            {type: Structure, name: sig, weight: 0.4, value_source: raw},
            {type: embedding, name: a, weight: 0.6, value_source: confidence},
            {type: embedding, name: b, weight: 0.6, value_source: confidence}]}],
            mappings: [{name: m, source: s, outputs: [{name: high, gte: 1.5}]}]}
            """,
            ["structure:sig": .present(value: 3), "embedding:a": .present(0.85)]
        )
        #expect(close(try bench.score(of: "high"), 1.71))
        #expect(bench.bands == ["high"])
    }

    // MARK: Scores of scores

    @Test("A score reads another score")
    func scoreOfScore() throws {
        let bench = try Bench(
            """
            {scores: [
            {name: difficulty, method: weighted_sum, inputs: [{type: context, name: long, weight: 1}]},
            {name: pressure, method: weighted_sum, inputs: [{type: projection, name: difficulty, weight: 0.5},
            {type: fact_check, name: needs_fact_check, weight: 0.5}]}],
            mappings: [{name: d, source: difficulty, outputs: [{name: difficult, gte: 1}]},
            {name: p, source: pressure, outputs: [{name: high, gte: 0.5}]}]}
            """,
            ["context:long": .present(), "fact_check:needs_fact_check": .present()]
        )
        #expect(try bench.score(of: "difficult") == 1)
        #expect(try bench.score(of: "high") == 1)
        #expect(bench.bands == ["difficult", "high"])
    }

    @Test(
        "A score reads the confidence of another one's band; 0 where the band does not hold",
        arguments: [true, false]
    )
    func confidenceOfBand(holds: Bool) throws {
        let bench = try Bench(
            """
            {scores: [
            {name: combo, method: weighted_sum, inputs: [
            {type: projection, name: base_band_high, weight: 1, value_source: confidence}]},
            {name: base, method: weighted_sum, inputs: [{type: context, name: long, weight: 1}]}],
            mappings: [{name: c, source: combo, outputs: [{name: combo_high, gt: 0.1}]},
            {name: b, source: base, outputs: [{name: base_band_high, gte: 0.5}]}]}
            """,
            holds ? ["context:long": .present()] : [:]
        )
        #expect(bench.bands.sorted() == (holds ? ["base_band_high", "combo_high"] : []))
        #expect(close(try bench.score(of: "combo_high"), holds ? 0.997527 : 0, 1e-6))
    }

    @Test("Scores are computed after those that they read, in whatever order they are declared")
    func chain() throws {
        let scores = [
            "{name: first, method: weighted_sum, inputs: [{type: context, name: long, weight: 1}]}",
            "{name: second, method: weighted_sum, inputs: [{type: projection, name: first, weight: 0.5}]}",
            "{name: third, method: weighted_sum, inputs: "
                + "[{type: projection, name: second, weight: 0.5, value_source: score}]}",
        ]
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
            let bench = try Bench(
                """
                {scores: [\(order.map { scores[$0] }.joined(separator: ", "))],
                mappings: [{name: t, source: third, outputs: [{name: end, gte: 0.1}]},
                {name: s, source: second, outputs: [{name: middle, gte: 0.1}]}]}
                """,
                ["context:long": .present()]
            )
            #expect(try bench.score(of: "end") == 0.25)
            #expect(try bench.score(of: "middle") == 0.5)
            #expect(bench.bands.sorted() == ["end", "middle"])
        }
    }

    // MARK: Bands

    @Test(
        "The first band that holds the score counts, or every one",
        arguments: [("threshold_bands", ["mid"]), ("multi_emit", ["mid", "high"])]
    )
    func bands(method: String, bands: [String]) throws {
        let bench = try Bench(
            """
            {scores: [{name: s, method: weighted_sum, inputs: [
            {type: structure, name: sig, weight: 1, value_source: raw}]}],
            mappings: [{name: m, source: s, method: \(method), outputs: [
            {name: low, lt: 0.3}, {name: mid, gte: 0.2, lt: 0.7}, {name: high, gte: 0.5}]}]}
            """,
            ["structure:sig": .present(value: 0.6)]
        )
        #expect(bench.bands == bands)
        for band in bands { #expect(close(try bench.confidence("projection:\(band)"), 0.768525, 1e-6)) }
        for band in ["low", "mid", "high"] where !bands.contains(band) {
            #expect(try bench.confidence("projection:\(band)") == 0)
        }
    }

    @Test("A score on a band's bound has confidence one half")
    func onBound() throws {
        let bench = try Bench(
            """
            {scores: [{name: s, method: weighted_sum, inputs: [
            {type: structure, name: sig, weight: 1, value_source: raw}]}],
            mappings: [{name: m, source: s, outputs: [{name: high, gte: 0.5}]}]}
            """,
            ["structure:sig": .present(value: 0.5)]
        )
        #expect(try bench.confidence("projection:high") == 0.5)
    }

    @Test(
        "The slope says how fast confidence grows",
        arguments: [("{slope: 10}", 0.731059), ("{method: sigmoid_distance, slope: 20}", 0.880797), ("{}", 0.768525)]
    )
    func slope(calibration: String, confidence: Double) throws {
        let bench = try Bench(
            """
            {scores: [{name: s, method: weighted_sum, inputs: [
            {type: structure, name: sig, weight: 1, value_source: raw}]}],
            mappings: [{name: m, source: s, calibration: \(calibration), outputs: [{name: high, gte: 0.5}]}]}
            """,
            ["structure:sig": .present(value: 0.6)]
        )
        #expect(close(try bench.confidence("projection:high"), confidence, 1e-6))
    }

    // MARK: Partitions

    private func partition(
        _ semantics: String,
        _ temperature: Double?,
        _ readings: [String: SignalReading]
    ) throws -> Bench {
        let heat = temperature.map { ", temperature: \($0)" } ?? ""
        return try Bench(
            "{partitions: [{name: p, semantics: \(semantics)\(heat), members: [a, b, c], default: c}]}",
            readings
        )
    }

    @Test("Of an exclusive partition only the strongest member stays, as it is")
    func exclusive() throws {
        let bench = try partition(
            "exclusive",
            nil,
            ["embedding:a": .present(0.9), "embedding:b": .present(0.7), "embedding:d": .present(0.2)]
        )
        #expect(bench.present(.embedding) == ["a", "d"])
        #expect(try bench.confidence("embedding:a") == 0.9)
        #expect(try bench["embedding:b"] == .absent)
        let tied = try partition("exclusive", nil, ["embedding:b": .present(0.7), "embedding:c": .present(0.7)])
        #expect(tied.present(.embedding) == ["b"])
    }

    @Test(
        "A softmax gives the strongest its share",
        arguments: [
            (0.1, [0.9, 0.7], 0.880797), (1, [0.9, 0.7], 0.549834), (0.1, [0.6, 0.55, 0.5], 0.50648), (0.1, [0.4], 0.4),
        ] as [(Double, [Double], Double)]
    )
    func softmax(temperature: Double, confidences: [Double], expected: Double) throws {
        let names = ["a", "b", "c"]
        // Wherever the strongest stands.
        for start in 0..<3 {
            var readings: [String: SignalReading] = [:]
            for (index, confidence) in confidences.enumerated() {
                readings["embedding:\(names[(start + index) % 3])"] = .present(confidence)
            }
            let bench = try partition("softmax_exclusive", temperature, readings)
            #expect(bench.present(.embedding) == [names[start]])
            #expect(close(try bench.confidence("embedding:\(names[start])"), expected, 1e-6))
        }
    }

    @Test("Where no member is present the default is taken", arguments: ["exclusive", "softmax_exclusive"])
    func fallback(semantics: String) throws {
        let bench = try partition(semantics, 0.1, [:])
        #expect(bench.present(.embedding) == ["c"])
        #expect(try bench.confidence("embedding:c") == 1)
    }

    @Test("Where nothing is known of any member nothing is said")
    func unknown() throws {
        let readings = ["a", "b", "c"].map { ("embedding:\($0)", SignalReading.unavailable) }
        let bench = try partition("exclusive", nil, Dictionary(uniqueKeysWithValues: readings))
        #expect(bench.present(.embedding).isEmpty)
    }

    @Test("Scores read what partitions leave")
    func partitionsFirst() throws {
        let bench = try Bench(
            """
            {partitions: [{name: p, semantics: exclusive, members: [a, b], default: a}],
            scores: [{name: s, method: weighted_sum, inputs: [{type: embedding, name: b, weight: 1}]}],
            mappings: [{name: m, source: s, outputs: [{name: has_b, gte: 1}]}]}
            """,
            ["embedding:a": .present(0.9), "embedding:b": .present(0.7)]
        )
        #expect(bench.bands.isEmpty)
    }

    @Test("Members of a partition may be domains")
    func domains() throws {
        let bench = try Bench(
            "{partitions: [{name: p, semantics: exclusive, members: [math, law], default: law}]}",
            ["domain:math": .present(0.4), "domain:law": .present(0.6)]
        )
        #expect(bench.present(.domain) == ["law"])
    }
}
