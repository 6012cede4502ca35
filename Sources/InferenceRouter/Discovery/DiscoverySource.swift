/// Where endpoints come from.
package protocol DiscoverySource: Sendable {
    /// Calls `emit` with the whole set at once, first when it is known and then whenever it changes, until the task is
    /// cancelled. A source that never changes returns after the first.
    func watch(_ emit: @Sendable (Set<Endpoint>) -> Void) async throws
}

/// The endpoints that a configuration names.
package struct StaticSource: DiscoverySource {
    package let endpoints: Set<Endpoint>

    package init(_ endpoints: Set<Endpoint>) {
        self.endpoints = endpoints
    }

    package func watch(_ emit: @Sendable (Set<Endpoint>) -> Void) async throws {
        emit(endpoints)
    }
}
