/// Why a pattern cannot be used: what is wrong, where, and what to write instead.
package struct PatternError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One sentence that quotes the part of the pattern it speaks of.
    package let message: String
    /// Where that part begins, in UTF-8 bytes from the pattern's start.
    package let offset: Int

    package init(_ message: String, offset: Int) {
        self.message = message
        self.offset = offset
    }

    package var description: String { "at byte \(offset) of the pattern: \(message)" }
}
