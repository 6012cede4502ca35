package import ConfigKit
import Glibc

/// How a folder of model files looks: every file's name with what tells its versions apart.
package struct FolderState: Hashable, Sendable {
    /// By the path within the folder.
    package let files: [String: FileState.Fingerprint]

    package init(files: [String: FileState.Fingerprint]) {
        self.files = files
    }

    /// Looks at a folder, links followed; nil when it is not there or holds no file.
    ///
    /// Names that begin with a dot are left out: tools copy to such names first, and a ConfigMap's data lie behind links.
    /// - Complexity: a few system calls for each file.
    package static func of(_ folder: String, depth: Int = 4) -> FolderState? {
        var files: [String: FileState.Fingerprint] = [:]
        collect(folder, prefix: "", depth: depth, &files)
        return files.isEmpty ? nil : FolderState(files: files)
    }

    /// - Parameter depth: how many folders deep; bounds what links that lead back would cost.
    private static func collect(
        _ folder: String,
        prefix: String,
        depth: Int,
        _ files: inout [String: FileState.Fingerprint]
    ) {
        guard depth > 0, let directory = opendir(folder) else { return }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                // `d_name` ends in a zero (readdir(3)).
                pointer.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: pointer.pointee)) {
                    String(cString: $0)
                }
            }
            guard !name.hasPrefix(".") else { continue }
            let path = folder + "/" + name
            guard case .present(let fingerprint) = SystemFiles().state(of: path) else { continue }
            var status = stat()
            guard stat(path, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                collect(path, prefix: prefix + name + "/", depth: depth - 1, &files)
            } else {
                files[prefix + name] = fingerprint
            }
        }
    }
}

/// Decides when a folder has changed for good. Pure: it is told what each look showed.
///
/// A change counts when two looks in a row show the same: model files take seconds to copy, and change with every look
/// until they are complete. A folder that is gone, or holds nothing, is being replaced: the last state holds.
package struct FolderWatch: Sendable {
    /// What became of a changed folder.
    package enum Outcome: Hashable, Sendable {
        /// It is in force, or will not do as it is: nothing is to be done until it changes again.
        case settled
        /// It could not be loaded now, but may later: it is tried again, at longer and longer intervals.
        case again
        /// Nobody is interested any more.
        case done
    }

    /// 64 looks, about two minutes: a machine that has been short of memory for so long stays so for a while.
    private static let longestPause = 64

    /// What the program works with, or knows that it cannot work with.
    private var settled: FolderState?
    private var last: FolderState?
    /// How often the last state has been tried in vain, and the looks until it is tried again.
    private var attempts = 0
    private var pause = 0

    package init(inForce: FolderState?) {
        settled = inForce
    }

    /// - Returns: the state to load, if it is there to stay; its outcome must be told next.
    package mutating func saw(_ state: FolderState?) -> FolderState? {
        defer { last = state }
        guard let state, state != settled else { return nil }
        guard state == last else {
            attempts = 0
            pause = 0
            return nil
        }
        guard pause == 0 else {
            pause -= 1
            return nil
        }
        return state
    }

    /// - Parameter state: the one that `saw` has returned.
    package mutating func ended(_ state: FolderState, _ outcome: Outcome) {
        guard outcome == .again else {
            settled = state
            return
        }
        attempts += 1
        pause = min(1 << min(attempts, 30), Self.longestPause) - 1
    }
}

/// Watches a model's folder by looking at it now and then.
///
/// Beside `ConfigWatcher`, whose fingerprints it uses: that one reads the files that it watches, at most 16 MiB of each,
/// and compares their contents, which for model files would be hundreds of megabytes at every touch; and its files are
/// known by name, where a model's are whatever the folder holds.
package struct FolderWatcher<C: Clock>: Sendable where C.Duration == Duration {
    private let folder: String
    private let inForce: FolderState?
    private let period: Duration
    private let clock: C
    private let look: @Sendable (String) -> FolderState?

    /// - Parameters:
    ///   - inForce: how the folder looked when its model was loaded; taken before loading.
    ///   - period: the time between two looks. 2 s: a change counts within 4 s, and loading takes about as long.
    ///   - look: a test gives its own.
    package init(
        _ folder: String,
        inForce: FolderState?,
        period: Duration = .seconds(2),
        clock: C = ContinuousClock(),
        look: @escaping @Sendable (String) -> FolderState? = { FolderState.of($0) }
    ) {
        self.folder = folder
        self.inForce = inForce
        self.period = period
        self.clock = clock
        self.look = look
    }

    /// Watches until the task is cancelled, or nobody is interested any more. `changed` comes one at a time: the folder is
    /// not looked at while it runs.
    package func run(_ changed: @Sendable (FolderState) async -> FolderWatch.Outcome) async {
        var watch = FolderWatch(inForce: inForce)
        while !Task.isCancelled {
            if let state = watch.saw(look(folder)) {
                let outcome = await changed(state)
                if outcome == .done { return }
                watch.ended(state, outcome)
            }
            do {
                try await clock.sleep(until: clock.now.advanced(by: period), tolerance: nil)
            } catch {
                // Sleeping throws only when the task is cancelled.
                return
            }
        }
    }
}
