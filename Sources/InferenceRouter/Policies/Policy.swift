package import Resilience
import Synchronization

/// How a worker is chosen: pure steps over values, composed as data.
package struct Policy: Sendable {
    /// Its name in settings and spans.
    let name: String
    let filters: [any Filter]
    let picker: any Picker

    package init(name: String, filters: [any Filter], picker: any Picker) {
        self.name = name
        self.filters = filters
        self.picker = picker
    }
}

/// Says which workers may serve a request now.
package protocol Filter: Sendable {
    func keep(_ worker: Worker, at now: MonotonicTime) -> Bool
}

/// Puts workers in the order in which to try them, so that fail-over needs no second question.
package protocol Picker: Sendable {
    func rank(_ workers: [Worker], of candidates: Candidates) -> [Worker]
}

/// Keeps workers that passive health has not ejected.
package struct HealthyFilter: Filter {
    package init() {}

    package func keep(_ worker: Worker, at now: MonotonicTime) -> Bool { worker.isHealthy(at: now) }
}

/// Each worker in turn, in the order of their URLs: the n-th request for a set of workers starts at worker
/// n mod count, as upstream's `roundrobin` does. Workers of different weights get turns by their weights.
package struct RoundRobinPicker: Picker {
    package init() {}

    package func rank(_ workers: [Worker], of candidates: Candidates) -> [Worker] {
        guard workers.count > 1 else { return workers }
        let turn = candidates.turn.wrappingAdd(1, ordering: .relaxed).oldValue
        var start = Int(UInt(bitPattern: turn) % UInt(workers.count))
        if let schedule = candidates.schedule {
            let chosen = candidates.workers[schedule[Int(UInt(bitPattern: turn) % UInt(schedule.count))]]
            // The turns of one that is ejected go round among the others.
            start = workers.firstIndex { $0 === chosen } ?? start
        }
        return Array(workers[start...] + workers[..<start])
    }
}

/// The routing policies by the names that `--routing-logic` takes.
package enum PolicyCatalog: String, CaseIterable, Sendable {
    case roundrobin

    package var policy: Policy {
        switch self {
        case .roundrobin: Policy(name: rawValue, filters: [HealthyFilter()], picker: RoundRobinPicker())
        }
    }
}
