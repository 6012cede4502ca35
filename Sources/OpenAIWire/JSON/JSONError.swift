/// Why bytes are not a JSON document we accept, and where.
///
/// Never quotes the document: the description may be logged and sent to the client.
package struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Reason: String, Sendable, CaseIterable {
        /// The document stops inside a value, or holds none.
        case unexpectedEnd = "unexpected end"
        /// A byte that the grammar does not allow there.
        case unexpectedCharacter = "unexpected character"
        /// Something other than whitespace follows the value.
        case trailingContent = "content after the document's end"
        /// A word that is neither `true`, `false` nor `null`.
        case invalidLiteral = "invalid literal"
        /// A number that RFC 8259 section 6 does not allow, such as `01` or `1.`.
        case invalidNumber = "invalid number"
        /// An escape that RFC 8259 section 7 does not list.
        case invalidEscape = "invalid escape"
        /// Half of a UTF-16 surrogate pair, which stands for no character.
        case loneSurrogate = "lone surrogate escape"
        /// A byte below 0x20 inside a string.
        case controlCharacter = "unescaped control character"
        /// Bytes inside a string that are no UTF-8 (RFC 3629).
        case invalidUTF8 = "invalid UTF-8"
        /// More nested containers than `JSONLimits.maxDepth`.
        case tooDeep = "nesting too deep"
        /// More bytes than `JSONLimits.maxBytes`.
        case tooLarge = "document too large"
        /// More values and keys than `JSONLimits.maxValues`.
        case tooManyValues = "too many values"
    }

    package let reason: Reason
    /// The offending byte, counted from the first byte of the document.
    package let offset: Int

    package init(_ reason: Reason, at offset: Int) {
        self.reason = reason
        self.offset = offset
    }

    /// Such as `unexpected character at byte 17`.
    package var description: String { "\(reason.rawValue) at byte \(offset)" }
}

/// What a document may cost before it is refused.
package struct JSONLimits: Hashable, Sendable {
    /// 1 GiB: offsets and node numbers are 32 bits wide, and every node spans at least one byte.
    package static let largestDocument = 1 << 30

    /// Containers inside containers. A scalar has depth 0, `[]` has depth 1.
    package var maxDepth: Int
    /// Bytes of the whole document; at most `largestDocument`.
    package var maxBytes: Int

    /// Values and keys; checked when the index grows, so that a few more may pass. The index takes 16 bytes for each, and
    /// `[0,0,0,…]` would make it eight times the document.
    package var maxValues: Int

    package init(
        maxDepth: Int = 512,
        maxBytes: Int = JSONLimits.largestDocument,
        maxValues: Int = JSONLimits.standardValues
    ) {
        precondition(maxDepth >= 0, "maxDepth must not be negative")
        precondition((0...JSONLimits.largestDocument).contains(maxBytes), "maxBytes must lie in 0...largestDocument")
        self.maxDepth = maxDepth
        self.maxBytes = maxBytes
        self.maxValues = maxValues
    }

    /// 8 Mi: 128 MiB of index, and more tokens than any batch of prompts that a worker takes.
    package static let standardValues = 8 << 20

    /// Depth 512, which is also the limit of Foundation's `JSONSerialization`; no limit on size but our own.
    package static let standard = JSONLimits()
}
