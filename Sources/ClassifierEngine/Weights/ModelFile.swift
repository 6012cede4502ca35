#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// A file that is read at places, into memory of the reader's: one that another process cuts short meanwhile is an error,
/// where a mapping would end this process.
final class ModelFile: Sendable {
    let path: String
    /// Bytes, when it was opened.
    let size: Int
    private let descriptor: Int32

    init(path: String) throws(EngineError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw EngineError(.unreadable, path, String(cString: strerror(errno))) }
        var status = stat()
        let problem: EngineError? =
            if fstat(descriptor, &status) != 0 {
                EngineError(.unreadable, path, String(cString: strerror(errno)))
            } else if status.st_mode & S_IFMT != S_IFREG {
                EngineError(.unreadable, path, "not a file")
            } else if status.st_size == 0 {
                EngineError(.malformed, path, "the file is empty")
            } else {
                nil
            }
        if let problem {
            close(descriptor)
            throw problem
        }
        self.path = path
        self.descriptor = descriptor
        size = Int(status.st_size)
    }

    deinit { close(descriptor) }

    /// The numbers that begin at a byte of the file, in its order of bytes: little-endian, as every platform's that Swift
    /// runs on.
    func read<Element: BitwiseCopyable>(_ count: Int, of type: Element.Type, at offset: Int) throws(EngineError)
        -> [Element]
    {
        var problem: EngineError?
        let elements = [Element](unsafeUninitializedCapacity: count) { elements, filled in
            do throws(EngineError) {
                let bytes = UnsafeMutableRawBufferPointer(
                    start: elements.baseAddress,
                    count: count * MemoryLayout<Element>.stride
                )
                try read(into: bytes, at: offset)
                filled = count
            } catch {
                problem = error
            }
        }
        if let problem { throw problem }
        return elements
    }

    /// Fills the buffer from a byte of the file on.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(EngineError) {
        var filled = 0
        while filled < buffer.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
            let count = pread(descriptor, rest.baseAddress, rest.count, off_t(offset + filled))
            if count < 0 {
                if errno == EINTR { continue }
                throw EngineError(.unreadable, path, String(cString: strerror(errno)))
            }
            guard count > 0 else { throw EngineError(.malformed, path, "cut short while it was read") }
            filled += count
        }
    }
}

/// Whether a file is there and may be read.
func isReadable(_ path: String) -> Bool { access(path, R_OK) == 0 }
