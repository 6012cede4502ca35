import ConfigKit
import Glibc
import Synchronization
import Testing

/// A time that moves only when a test moves it.
struct ManualInstant: InstantProtocol {
    var offset: Duration = .zero

    func advanced(by duration: Duration) -> ManualInstant { ManualInstant(offset: offset + duration) }
    func duration(to other: ManualInstant) -> Duration { other.offset - offset }
    static func < (left: ManualInstant, right: ManualInstant) -> Bool { left.offset < right.offset }

    static func ms(_ count: Int) -> ManualInstant { ManualInstant(offset: .milliseconds(count)) }
}

@Suite struct WatchMachineTests {
    private typealias Machine = WatchMachine<ManualInstant>

    private func state(_ version: Int, at path: String = "/f") -> FileState {
        .present(
            FileState.Fingerprint(
                resolvedPath: path,
                device: 1,
                inode: UInt64(version),
                sizeBytes: 1,
                modifiedNanoseconds: 0,
                changedNanoseconds: 0
            )
        )
    }

    private func machine(inForce: String? = "a", paths: [String] = ["/f"]) -> Machine {
        Machine(
            paths: paths,
            inForce: inForce.map { text in paths.map { WatchedFile(path: $0, bytes: Array(text.utf8)) } },
            debounce: .milliseconds(250),
            grace: .seconds(10)
        )
    }

    private func files(_ text: String) -> [WatchedFile] { [WatchedFile(path: "/f", bytes: Array(text.utf8))] }

    @Test("A change counts after the debounce, and once")
    func change() {
        var machine = machine()
        #expect(machine.observe([state(1)], at: .ms(0)) == .none)
        #expect(machine.nextLook(after: .ms(0), period: .seconds(1)) == .ms(250))
        #expect(machine.observe([state(1)], at: .ms(249)) == .none)
        #expect(machine.observe([state(1)], at: .ms(250)) == .read)
        #expect(machine.read([Array("b".utf8)], states: [state(1)], at: .ms(251)) == .deliver(files("b")))
        #expect(machine.observe([state(1)], at: .ms(1000)) == .none)
        #expect(machine.nextLook(after: .ms(1000), period: .seconds(1)) == .ms(2000))
    }

    @Test("Every step of an editor starts the debounce again")
    func severalSteps() {
        var machine = machine()
        for step in 0..<20 {
            #expect(machine.observe([state(step)], at: .ms(step * 200)) == .none)
        }
        #expect(machine.observe([state(19)], at: .ms(19 * 200 + 249)) == .none)
        #expect(machine.observe([state(19)], at: .ms(19 * 200 + 250)) == .read)
    }

    @Test("Contents that change while they are read are not delivered")
    func changedWhileReading() {
        var machine = machine()
        _ = machine.observe([state(1)], at: .ms(0))
        #expect(machine.observe([state(1)], at: .ms(250)) == .read)
        #expect(machine.read([Array("half".utf8)], states: [state(2)], at: .ms(260)) == .none)
        #expect(machine.nextLook(after: .ms(260), period: .seconds(1)) == .ms(510))
        #expect(machine.observe([state(2)], at: .ms(509)) == .none)
        #expect(machine.observe([state(2)], at: .ms(510)) == .read)
        #expect(machine.read([Array("whole".utf8)], states: [state(2)], at: .ms(511)) == .deliver(files("whole")))
    }

    @Test("Equal contents are no change, however the file was replaced")
    func touched() {
        var machine = machine(inForce: "a")
        for version in 1...3 {
            let start = version * 1000
            _ = machine.observe([state(version)], at: .ms(start))
            #expect(machine.observe([state(version)], at: .ms(start + 250)) == .read)
            #expect(machine.read([Array("a".utf8)], states: [state(version)], at: .ms(start + 251)) == .none)
        }
    }

    @Test("Without contents in force the first ones are delivered")
    func firstContents() {
        var machine = machine(inForce: nil)
        _ = machine.observe([state(1)], at: .ms(0))
        _ = machine.observe([state(1)], at: .ms(250))
        #expect(machine.read([Array("a".utf8)], states: [state(1)], at: .ms(251)) == .deliver(files("a")))
    }

    @Test("A file that is missing for a moment changes nothing; for long it is said once")
    func missing() {
        var machine = machine()
        #expect(machine.observe([.missing], at: .ms(0)) == .none)
        #expect(machine.observe([.missing], at: .ms(9_999)) == .none)
        #expect(machine.observe([.missing], at: .ms(10_000)) == .missing(["/f"]))
        #expect(machine.observe([.missing], at: .ms(60_000)) == .none)
        #expect(machine.observe([state(1)], at: .ms(61_000)) == .none)
        #expect(machine.observe([state(1)], at: .ms(61_250)) == .read)
        #expect(machine.read([Array("a".utf8)], states: [state(1)], at: .ms(61_251)) == .none)
        #expect(machine.observe([.missing], at: .ms(62_000)) == .none)
        #expect(machine.observe([.missing], at: .ms(72_000)) == .missing(["/f"]))
    }

    @Test("A file that vanishes while it is read is waited for")
    func vanishedWhileReading() {
        var machine = machine()
        _ = machine.observe([state(1)], at: .ms(0))
        _ = machine.observe([state(1)], at: .ms(250))
        #expect(machine.read([nil], states: [.missing], at: .ms(251)) == .none)
        #expect(machine.observe([state(1)], at: .ms(300)) == .none)
        #expect(machine.observe([state(1)], at: .ms(550)) == .read)
    }

