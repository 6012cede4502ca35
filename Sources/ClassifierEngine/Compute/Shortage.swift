import Glibc

/// Tells a machine that is short of something from a model that is broken.
enum Shortage {
    /// What loaders say then: the system's errors in strerror(3)'s words, and a C++ library's failed allocations.
    private static let words: [String] =
        [EMFILE, ENFILE, ENOMEM, EAGAIN, EIO, ENOSPC].map { String(cString: strerror($0)) } + [
            "bad_alloc", "allocate memory", "out of memory",
        ]

    static func isTold(by message: String) -> Bool { words.contains { message.contains($0) } }
}
