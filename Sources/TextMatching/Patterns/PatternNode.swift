/// A parsed pattern. Groups leave no trace, since nobody asks what they matched.
struct PatternNode: Sendable {
    indirect enum Form: Sendable {
        /// Matches the empty text.
        case empty
        case scalar(UInt32)
        case scalars(ScalarSet)
        case assertion(Assertions)
        case sequence([PatternNode])
        /// The alternatives, the preferred one first.
        case choice([PatternNode])
        /// `offset` is where the pattern says how often.
        case repetition(PatternNode, minimum: Int, maximum: Int?, isLazy: Bool, offset: Int)
    }

    let form: Form
    /// Whether the empty text may match, if all assertions hold.
    let matchesEmpty: Bool
    /// Whether every match begins at the start of the text.
    let isAnchored: Bool
    /// The largest product of nested counts: how often the compiler writes some part of it down.
    let copies: Int
    let depth: Int

    private init(_ form: Form, matchesEmpty: Bool, isAnchored: Bool = false, copies: Int = 1, depth: Int = 1) {
        self.form = form
        self.matchesEmpty = matchesEmpty
        self.isAnchored = isAnchored
        self.copies = copies
        self.depth = depth
    }

    static let empty = PatternNode(.empty, matchesEmpty: true)

    static func scalar(_ scalar: UInt32) -> PatternNode { PatternNode(.scalar(scalar), matchesEmpty: false) }

    static func scalars(_ set: ScalarSet) -> PatternNode { PatternNode(.scalars(set), matchesEmpty: false) }

    static func assertion(_ assertion: Assertions) -> PatternNode {
        PatternNode(.assertion(assertion), matchesEmpty: true, isAnchored: assertion == .textStart)
    }

    static func sequence(_ parts: [PatternNode]) -> PatternNode {
        let parts = parts.filter { if case .empty = $0.form { false } else { true } }
        guard parts.count > 1 else { return parts.first ?? .empty }
        return PatternNode(
            .sequence(parts),
            matchesEmpty: parts.allSatisfy(\.matchesEmpty),
            isAnchored: parts[0].isAnchored,
            copies: parts.reduce(1) { max($0, $1.copies) },
            depth: parts.reduce(1) { max($0, $1.depth + 1) }
        )
    }

    static func choice(_ parts: [PatternNode]) -> PatternNode {
        guard parts.count > 1 else { return parts.first ?? .empty }
        return PatternNode(
            .choice(parts),
            matchesEmpty: parts.contains(where: \.matchesEmpty),
            isAnchored: parts.allSatisfy(\.isAnchored),
            copies: parts.reduce(1) { max($0, $1.copies) },
            depth: parts.reduce(1) { max($0, $1.depth + 1) }
        )
    }

    static func repetition(
        of part: PatternNode,
        minimum: Int,
        maximum: Int?,
        isLazy: Bool,
        offset: Int
    ) -> PatternNode {
        if case .empty = part.form { return .empty }
        if maximum == 0 { return .empty }
        return PatternNode(
            .repetition(part, minimum: minimum, maximum: maximum, isLazy: isLazy, offset: offset),
            matchesEmpty: minimum == 0 || part.matchesEmpty,
            isAnchored: minimum > 0 && part.isAnchored,
            copies: max(1, maximum ?? minimum) * part.copies,
            depth: part.depth + 1
        )
    }
}

/// What a place between two bytes must be like. As a set: all that is true of a place.
struct Assertions: OptionSet, Hashable, Sendable {
    let rawValue: UInt8

    /// `\A`, and `^` without the flag `m`.
    static let textStart = Assertions(rawValue: 1)
    /// `\z`, and `$` without the flag `m`.
    static let textEnd = Assertions(rawValue: 2)
    static let lineStart = Assertions(rawValue: 4)
    static let lineEnd = Assertions(rawValue: 8)
    static let wordBoundary = Assertions(rawValue: 16)
    static let noWordBoundary = Assertions(rawValue: 32)
    /// Not between the bytes of one scalar. No pattern says it; matches that may be empty begin with it.
    static let scalarBoundary = Assertions(rawValue: 64)

    init(rawValue: UInt8) { self.rawValue = rawValue }

    /// What is true of the place between two bytes.
    init(before: Surrounding, after: Surrounding) {
        var holding: Assertions = (before == .word) != (after == .word) ? .wordBoundary : .noWordBoundary
        if before == .edge { holding.formUnion([.textStart, .lineStart]) }
        if before == .newline { holding.insert(.lineStart) }
        if after == .edge { holding.formUnion([.textEnd, .lineEnd]) }
        if after == .newline { holding.insert(.lineEnd) }
        if after != .continuation { holding.insert(.scalarBoundary) }
        self = holding
    }
}

/// What assertions can tell apart about the byte on one side of a place.
enum Surrounding: UInt8, CaseIterable, Sendable {
    /// There is no byte: the text starts or ends.
    case edge
    case newline
    /// An ASCII letter, digit or underscore, as for `\w`.
    case word
    /// A byte of a multi-byte scalar behind its first.
    case continuation
    case other

    init(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\n"): self = .newline
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            self = .word
        case 0x80...0xBF: self = .continuation
        default: self = .other
        }
    }

    /// What is on the left of the place before byte `index` of `text`.
    init(before index: Int, in text: UnsafeRawBufferPointer) {
        self = index > 0 ? Surrounding(text[index - 1]) : .edge
    }

    /// What is on the right of it.
    init(at index: Int, in text: UnsafeRawBufferPointer) {
        self = index < text.count ? Surrounding(text[index]) : .edge
    }
}