    @Test("Several files are delivered together, when all of them rest")
    func severalFiles() {
        var machine = machine(inForce: "a", paths: ["/f", "/g"])
        _ = machine.observe([state(1), state(1)], at: .ms(0))
        #expect(machine.observe([state(1), state(2)], at: .ms(200)) == .none)
        #expect(machine.observe([state(1), state(2)], at: .ms(300)) == .none)
        #expect(machine.observe([state(1), state(2)], at: .ms(450)) == .read)
        #expect(
            machine.read([Array("a".utf8), Array("b".utf8)], states: [state(1), state(2)], at: .ms(451))
                == .deliver([WatchedFile(path: "/f", bytes: [0x61]), WatchedFile(path: "/g", bytes: [0x62])])
        )
    }

    @Test(
        "Whatever happens in whatever order: only contents that rested are delivered, and in the end the last ones are"
    )
    func allOrders() {
        // Each step waits 100 ms and then does nothing, writes a version, or removes the file; every order of seven
        // steps.
        let depth = 7
        var orders = 1
        for _ in 0..<depth { orders *= 3 }
        for order in 0..<orders {
            var machine = machine(inForce: "0")
            var disk: Int? = 0
            var version = 0
            var restedSince = 0
            var delivered = 0
            var rest = order
            for step in 0..<(depth + 5) {
                let now = step * 100
                if step < depth {
                    switch rest % 3 {
                    case 1:
                        version += 1
                        disk = version
                        restedSince = now
                    case 2:
                        disk = nil
                    default: break
                    }
                    rest /= 3
                } else if step == depth, disk == nil {
                    disk = version
                    restedSince = now
                }
                let seen = disk.map { state($0 + 1) } ?? .missing
                guard machine.observe([seen], at: .ms(now)) == .read, let disk else { continue }
                let action = machine.read([Array("\(disk)".utf8)], states: [seen], at: .ms(now))
                guard case .deliver(let files) = action else { continue }
                #expect(now - restedSince >= 250, "order \(order)")
                #expect(files == self.files("\(disk)"))
                delivered = disk
            }
            #expect(delivered == version, "order \(order)")
        }
    }
}

@Suite struct ConfigWatcherTests {
    private final class EventLog: Sendable {
        let events = Mutex<[ConfigWatcher<ContinuousClock>.Event]>([])
    }

    /// Runs a watcher on real files with short times until `body` returns.
    private func watching(
        _ paths: [String],
        _ body:
            @Sendable (_ wait: @Sendable (ConfigWatcher<ContinuousClock>.Event) async throws -> Void) async throws ->
            Void
    ) async throws {
        let log = EventLog()
        let files = paths.map { WatchedFile(path: $0, bytes: SystemFiles().contents(of: $0) ?? []) }
        let watcher = ConfigWatcher(
            paths: paths,
            inForce: files,
            period: .milliseconds(10),
            debounce: .milliseconds(30),
            grace: .milliseconds(100),
            clock: ContinuousClock()
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                await watcher.run { event in log.events.withLock { $0.append(event) } }
            }
            try await body { wanted in
                let deadline = ContinuousClock.now.advanced(by: .seconds(20))
                while log.events.withLock({ $0.last }) != wanted {
                    guard ContinuousClock.now < deadline else {
                        Issue.record("expected \(wanted), saw \(log.events.withLock { $0 })")
                        return
                    }
                    await Task.yield()
                }
            }
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    private func changed(_ path: String, _ text: String) -> ConfigWatcher<ContinuousClock>.Event {
        .changed([WatchedFile(path: path, bytes: Array(text.utf8))])
    }

    @Test(
        "A ConfigMap's link swap, a rename, a rewrite and a gap are seen on a real file system",
        .timeLimit(.minutes(1))
    )
    func realFiles() async throws {
        let folder = try TemporaryFolder()
        try folder.makeFolder("..one")
        try folder.makeFolder("..two")
        try folder.write("..one/f.yaml", "one")
        try folder.write("..two/f.yaml", "two")
        try folder.link("..data", to: "..one")
        try folder.link("f.yaml", to: "..data/f.yaml")
        let path = folder.path + "/f.yaml"

        try await watching([path]) { wait in
            // The kubelet makes the new link beside the old one and renames it over it.
            try folder.link("..data_tmp", to: "..two")
            try folder.rename("..data_tmp", to: "..data")
            try await wait(changed(path, "two"))

            try folder.write("..two/new", "renamed")
            try folder.rename("..two/new", to: "..two/f.yaml")
            try await wait(changed(path, "renamed"))

            try folder.write("..two/f.yaml", "rewrit")
            try folder.write("..two/f.yaml", "written")
            try await wait(changed(path, "written"))

            try folder.removeFile("f.yaml")
            try await wait(.missing([path]))
            try folder.write("f.yaml", "back")
            try await wait(changed(path, "back"))
        }
    }

    @Test("A watcher ends when its task is cancelled", .timeLimit(.minutes(1)))
    func cancellation() async {
        let watcher = ConfigWatcher(paths: ["/none"], inForce: nil, period: .seconds(3600), clock: ContinuousClock())
        let task = Task { await watcher.run { _ in } }
        task.cancel()
        await task.value
    }
}
