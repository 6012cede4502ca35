package import NIOCore

/// Something that must be told when its deadline has passed.
package protocol Expiring: AnyObject {
    /// When to call `deadlinePassed`; `.distantFuture` for never. Read at every sweep, so setting it costs nothing.
    var deadline: NIODeadline { get }
    func deadlinePassed(now: NIODeadline)
}

/// One coarse timer per event loop for all its connections.
///
/// A timer per request would cost two heap operations and two allocations on the hot path; a field that a sweep reads
/// every `period` costs a store. Deadlines therefore fire up to one period late.
///
/// Confined to its event loop.
package final class DeadlineSweeper {
    /// 100 ms: the shortest deadline in use is a second, so that the error stays at a tenth.
    package static let period = TimeAmount.milliseconds(100)

    private let eventLoop: any EventLoop
    private var members: [ObjectIdentifier: any Expiring] = [:]
    private var timer: RepeatedTask?

    package init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    package var all: [any Expiring] { Array(members.values) }
    package var count: Int { members.count }

    package func add(_ member: any Expiring) {
        members[ObjectIdentifier(member)] = member
        guard timer == nil else { return }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        timer = eventLoop.scheduleRepeatedTask(initialDelay: Self.period, delay: Self.period) { _ in
            bound.value.sweep()
        }
    }

    package func remove(_ member: any Expiring) {
        members[ObjectIdentifier(member)] = nil
        if members.isEmpty {
            timer?.cancel()
            timer = nil
        }
    }

    private func sweep() {
        let now = NIODeadline.now()
        // Collected first: a member that is told may remove itself.
        let expired = members.values.filter { $0.deadline <= now }
        for member in expired {
            member.deadlinePassed(now: now)
        }
    }
}
