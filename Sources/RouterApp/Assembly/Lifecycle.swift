import AdminAPI
import Synchronization
import Telemetry

/// How far the process is: starting, ready, on its way out.
final class Lifecycle: Sendable {
    private let state = Mutex(Readiness(phase: .starting, message: "starting", since: "\(UTCTime.now())"))

    var readiness: Readiness { state.withLock { $0 } }
    var isDraining: Bool { readiness.phase == .draining }

    func becomeReady() { enter(.ready, "requests are served") }
    func beginDraining() { enter(.draining, "answers under way complete, send requests elsewhere") }

    private func enter(_ phase: Readiness.Phase, _ message: String) {
        let readiness = Readiness(phase: phase, message: message, since: "\(UTCTime.now())")
        state.withLock { $0 = readiness }
    }
}
