import ClassifierEngine
import ConfigKit
import FoundationEssentials
import Testing

@Suite struct FolderWatchTests {
    private static func state(_ sizeBytes: Int64, inode: UInt64 = 1) -> FolderState {
        FolderState(files: [
            "model.safetensors": FileState.Fingerprint(
                resolvedPath: "/models/a/model.safetensors",
                device: 1,
                inode: inode,
                sizeBytes: sizeBytes,
                modifiedNanoseconds: 0,
                changedNanoseconds: 0
            )
        ])
    }

    /// What the looks show to be loaded, with what becomes of it each time.
    private static func loads(
        _ watch: inout FolderWatch,
        _ looks: [Int64],
        _ outcome: FolderWatch.Outcome = .settled
    ) -> [Int64?] {
        looks.map { sizeBytes in
            guard let state = watch.saw(state(sizeBytes)) else { return nil }
            watch.ended(state, outcome)
            return sizeBytes
        }
    }

    @Test("A copy that still grows is no change; one that has stopped is, once")
    func growing() {
        var watch = FolderWatch(inForce: Self.state(100))
        let loads = Self.loads(&watch, [100, 10, 50, 90, 120, 120, 120, 120])
        #expect(loads == [nil, nil, nil, nil, nil, 120, nil, nil])
    }

    @Test("What may be loaded later is tried again, less and less often, but never seldom")
    func again() {
        var watch = FolderWatch(inForce: Self.state(100))
        let loads = Self.loads(&watch, Array(repeating: 120, count: 1_000), .again)
        let tries = loads.indices.filter { loads[$0] != nil }
        #expect(tries.prefix(7) == [1, 3, 7, 15, 31, 63, 127])
        #expect(zip(tries, tries.dropFirst()).suffix(10).allSatisfy { $1 - $0 == 64 })
        // Once it is loaded, that is all.
        let settled = Self.loads(&watch, Array(repeating: 120, count: 200))
        #expect(settled.compactMap { $0 } == [120])
    }

    @Test("A change while a former one waits to be tried again is loaded at once")
    func changeBetween() {
        var watch = FolderWatch(inForce: Self.state(100))
        _ = Self.loads(&watch, Array(repeating: 120, count: 100), .again)
        #expect(Self.loads(&watch, [130, 130, 130, 130], .again) == [nil, 130, nil, 130])
    }

    @Test("A folder that is gone for a while keeps its model, and comes back as it was without a change")
    func gone() {
        var watch = FolderWatch(inForce: Self.state(100))
        let looks = [nil, nil, Self.state(100), Self.state(100)].map { watch.saw($0) }
        #expect(looks == [nil, nil, nil, nil])
    }

    @Test("Another file of the same size is a change")
    func inode() {
        var watch = FolderWatch(inForce: Self.state(100))
        let looks = [2, 2].map { watch.saw(Self.state(100, inode: $0)) }
        #expect(looks == [nil, Self.state(100, inode: 2)])
    }

    @Test("What is there at first is a change when nothing was in force")
    func first() {
        var watch = FolderWatch(inForce: nil)
        let looks = [1, 1].map { watch.saw(Self.state($0)) }
        #expect(looks == [nil, Self.state(1)])
    }
}

@Suite(.temporaryFiles) struct FolderStateTests {
    private let folder: URL
    private let files = FileManager.default

    init() throws {
        folder = URL(filePath: try TemporaryFiles.path())
        try files.createDirectory(at: folder.appendingPathComponent("a/onnx"), withIntermediateDirectories: true)
        try Data("one".utf8).write(to: folder.appendingPathComponent("a/config.json"))
        try Data("two".utf8).write(to: folder.appendingPathComponent("a/onnx/model.onnx"))
        try Data("hidden".utf8).write(to: folder.appendingPathComponent("a/.model.partial"))
    }

    private func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

    @Test("All files count, those in folders too, but not hidden ones")
    func names() throws {
        let state = try #require(FolderState.of(path("a")))
        #expect(state.files.keys.sorted() == ["config.json", "onnx/model.onnx"])
        #expect(state == FolderState.of(path("a")))
        #expect(FolderState.of(path("missing")) == nil)
        #expect(FolderState.of(path("a/config.json")) == nil)
    }

    @Test("A file of the same length in another's place is seen")
    func replacement() throws {
        let before = FolderState.of(path("a"))
        try Data("six".utf8).write(to: folder.appendingPathComponent("a/new"))
        try files.removeItem(atPath: path("a/config.json"))
        try files.moveItem(atPath: path("a/new"), toPath: path("a/config.json"))
        #expect(FolderState.of(path("a")) != before)
    }

    @Test("A link that is led elsewhere is seen, though the other folder looks the same")
    func link() throws {
        try files.copyItem(atPath: path("a"), toPath: path("b"))
        try files.createSymbolicLink(atPath: path("current"), withDestinationPath: path("a"))
        let before = try #require(FolderState.of(path("current")))
        try files.removeItem(atPath: path("current"))
        try files.createSymbolicLink(atPath: path("current"), withDestinationPath: path("b"))
        let after = try #require(FolderState.of(path("current")))
        #expect(after != before)
        #expect(after.files.keys == before.files.keys)
    }

    @Test("A link back to its own folder ends")
    func loop() throws {
        try files.createSymbolicLink(atPath: path("a/again"), withDestinationPath: path("a"))
        let state = try #require(FolderState.of(path("a")))
        #expect(state.files["again/config.json"] != nil)
    }

    @Test("The watcher tells of a change once it is stable, and stops with its task")
    func watcher() async throws {
        let before = FolderState.of(path("a"))
        let seen = Collected<FolderState>()
        let watched = path("a")
        let task = Task {
            await FolderWatcher(watched, inForce: before, period: .milliseconds(1)).run { state in
                seen.add(state)
                return .settled
            }
        }
        try Data("three".utf8).write(to: folder.appendingPathComponent("a/model.safetensors"))
        #expect(await waited { seen.all.last?.files.count == 3 })
        task.cancel()
        await task.value
    }

    @Test("The watcher ends when nobody is interested any more")
    func done() async {
        await FolderWatcher(path("a"), inForce: nil, period: .milliseconds(1)).run { _ in .done }
    }
}
