/// A text that normalizers change, and where in the original each of its bytes comes from.
///
/// Offsets count bytes of UTF-8 in the original. As long as nothing but ASCII was replaced by ASCII, the text is as long as
/// the original and `sources` is empty: byte i comes from the character around byte `base` + i.
struct AlignedText {
    /// Always valid UTF-8.
    var bytes: [UInt8]
    /// The character of the original that each byte comes from; empty while the bytes stand where they stood.
    var sources: [Source] = []
    /// Where in the original the text begins.
    let base: Int
    /// Whether something at its start is in no account, so that the whole text counts as coming from further left: see
    /// `CharacterMap`.
    var isShifted = false

    /// A part of the original.
    struct Source: Equatable {
        var start: UInt32
        var end: UInt32
    }

    init(_ bytes: [UInt8], base: Int) {
        self.bytes = bytes
        self.base = base
    }

    var count: Int { bytes.count }

    /// What the byte at `index` comes from.
    func source(at index: Int) -> Source {
        guard sources.isEmpty else { return sources[index] }
        var start = index
        while bytes[start] & 0xC0 == 0x80 { start -= 1 }
        return Source(
            start: UInt32(base + start),
            end: UInt32(base + start + UTF8Scalars.length(of: bytes[start]))
        )
    }

    /// What the bytes in `range`, which is not empty, come from.
    func original(of range: Range<Int>) -> Range<Int> {
        let start = Int(source(at: range.lowerBound).start)
        return start..<max(start, Int(source(at: range.upperBound - 1).end))
    }

    /// Replaces the text by what `body` writes while it walks over it.
    mutating func rewrite(_ body: (inout TextRewriter) -> Void) {
        var rewriter = TextRewriter(of: self)
        body(&rewriter)
        bytes = rewriter.output.bytes
        sources = rewriter.output.sources
    }
}

/// Writes a changed text beside the one it walks over, and keeps account of what comes from where.
///
/// The rules are the reference's: what replaces a character comes from where the character came from; what is inserted comes
/// from where the character before it in the old text came from, or, at the very start, from nothing there.
struct TextRewriter {
    private let text: AlignedText
    /// The part of `text` that is walked over.
    private var start: Int
    private(set) var end: Int
    /// Where in the original the part begins.
    private(set) var origin: Int
    /// The next byte to read.
    private(set) var position: Int
    fileprivate(set) var output: AlignedText

    /// Walks over a whole text.
    init(of text: AlignedText) {
        self.init(of: text, capacity: text.count + text.count / 4)
        move(to: 0..<text.count, origin: text.base)
    }

    /// Walks over the parts of `text` that `move` names.
    init(of text: AlignedText, capacity: Int) {
        self.text = text
        (start, end, position, origin) = (0, 0, 0, text.base)
        output = AlignedText([], base: text.base)
        output.bytes.reserveCapacity(capacity)
        output.sources.reserveCapacity(capacity)
    }

    /// Goes on with another part.
    mutating func move(to part: Range<Int>, origin: Int) {
        start = part.lowerBound
        end = part.upperBound
        position = start
        self.origin = origin
    }

    /// The next scalar; nil at the end of the part.
    @inline(__always)
    func peek() -> UInt32? {
        position < end ? UTF8Scalars.decode(text.bytes, at: position) : nil
    }

    /// The bytes of the next character.
    @inline(__always)
    var nextBytes: ArraySlice<UInt8> {
        text.bytes[position..<(position + UTF8Scalars.length(of: text.bytes[position]))]
    }

    /// How much has been written.
    var written: Int { output.count }

    /// Copies the next character.
    @inline(__always)
    mutating func keep() {
        let length = UTF8Scalars.length(of: text.bytes[position])
        let source = text.source(at: position)
        for index in position..<(position + length) {
            output.bytes.append(text.bytes[index])
            output.sources.append(source)
        }
        position += length
    }

    /// Copies all bytes before `index`.
    mutating func keep(upTo index: Int) {
        while position < index { keep() }
    }

    /// Writes `scalar` for the next character; at the end of the part, for nothing.
    @inline(__always)
    mutating func replace(by scalar: UInt32) {
        guard position < end else { return insert(scalar) }
        write(scalar, from: text.source(at: position))
        skip()
    }

    /// Writes `scalar` between the characters.
    @inline(__always)
    mutating func insert(_ scalar: UInt32) {
        let nothing = AlignedText.Source(start: UInt32(origin), end: UInt32(origin))
        write(scalar, from: position == start ? nothing : text.source(at: position - 1))
    }

    /// Leaves the next character out.
    @inline(__always)
    mutating func skip() {
        guard position < end else { return }
        position += UTF8Scalars.length(of: text.bytes[position])
    }

    @inline(__always)
    private mutating func write(_ scalar: UInt32, from source: AlignedText.Source) {
        let before = output.bytes.count
        UTF8Scalars.append(scalar, to: &output.bytes)
        for _ in before..<output.bytes.count { output.sources.append(source) }
    }
}
