import SemanticRouter
import TestRandom
import Testing

@Suite struct ProjectionPropertyTests {
    @Test("On random scores and readings the bands are what a plain evaluator says")
    func random() throws {
        var random = SeededRandom.fromEnvironment()
        var emitted = 0
        for _ in 0..<400 {
            let policy = NaiveProjections(&random)
            let profile = try PolicyTools.router(policy.yaml).profiles[0]
            for _ in 0..<25 {
                let evaluation = NaiveProjections.Evaluation(policy, &random)
                var signals = SignalSet(readings: profile.table.ids.map { evaluation.reading("\($0)") })
                let values = profile.projections.apply(to: &signals)
                #expect(values.count == policy.scores.count)
                for (id, reading) in zip(profile.table.ids, signals.readings) where id.type == .projection {
                    let expected = evaluation.band(id.name)
                    emitted += expected == nil ? 0 : 1
                    try #require(reading.isPresent == (expected != nil), "\(policy.yaml) \(id) \(evaluation)")
                    try #require(abs(reading.confidence - (expected ?? 0)) < 1e-12, "\(policy.yaml) \(id)")
                }
                // Applied again, nothing changes: what projections say is not an input of theirs.
                var again = signals
                #expect(profile.projections.apply(to: &again) == values)
                #expect(again == signals)
            }
        }
        #expect(emitted > 10_000)
    }
}

/// Scores and bands as text-keyed records. Values are looked up on demand, so that no order of evaluation is needed.
private struct NaiveProjections {
    struct Input {
        let type: String
        let name: String
        let weight: Double
        let source: String
        let match: Double
        let miss: Double
    }

    struct Band {
        let name: String
        let bounds: [String: Double]
    }

    struct Mapping {
        let source: String
        let method: String
        let slope: Double
        let bands: [Band]
    }

    let scores: [(name: String, inputs: [Input])]
    let mappings: [Mapping]

    /// What can be read of a request.
    static let signals = ["embedding:a", "embedding:b", "jailbreak:j", "pii:p", "structure:s", "kb:k"]

    init(_ random: inout SeededRandom) {
        // A score reads only those before it in `names`, but it may stand before them in the file.
        let names = Array(["alpha", "beta", "gamma", "delta"].prefix(1 + random.below(4)))
        var mappings: [Mapping] = []
        var scores: [(name: String, inputs: [Input])] = []
        for (place, name) in names.enumerated() {
            let bandsBefore = mappings.flatMap(\.bands).map(\.name)
            let inputs = (0..<(1 + random.below(4))).map { _ in
                Input(scores: Array(names[..<place]), bands: bandsBefore, &random)
            }
            scores.append((name, inputs))
            for index in 0..<(1 + random.below(2)) {
                mappings.append(Mapping(of: name, "\(name)\(index)", &random))
            }
        }
        self.scores = scores.shuffled(using: &random)
        self.mappings = mappings.shuffled(using: &random)
    }

    var yaml: String {
        let scoreLines = scores.map { score in
            let inputs = score.inputs.map { input in
                "{type: \(input.type), name: \(input.name), weight: \(input.weight)"
                    + (input.source.isEmpty ? "" : ", value_source: \(input.source)")
                    + (input.source == "binary" ? ", match: \(input.match), miss: \(input.miss)}" : "}")
            }
            return "{name: \(score.name), method: weighted_sum, inputs: [\(inputs.joined(separator: ", "))]}"
        }
        let mappingLines = mappings.enumerated().map { index, mapping in
            let bands = mapping.bands.map { band in
                "{name: \(band.name)" + band.bounds.map { ", \($0): \($1)" }.joined() + "}"
            }
            return "{name: m\(index), source: \(mapping.source), method: \(mapping.method), "
                + "calibration: {slope: \(mapping.slope)}, outputs: [\(bands.joined(separator: ", "))]}"
        }
        return """
            version: v0.3
            providers: {defaults: {default_model: m}, models: [{name: m}]}
            routing:
              signals:
                embeddings: [{name: a}, {name: b}]
                jailbreak: [{name: j}]
                pii: [{name: p}]
                kb: [{name: k}]
                structure: [{name: s, feature: {type: count, source: {type: regex, pattern: x}}}]
              projections:
                scores: [\(scoreLines.joined(separator: ",\n  "))]
                mappings: [\(mappingLines.joined(separator: ",\n  "))]
            """
    }

    /// What one request comes to.
    struct Evaluation {
        private let policy: NaiveProjections
        private var found: [String: Double] = [:]
        private var values: [String: Double] = [:]
        private var unknown: Set<String> = []

