/// Decides when watched files have changed for good. Pure: it is told what is seen and when, and answers what to do.
///
/// A change counts once every file has looked the same for `debounce`, and still looks so after it was read: editors
/// write in several steps, and a ConfigMap's files change one after the other for whoever reads them one by one. Equal
/// contents are no change, however often a file is touched or replaced. While a file is missing the last contents hold.
package struct WatchMachine<Instant: InstantProtocol>: Sendable where Instant.Duration == Duration, Instant: Sendable {
    package enum Action: Hashable, Sendable {
        case none
        /// Read every file, look at every file again, and call `read(_:states:at:)`.
        case read
        /// The contents in force are now these.
        case deliver([WatchedFile])
        /// These files have been missing for `grace`; said once until they are back.
        case missing([String])
    }

    private let paths: [String]
    private let debounce: Duration
    /// How long a file may be missing before it is worth a word.
    private let grace: Duration
    private var inForce: [WatchedFile]?
    /// What the files looked like when `inForce` was last compared with them.
    private var settled: [FileState]?
    private var pending: (states: [FileState], since: Instant)?
    private var missing: (since: Instant, isReported: Bool)?

    /// - Parameter inForce: the contents the program works with, in the order of `paths`; nil delivers the first ones.
    package init(paths: [String], inForce: [WatchedFile]?, debounce: Duration, grace: Duration) {
        self.paths = paths
        self.inForce = inForce
        self.debounce = debounce
        self.grace = grace
    }

    /// The files look like `states`, in the order of the paths.
    package mutating func observe(_ states: [FileState], at now: Instant) -> Action {
        guard !states.contains(.missing) else { return sawMissing(states, at: now) }
        missing = nil
        guard states != settled else {
            pending = nil
            return .none
        }
        if pending?.states != states {
            pending = (states, now)
        }
        guard let pending, pending.since.duration(to: now) >= debounce else { return .none }
        return .read
    }

    /// The files held `contents` (nil where one could not be read) and looked like `states` afterwards.
    package mutating func read(_ contents: [[UInt8]?], states: [FileState], at now: Instant) -> Action {
        let complete = contents.compactMap { $0 }
        guard complete.count == paths.count, states == pending?.states else {
            // Someone is still writing: wait anew.
            pending = states.contains(.missing) ? nil : (states, now)
            return .none
        }
        settled = states
        pending = nil
        let files = zip(paths, complete).map { WatchedFile(path: $0, bytes: $1) }
        guard files != inForce else { return .none }
        inForce = files
        return .deliver(files)
    }

    /// When to look again: after `period`, or sooner when a change is about to count.
    package func nextLook(after now: Instant, period: Duration) -> Instant {
        let regular = now.advanced(by: period)
        guard let pending else { return regular }
        return min(regular, max(now, pending.since.advanced(by: debounce)))
    }

    private mutating func sawMissing(_ states: [FileState], at now: Instant) -> Action {
        pending = nil
        settled = nil
        let since = missing?.since ?? now
        let isDue = since.duration(to: now) >= grace && missing?.isReported != true
        missing = (since, isDue || missing?.isReported == true)
        guard isDue else { return .none }
        return .missing(zip(paths, states).filter { $0.1 == .missing }.map(\.0))
    }
}
