import Glibc

/// What tells one version of a file from another without reading it.
package enum FileState: Hashable, Sendable {
    case missing
    case present(Fingerprint)

    package struct Fingerprint: Hashable, Sendable {
        /// Where all links lead: a ConfigMap's files move as a whole when its `..data` link is replaced.
        package let resolvedPath: String
        package let device: UInt64
        package let inode: UInt64
        package let sizeBytes: Int64
        package let modifiedNanoseconds: Int64
        /// Of the inode: also changes when a tool restores the time of modification (`cp -p`, `rsync -t`).
        package let changedNanoseconds: Int64

        package init(
            resolvedPath: String,
            device: UInt64,
            inode: UInt64,
            sizeBytes: Int64,
            modifiedNanoseconds: Int64,
            changedNanoseconds: Int64
        ) {
            self.resolvedPath = resolvedPath
            self.device = device
            self.inode = inode
            self.sizeBytes = sizeBytes
            self.modifiedNanoseconds = modifiedNanoseconds
            self.changedNanoseconds = changedNanoseconds
        }
    }
}

/// The contents of one watched file.
package struct WatchedFile: Hashable, Sendable {
    /// As it was given, links not resolved.
    package let path: String
    package let bytes: [UInt8]

    package init(path: String, bytes: [UInt8]) {
        self.path = path
        self.bytes = bytes
    }

    /// The file as a document, named by its path.
    package func document(environment: ProcessEnvironment = .process) -> ConfigDocument {
        ConfigDocument.parse(bytes, name: path, environment: environment)
    }
}

/// The file system as a watcher needs it; a test gives its own.
package protocol WatchedFileSystem: Sendable {
    func state(of path: String) -> FileState
    /// Nil when the file cannot be read.
    func contents(of path: String) -> [UInt8]?
}

/// The machine's own file system.
package struct SystemFiles: WatchedFileSystem {
    package init() {}

    package func state(of path: String) -> FileState {
        guard let resolved = realpath(path, nil) else { return .missing }
        defer { free(resolved) }
        var status = stat()
        guard stat(resolved, &status) == 0 else { return .missing }
        return .present(
            FileState.Fingerprint(
                resolvedPath: String(cString: resolved),
                device: UInt64(status.st_dev),
                inode: UInt64(status.st_ino),
                sizeBytes: Int64(status.st_size),
                modifiedNanoseconds: Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec),
                changedNanoseconds: Int64(status.st_ctim.tv_sec) * 1_000_000_000 + Int64(status.st_ctim.tv_nsec)
            )
        )
    }

    package func contents(of path: String) -> [UInt8]? {
        try? ConfigFile.read(path, limitBytes: ConfigDocument.limitBytes)
    }
}