        init(_ policy: NaiveProjections, _ random: inout SeededRandom) {
            self.policy = policy
            for signal in NaiveProjections.signals {
                switch random.below(6) {
                case 0: unknown.insert(signal)
                case 1...3: found[signal] = Double(1 + random.below(8)) / 8
                default: break
                }
                if !unknown.contains(signal), random.once(in: 2) { values[signal] = Double(random.below(33)) / 8 - 2 }
            }
        }

        func reading(_ signal: String) -> SignalReading {
            if unknown.contains(signal) { return .unavailable }
            return SignalReading(
                state: found[signal] == nil ? .absent : .present,
                confidence: found[signal] ?? 0,
                value: values[signal]
            )
        }

        func score(_ name: String) -> Double {
            let inputs = policy.scores.first { $0.name == name }!.inputs
            var sum = 0.0
            for input in inputs { sum += input.weight * value(input) }
            return sum
        }

        private func value(_ input: Input) -> Double {
            let key = "\(input.type):\(input.name)"
            switch (input.type, input.source) {
            case ("projection", "confidence"): return band(input.name) ?? 0
            case ("projection", _): return score(input.name)
            case (_, "confidence"): return found[key] ?? 0
            case (_, "raw"): return values[key] ?? 0
            case (_, "binary"): return found[key] == nil ? input.miss : input.match
            default: return found[key] == nil ? 0 : 1
            }
        }

        /// The band's confidence; nil where it does not hold.
        func band(_ name: String) -> Double? {
            let mapping = policy.mappings.first { $0.bands.contains { $0.name == name } }!
            let score = score(mapping.source)
            var holding = mapping.bands.filter { $0.holds(score) }
            if mapping.method == "threshold_bands" { holding = Array(holding.prefix(1)) }
            guard let band = holding.first(where: { $0.name == name }) else { return nil }
            let distance = band.bounds.values.map { abs($0 - score) }.sorted()[0]
            return 1 / (1 + exponential(-mapping.slope * distance))
        }
    }
}

/// By its series, for there is no other way without the library that the router uses.
private func exponential(_ power: Double) -> Double {
    // e^x = (e^(x/1024))^1024
    let small = power / 1024
    var term = 1.0
    var sum = 1.0
    for index in 1...20 {
        term *= small / Double(index)
        sum += term
    }
    for _ in 0..<10 { sum *= sum }
    return sum
}

extension NaiveProjections.Band {
    func holds(_ score: Double) -> Bool {
        bounds.allSatisfy { word, bound in
            switch word {
            case "gt": score > bound
            case "gte": score >= bound
            case "lt": score < bound
            default: score <= bound
            }
        }
    }
}

extension NaiveProjections.Input {
    init(scores: [String], bands: [String], _ random: inout SeededRandom) {
        let weight = Double(random.below(17)) / 4 - 2
        let match = Double(random.below(9)) / 4 - 1
        let miss = Double(random.below(9)) / 4 - 1
        if !scores.isEmpty, random.once(in: 3) {
            let ofBand = random.once(in: 2)
            self.init(
                type: "projection",
                name: random.pick(ofBand ? bands : scores),
                weight: weight,
                source: ofBand ? "confidence" : random.pick(["", "score"]),
                match: match,
                miss: miss
            )
            return
        }
        let parts = random.pick(NaiveProjections.signals).split(separator: ":").map(String.init)
        self.init(
            type: parts[0],
            name: parts[1],
            weight: weight,
            source: random.pick(["", "binary", "confidence", "raw"]),
            match: match,
            miss: miss
        )
    }
}

extension NaiveProjections.Mapping {
    init(of score: String, _ stem: String, _ random: inout SeededRandom) {
        let bands = (0..<(1 + random.below(4))).map { index in
            let low = Double(random.below(33)) / 8 - 2
            var bounds: [String: Double] = [:]
            if random.once(in: 2) { bounds[random.pick(["gt", "gte"])] = low }
            if bounds.isEmpty || random.once(in: 2) {
                bounds[random.pick(["lt", "lte"])] = low + Double(1 + random.below(16)) / 8
            }
            return NaiveProjections.Band(name: "\(stem)_\(index)", bounds: bounds)
        }
        self.init(
            source: score,
            method: bands.count > 1 ? random.pick(["threshold_bands", "multi_emit"]) : "threshold_bands",
            slope: Double(1 + random.below(24)),
            bands: bands
        )
    }
}
