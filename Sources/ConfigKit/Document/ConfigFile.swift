import Glibc

/// Reading of small files (settings, secrets) with a limit and with a sentence for each way it can fail.
enum ConfigFile {
    struct Failure: Error, Hashable {
        let message: String
    }

    /// The bytes of the regular file at `path`.
    ///
    /// A directory, a pipe or a device is refused before anything is read: reading it could block forever.
    static func read(_ path: String, limitBytes: Int) throws(Failure) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw Failure(message: reason(errno))
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw Failure(message: reason(errno))
        }
        switch status.st_mode & S_IFMT {
        case S_IFREG: break
        case S_IFDIR: throw Failure(message: "is a directory, not a file")
        default: throw Failure(message: "is not a regular file")
        }
        let tooLarge = Failure(message: "is larger than the limit of \(ByteCount(limitBytes))")
        guard status.st_size <= limitBytes else { throw tooLarge }
        return try bytes(of: descriptor, expecting: Int(status.st_size), limitBytes: limitBytes, tooLarge: tooLarge)
    }

    private static func bytes(
        of descriptor: Int32,
        expecting size: Int,
        limitBytes: Int,
        tooLarge: Failure
    ) throws(Failure) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(size)
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                guard errno == EINTR else { throw Failure(message: reason(errno)) }
                continue
            }
            guard count > 0 else { return bytes }
            guard bytes.count + count <= limitBytes else { throw tooLarge }
            bytes += chunk[..<count]
        }
    }

    private static func reason(_ code: Int32) -> String {
        switch code {
        case ENOENT, ENOTDIR: "does not exist"
        case EACCES, EPERM: "may not be read by this process"
        case ELOOP: "is a chain of links that never ends"
        case ENAMETOOLONG: "has a name that is too long"
        default: "cannot be read: \(String(cString: strerror(code)))"
        }
    }
}
