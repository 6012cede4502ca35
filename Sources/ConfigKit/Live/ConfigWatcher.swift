/// Watches configuration files by looking at them now and then, and hands on their contents when they changed for good.
///
/// Polling sees what notifications miss: ConfigMap link swaps, network file systems, files that do not exist yet. One
/// look costs two system calls per file.
package struct ConfigWatcher<C: Clock>: Sendable where C.Duration == Duration {
    package enum Event: Hashable, Sendable {
        /// All files, the unchanged ones too, as they now are.
        case changed([WatchedFile])
        /// These files are gone for longer than a replacement takes. The last contents hold.
        case missing([String])
    }

    private let paths: [String]
    private let inForce: [WatchedFile]?
    private let period: Duration
    private let debounce: Duration
    private let grace: Duration
    private let clock: C
    private let fileSystem: any WatchedFileSystem

    /// - Parameters:
    ///   - inForce: the contents the program works with, in the order of `paths`; nil delivers the first ones.
    ///   - period: the time between two looks. 1 s: a reload by hand feels immediate, the cost is nil.
    ///   - debounce: how long files must look the same. 250 ms: editors write a file in several steps.
    ///   - grace: how long a file may be missing without a word. 10 s: longer than any tool replaces a file.
    package init(
        paths: [String],
        inForce: [WatchedFile]?,
        period: Duration = .seconds(1),
        debounce: Duration = .milliseconds(250),
        grace: Duration = .seconds(10),
        clock: C = ContinuousClock(),
        fileSystem: any WatchedFileSystem = SystemFiles()
    ) {
        self.paths = paths
        self.inForce = inForce
        self.period = period
        self.debounce = debounce
        self.grace = grace
        self.clock = clock
        self.fileSystem = fileSystem
    }

    /// Watches until the task is cancelled. Events come one at a time: the files are not looked at while `handle` runs.
    package func run(_ handle: @Sendable (Event) async -> Void) async {
        var machine = WatchMachine<C.Instant>(paths: paths, inForce: inForce, debounce: debounce, grace: grace)
        while !Task.isCancelled {
            switch look(with: &machine) {
            case .deliver(let files): await handle(.changed(files))
            case .missing(let paths): await handle(.missing(paths))
            case .none, .read: break
            }
            do {
                try await clock.sleep(until: machine.nextLook(after: clock.now, period: period), tolerance: nil)
            } catch {
                // Sleeping throws only when the task is cancelled.
                return
            }
        }
    }

    private func look(with machine: inout WatchMachine<C.Instant>) -> WatchMachine<C.Instant>.Action {
        let action = machine.observe(states(), at: clock.now)
        guard action == .read else { return action }
        let contents = paths.map { fileSystem.contents(of: $0) }
        return machine.read(contents, states: states(), at: clock.now)
    }

    private func states() -> [FileState] {
        paths.map { fileSystem.state(of: $0) }
    }
}
