#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// The projections of a profile: signals computed from signals. Pure.
package struct Projections: Sendable {
    /// Domain or embedding signals of which one stays.
    struct Partition: Sendable {
        let members: [Int]
        let fallback: Int
        let semantics: PartitionConfig.Semantics
        let temperature: Double
    }

    /// A weighted sum, and the bands it falls into.
    struct Score: Sendable {
        let name: String
        let inputs: [Input]
        let mappings: [Mapping]
    }

    struct Input: Sendable {
        enum Source: Sendable, Equatable {
            /// Whether the signal is present.
            case binary(Int, match: Double, miss: Double)
            case confidence(Int)
            case raw(Int)
            /// Another score, by its place in the order of evaluation.
            case score(Int)
            /// A metric that nothing computes.
            case unknown
        }

        let source: Source
        let weight: Double
    }

    struct Mapping: Sendable {
        let emitsAll: Bool
        let slope: Double
        let bands: [(position: Int, bounds: NumberPredicate)]
    }

    let partitions: [Partition]
    /// Each after those that it reads.
    let scores: [Score]

    /// - Parameter profile: validated, without cycles.
    init(_ profile: ProfileConfig, _ table: SignalTable) {
        let config = profile.projections
        let known = KnownSignals(profile)
        partitions = config.partitions.compactMap { partition in
            guard let kind = known.kind(of: partition), let name = partition.fallback,
                let fallback = table.position(of: SignalID(kind, name)), partition.members.count > 1
            else { return nil }
            return Partition(
                members: partition.members.compactMap { table.position(of: SignalID(kind, $0)) },
                fallback: fallback,
                semantics: partition.semantics,
                temperature: partition.temperature ?? 1
            )
        }
        // Without a band no rule can see a score.
        let ordered = config.mappings.isEmpty ? [] : ScoreOrder(config).names
        let places = Dictionary(ordered.enumerated().map { ($1, $0) }) { first, _ in first }
        scores = ordered.compactMap { name in
            guard let score = config.scores.first(where: { $0.name == name }) else { return nil }
            return Score(
                name: name,
                inputs: score.inputs.map { Input($0, table, places) },
                mappings: config.mappings.filter { $0.source == name }.map { Mapping($0, table) }
            )
        }
    }

    /// Adds what the projections say to the readings, and gives each score's value, in the order of `scores`.
    package func apply(to signals: inout SignalSet) -> [Double] {
        for partition in partitions { partition.apply(to: &signals) }
        var values: [Double] = []
        values.reserveCapacity(scores.count)
        for score in scores {
            let value = score.inputs.reduce(0) { $0 + $1.weight * $1.source.value(signals, values) }
            for mapping in score.mappings { mapping.apply(value, to: &signals) }
            values.append(value)
        }
        return values
    }
}

extension Projections.Partition {
    func apply(to signals: inout SignalSet) {
        let contenders = members.filter { signals[$0].isPresent }
        guard var winner = contenders.first else {
            // Where nothing is known of any member, nothing is known of the default either.
            if members.contains(where: { signals[$0].state == .absent }) {
                signals.readings[fallback] = .present()
            }
            return
        }
        guard contenders.count > 1 else { return }
        for contender in contenders where signals[contender].confidence > signals[winner].confidence {
            winner = contender
        }
        if semantics == .softmaxExclusive {
            let best = signals[winner].confidence
            let sum = contenders.reduce(0) { $0 + exp((signals[$1].confidence - best) / temperature) }
            signals.readings[winner].confidence = 1 / sum
        }
        for contender in contenders where contender != winner { signals.readings[contender] = .absent }
    }
}

extension Projections.Input {
    fileprivate init(_ config: ScoreInputConfig, _ table: SignalTable, _ scores: [String: Int]) {
        weight = config.weight
        guard case .signal(let type) = config.type else {
            source = .unknown
            return
        }
        if type == .projection, config.valueSource != .confidence {
            source = scores[config.name].map { .score($0) } ?? .unknown
            return
        }
        guard let position = table.position(of: SignalID(type, config.name)) else {
            source = .unknown
            return
        }
        switch config.valueSource {
        // Upstream's projections take a keyword that was found for certain, and its recipes are weighed for that: two
        // rules of 0.15 and 0.20 reach a band that begins at 0.35.
        case .confidence where type == .keyword: source = .binary(position, match: 1, miss: 0)
        case .confidence: source = .confidence(position)
        case .raw: source = .raw(position)
        case .binary, .score, nil: source = .binary(position, match: config.match, miss: config.miss)
        }
    }
}

extension Projections.Input.Source {
    fileprivate func value(_ signals: SignalSet, _ scores: [Double]) -> Double {
        switch self {
        case .binary(let position, let match, let miss):
            return signals[position].isPresent ? match : miss
        case .confidence(let position):
            let reading = signals[position]
            return reading.isPresent ? reading.confidence : 0
        case .raw(let position):
            return signals[position].value ?? 0
        case .score(let place):
            return scores[place]
        case .unknown:
            return 0
        }
    }
}

extension Projections.Mapping {
    fileprivate init(_ config: MappingConfig, _ table: SignalTable) {
        emitsAll = config.method == .multiEmit
        slope = config.calibration.slope
        bands = config.outputs.compactMap { output in
            table.position(of: SignalID(.projection, output.name)).map { ($0, output.bounds) }
        }
    }

    fileprivate func apply(_ score: Double, to signals: inout SignalSet) {
        var isEmitted = false
        for (position, bounds) in bands {
            if bounds.holds(score), emitsAll || !isEmitted {
                isEmitted = true
                let confidence = 1 / (1 + exp(-slope * bounds.distance(of: score)))
                signals.readings[position] = .present(confidence, value: score)
            } else {
                signals.readings[position] = SignalReading(state: .absent, confidence: 0, value: score)
            }
        }
    }
}

/// In which order scores are computed: each after those that it reads.
struct ScoreOrder {
    /// Declared order, dependencies first.
    private(set) var names: [String] = []
    /// Scores that depend on each other, the first one again at the end; nil if none do.
    private(set) var cycle: [String]?

    init(_ config: ProjectionsConfig) {
        let known = Set(config.scores.map(\.name))
        let sources = Dictionary(
            config.mappings.flatMap { mapping in mapping.outputs.map { ($0.name, mapping.source) } }
        ) { first, _ in first }
        let needs = Dictionary(
            config.scores.map { score in
                let names = score.inputs.compactMap { input -> String? in
                    guard input.type == .signal(.projection) else { return nil }
                    return input.valueSource == .confidence ? sources[input.name] : input.name
                }
                return (score.name, names.filter(known.contains))
            }
        ) { first, _ in first }
        var path: [String] = []
        for score in config.scores { visit(score.name, needs, &path) }
    }

    private mutating func visit(_ name: String, _ needs: [String: [String]], _ path: inout [String]) {
        guard !names.contains(name), cycle == nil else { return }
        if let start = path.firstIndex(of: name) {
            cycle = Array(path[start...]) + [name]
            return
        }
        path.append(name)
        for other in needs[name] ?? [] { visit(other, needs, &path) }
        path.removeLast()
        names.append(name)
    }
}
