/// The faults in force, and which of them hits a request.
package struct FaultPlan: Sendable {
    private var faults: [(fault: Fault, hits: Int)] = []
    private var random: SimRandom

    package init(_ faults: [Fault] = [], seed: UInt64) {
        self.faults = faults.map { ($0, 0) }
        random = SimRandom(seed: seed)
    }

    /// The faults that are not over.
    package var current: [Fault] {
        faults.filter { $0.hits < $0.fault.times ?? .max }.map(\.fault)
    }

    package var isEmpty: Bool { faults.isEmpty }

    /// Whether the whole worker acts as if its KV cache were full.
    package var isFull: Bool {
        faults.contains { $0.fault.kind == .kvFull }
    }

    /// For how long the worker's port is to be closed.
    package var refusal: Duration? {
        for case .refuse(let duration) in faults.lazy.map(\.fault.kind) { return duration }
        return nil
    }

    /// Puts these faults in the place of all others.
    package mutating func replace(with faults: [Fault]) {
        self.faults = faults.map { ($0, 0) }
    }

    /// The first fault that hits a request to `path`, or nil. Counts it.
    package mutating func hit(path: String) -> Fault.Kind? {
        for index in faults.indices {
            let fault = faults[index].fault
            guard !fault.isOfTheWholeWorker, Self.matches(fault, path) else { continue }
            if let times = fault.times, faults[index].hits >= times { continue }
            if fault.rate < 1, random.unit() >= fault.rate { continue }
            faults[index].hits += 1
            return fault.kind
        }
        return nil
    }

    private static func matches(_ fault: Fault, _ path: String) -> Bool {
        guard !path.hasPrefix("/sim/") else { return false }
        if let prefix = fault.path { return path.hasPrefix(prefix) }
        return path != "/health" && path != "/ping" && path != "/metrics"
    }
}

extension Fault {
    /// Whether the worker as a whole shows the fault, rather than its answer to a request.
    fileprivate var isOfTheWholeWorker: Bool {
        switch kind {
        case .refuse, .kvFull: true
        case .hang, .status, .reset, .resetMidStream, .slow: false
        }
    }
}
