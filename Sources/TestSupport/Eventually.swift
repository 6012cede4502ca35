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
