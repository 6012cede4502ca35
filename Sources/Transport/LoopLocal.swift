package import NIOCore

/// One value per event loop of a group, reachable only from its own loop.
///
/// This is how state that a request touches (connection pools, timers) stays free of locks and hops.
package struct LoopLocal<Value>: Sendable {
    private let values: [ObjectIdentifier: NIOLoopBound<Value>]
    private let group: any EventLoopGroup

    /// Builds each loop's value on that loop.
    package init(group: any EventLoopGroup, _ build: @escaping @Sendable (any EventLoop) -> Value) async throws {
        var values: [ObjectIdentifier: NIOLoopBound<Value>] = [:]
        for loop in group.makeIterator() {
            values[ObjectIdentifier(loop)] = try await loop.submit { NIOLoopBound(build(loop), eventLoop: loop) }.get()
        }
        self.values = values
        self.group = group
    }

    /// The value of `eventLoop`; must be called on it.
    package subscript(eventLoop: any EventLoop) -> Value {
        guard let bound = values[ObjectIdentifier(eventLoop)] else {
            preconditionFailure("the event loop is not of the group that this LoopLocal was built for")
        }
        return bound.value
    }

    /// Any loop of the group, for work that starts outside of it.
    package func anyLoop() -> any EventLoop { group.next() }

    /// Runs `body` on every loop with its value, and waits until all have.
    package func forEach(_ body: @escaping @Sendable (Value) -> Void) async throws {
        for (_, bound) in values {
            try await bound.eventLoop.submit { body(bound.value) }.get()
        }
    }
}
