import ConfigKit
import Glibc
import Synchronization

/// A folder that is removed with the last reference to it.
final class TemporaryFolder: Sendable {
    let path: String

    struct Failure: Error {
        let code: Int32
    }

    init() throws {
        var template = Array("/tmp/configkit-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw Failure(code: errno) }
        path = String(cString: made)
    }

    deinit {
        remove(path)
    }

    func write(_ name: String, _ text: String) throws {
        let file = open(path + "/" + name, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        guard file >= 0 else { throw Failure(code: errno) }
        defer { close(file) }
        let bytes = Array(text.utf8)
        guard Glibc.write(file, bytes, bytes.count) == bytes.count else { throw Failure(code: errno) }
    }

    func makeFolder(_ name: String) throws {
        guard mkdir(path + "/" + name, 0o700) == 0 else { throw Failure(code: errno) }
    }

    func link(_ name: String, to target: String) throws {
        guard symlink(target, path + "/" + name) == 0 else { throw Failure(code: errno) }
    }

    func rename(_ name: String, to other: String) throws {
        guard Glibc.rename(path + "/" + name, path + "/" + other) == 0 else { throw Failure(code: errno) }
    }

    func removeFile(_ name: String) throws {
        guard unlink(path + "/" + name) == 0 else { throw Failure(code: errno) }
    }

    private func remove(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        if status.st_mode & S_IFMT == S_IFDIR, let folder = opendir(path) {
            while let entry = readdir(folder) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if name != ".", name != ".." { remove(path + "/" + name) }
            }
            closedir(folder)
        }
        Glibc.remove(path)
    }
}
