/// Waits until `condition` holds, asking it again and again, or until `deadline` has passed.
///
/// The only waiting that tests do: for a condition, with a deadline.
/// - Returns: whether the condition came to hold.
package func eventually(
    within deadline: Duration = .seconds(10),
    _ condition: () async throws -> Bool
) async rethrows -> Bool {
    let clock = ContinuousClock()
    let end = clock.now + deadline
    while true {
        if try await condition() { return true }
        guard clock.now < end, !Task.isCancelled else { return false }
        try? await Task.sleep(for: .milliseconds(2))
    }
}

/// Waits until `value` has stopped changing: the same positive number at every look for a tenth of a second.
///
/// - Returns: the number, or nil when it still changed at `deadline`.
package func settled(within deadline: Duration = .seconds(10), _ value: () -> Int) async -> Int? {
    let clock = ContinuousClock()
    var last = 0
    var since = clock.now
    let hasSettled = await eventually(within: deadline) {
        let current = value()
        if current != last {
            last = current
            since = clock.now
        }
        return current > 0 && clock.now - since > .milliseconds(100)
    }
    return hasSettled ? last : nil
}
