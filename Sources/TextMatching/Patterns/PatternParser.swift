/// Reads a pattern in Go's syntax (regexp/syntax/parse.go with the flags `syntax.Perl`, which `regexp.Compile` sets).
///
/// - Complexity: O(pattern + ranges of its classes), without recursion.
struct PatternParser {
    private struct Flags {
        var ignoresCase = false
        var isMultiLine = false
        var dotMatchesNewline = false
        var isLazyByDefault = false
    }

    /// A group whose end has not been read, or the whole pattern.
    private struct OpenGroup {
        /// Where its parenthesis stands.
        var offset: Int
        /// The flags to go back to at its end.
        var outerFlags: Flags
        var alternatives: [PatternNode] = []
        /// The parts of the alternative that is being read.
        var parts: [PatternNode] = []

        mutating func endAlternative() {
            alternatives.append(.sequence(parts))
            parts = []
        }

        mutating func close() -> PatternNode {
            endAlternative()
            return .choice(alternatives)
        }
    }

    let limits: PatternLimits
    private(set) var cursor: PatternCursor
    private var flags = Flags()
    /// The innermost group is last; the first is the whole pattern.
    private var groups: [OpenGroup]
    private var names: Set<String> = []
    /// The byte behind the repetition that was read last.
    private var lastRepetitionEnd = -1
    private var rangeCount = 0

    init(_ pattern: String, caseInsensitive: Bool, limits: PatternLimits) {
        self.limits = limits
        cursor = PatternCursor(pattern)
        flags.ignoresCase = caseInsensitive
        groups = [OpenGroup(offset: 0, outerFlags: flags)]
    }

    mutating func parse() throws(PatternError) -> PatternNode {
        guard cursor.bytes.count <= limits.patternBytes else {
            let message = "the pattern has \(cursor.bytes.count) bytes; the limit is \(limits.patternBytes)"
            throw PatternError(message, offset: limits.patternBytes)
        }
        while let byte = cursor.peek() { try parsePart(startingWith: byte) }
        guard groups.count == 1 else {
            let offset = groups[groups.count - 1].offset
            throw PatternError("the group is not closed; add `)`, or write `\\(` for a parenthesis", offset: offset)
        }
        return groups[0].close()
    }

    private mutating func parsePart(startingWith byte: UInt8) throws(PatternError) {
        switch byte {
        case UInt8(ascii: "("):
            try openGroup()
        case UInt8(ascii: "|"):
            cursor.skip(1)
            groups[groups.count - 1].endAlternative()
        case UInt8(ascii: ")"):
            try closeGroup()
        case UInt8(ascii: "^"):
            cursor.skip(1)
            append(.assertion(flags.isMultiLine ? .lineStart : .textStart))
        case UInt8(ascii: "$"):
            cursor.skip(1)
            append(.assertion(flags.isMultiLine ? .lineEnd : .textEnd))
        case UInt8(ascii: "."):
            cursor.skip(1)
            append(.scalars(flags.dotMatchesNewline ? .all : .allButNewline))
        case UInt8(ascii: "["):
            append(.scalars(try parseClass()))
        case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"):
            let offset = cursor.offset
            cursor.skip(1)
            let minimum = byte == UInt8(ascii: "+") ? 1 : 0
            try repeatLast(minimum: minimum, maximum: byte == UInt8(ascii: "?") ? 1 : nil, offset: offset)
        case UInt8(ascii: "{"):
            let offset = cursor.offset
            if let counts = cursor.takeCounts() {
                try repeatLast(minimum: counts.minimum, maximum: counts.maximum, offset: offset)
            } else {
                cursor.skip(1)
                appendLiteral(UInt32(byte))
            }
        case UInt8(ascii: "\\"):
            try parseEscape()
        default:
            // Only called while there is a byte.
            if let scalar = cursor.takeScalar() { appendLiteral(scalar) }
        }
    }

    private mutating func append(_ node: PatternNode) { groups[groups.count - 1].parts.append(node) }

    private mutating func appendLiteral(_ scalar: UInt32) {
        guard flags.ignoresCase, let orbit = CaseOrbits.orbit(of: scalar) else { return append(.scalar(scalar)) }
        append(.scalars(ScalarSet(orbit.map { ScalarSet.Range(low: $0, high: $0) })))
    }
}

// Repetitions
extension PatternParser {
    private mutating func repeatLast(minimum: Int, maximum: Int?, offset: Int) throws(PatternError) {
        let isLazy = cursor.take("?") != flags.isLazyByDefault
        let text = cursor.quote(from: offset)
        guard let part = groups[groups.count - 1].parts.popLast() else {
            throw PatternError(
                "there is nothing that `\(text)` could repeat; write `\\\(text)` for the text",
                offset: offset
            )
        }
        guard offset != lastRepetitionEnd else {
            let message = "`\(text)` repeats a repetition; put the first one in a group, as in `(?:a*)*`"
            throw PatternError(message, offset: offset)
        }
        let most = limits.repetitions
        guard minimum <= most, maximum ?? 0 <= most else {
            throw PatternError(
                "`\(text)` repeats more than \(most) times; write `*` or `+` for no limit",
                offset: offset
            )
        }
        guard minimum <= maximum ?? most else {
            throw PatternError("`\(text)` has its smaller count last; swap the counts", offset: offset)
        }
        let node = PatternNode.repetition(
            of: part,
            minimum: minimum,
            maximum: maximum,
            isLazy: isLazy,
            offset: offset
        )
        guard node.copies <= most else {
            let message = "`\(text)` and the counts inside it multiply to more than \(most); write `*` for one of them"
            throw PatternError(message, offset: offset)
        }
        // A flag group between them allows repetitions of repetitions without a group.
        guard node.depth <= 4 * limits.nesting else { throw tooDeep(at: offset) }
        append(node)
        lastRepetitionEnd = cursor.offset
    }

    private func tooDeep(at offset: Int) -> PatternError {
        PatternError("groups nest deeper than \(limits.nesting); take some apart", offset: offset)
    }
}

// Groups
extension PatternParser {
    private mutating func openGroup() throws(PatternError) {
        let offset = cursor.offset
        cursor.skip(1)
        var inner = flags
        if cursor.take("?") {
            let isLookBehind = cursor.hasPrefix("<=") || cursor.hasPrefix("<!")
            if !isLookBehind, cursor.take("P<") || cursor.take("<") {
                try parseName(groupOffset: offset)
            } else if try parseFlags(into: &inner, groupOffset: offset) {
                // `(?i)` goes on until the end of the group around it.
                flags = inner
                return
            }
        }
        guard groups.count <= limits.nesting else { throw tooDeep(at: offset) }
        groups.append(OpenGroup(offset: offset, outerFlags: flags))
        flags = inner
    }

    private mutating func closeGroup() throws(PatternError) {
        guard groups.count > 1, var group = groups.popLast() else {
            throw PatternError("`)` closes no group; write `\\)` for a parenthesis", offset: cursor.offset)
        }
        cursor.skip(1)
        flags = group.outerFlags
        append(group.close())
    }

    /// Reads what follows `(?P<`, with the `>`.
    private mutating func parseName(groupOffset: Int) throws(PatternError) {
        let start = cursor.offset
        while let byte = cursor.peek(), Surrounding(byte) == .word { cursor.skip(1) }
        let name = cursor.text(from: start)
        guard !name.isEmpty, cursor.take(">") else {
            throw PatternError(
                "a group's name is made of letters, digits and `_`, as in `(?P<name>…)`",
                offset: groupOffset
            )
        }
        guard names.insert(name).inserted else {
            throw PatternError(
                "two groups have the name `\(name.prefix(40))`; names are not needed here",
                offset: groupOffset
            )
        }
    }

    /// Reads what follows `(?`, with the `:` or `)`. Returns whether it was the latter.
    private mutating func parseFlags(into flags: inout Flags, groupOffset: Int) throws(PatternError) -> Bool {
        var value = true
        var needsFlag = false
        while let byte = cursor.peek() {
            switch byte {
            case UInt8(ascii: "i"): flags.ignoresCase = value
            case UInt8(ascii: "m"): flags.isMultiLine = value
            case UInt8(ascii: "s"): flags.dotMatchesNewline = value
            case UInt8(ascii: "U"): flags.isLazyByDefault = value
            case UInt8(ascii: "-") where value:
                value = false
                needsFlag = true
                cursor.skip(1)
                continue
            case UInt8(ascii: ":") where !needsFlag, UInt8(ascii: ")") where !needsFlag:
                cursor.skip(1)
                return byte == UInt8(ascii: ")")
            default:
                throw unknownGroup(at: groupOffset)
            }
            needsFlag = false
            cursor.skip(1)
        }
        throw PatternError("the group is not closed; add `)`", offset: groupOffset)
    }

    private func unknownGroup(at offset: Int) -> PatternError {
        let kind = cursor.text(from: offset, to: offset + 4)
        if kind.hasPrefix("(?=") || kind.hasPrefix("(?!") || kind.hasPrefix("(?<") {
            let message =
                "look-arounds such as `\(kind.prefix(kind.hasPrefix("(?<") ? 4 : 3))` cannot be matched in "
                + "linear time; match the surrounding text too, or write `\\b`, `^` or `$`"
            return PatternError(message, offset: offset)
        }
        if kind.hasPrefix("(?>") {
            return PatternError("atomic groups are not supported, nor needed for speed; write `(?:`", offset: offset)
        }
        if kind.hasPrefix("(?#") {
            return PatternError("comments are not supported; leave `(?#…)` out", offset: offset)
        }
        if kind.hasPrefix("(?P=") {
            return PatternError("back-references cannot be matched in linear time; write the text out", offset: offset)
        }
        if kind.hasPrefix("(?P>") || kind.hasPrefix("(?R") || kind.hasPrefix("(?&") {
            return PatternError("recursion is not supported; write the nesting out", offset: offset)
        }
        let message = "`\(kind)` begins no known group; there are `(?:…)`, `(?P<name>…)` and the flags i, m, s and U"
        return PatternError(message, offset: offset)
    }
}

// Escapes
extension PatternParser {
    private mutating func parseEscape() throws(PatternError) {
        switch cursor.peek(1) {
        case UInt8(ascii: "A"):
            cursor.skip(2)
            append(.assertion(.textStart))
        case UInt8(ascii: "z"):
            cursor.skip(2)
            append(.assertion(.textEnd))
        case UInt8(ascii: "b"):
            cursor.skip(2)
            append(.assertion(.wordBoundary))
        case UInt8(ascii: "B"):
            cursor.skip(2)
            append(.assertion(.noWordBoundary))
        case UInt8(ascii: "Q"):
            cursor.skip(2)
            while cursor.peek() != nil, !cursor.take("\\E") {
                if let scalar = cursor.takeScalar() { appendLiteral(scalar) }
            }
        default:
            if let ranges = try parseClassEscape() {
                append(.scalars(ScalarSet(ranges)))
            } else {
                appendLiteral(try cursor.takeEscapedScalar())
            }
        }
    }

    /// Reads `\d`, `\p{Greek}` and the like, if the cursor is at one.
    private mutating func parseClassEscape() throws(PatternError) -> [ScalarSet.Range]? {
        let offset = cursor.offset
        guard cursor.peek() == UInt8(ascii: "\\"), let name = cursor.peek(1) else { return nil }
        if let set = ScalarSet.perl(name | 0x20), Surrounding(name) == .word {
            cursor.skip(2)
            return try members(of: set, isNegated: name & 0x20 == 0, offset: offset)
        }
        guard name == UInt8(ascii: "p") || name == UInt8(ascii: "P") else { return nil }
        cursor.skip(2)
        var isNegated = name == UInt8(ascii: "P")
        var property = ""
        if cursor.take("{") {
            if cursor.take("^") { isNegated.toggle() }
            let start = cursor.offset
            while let byte = cursor.peek(), byte != UInt8(ascii: "}") { cursor.skip(1) }
            property = cursor.text(from: start)
            guard cursor.take("}") else { throw PatternError("`}` is missing behind `\\p{`", offset: offset) }
        } else if let scalar = cursor.takeScalar().flatMap(Unicode.Scalar.init) {
            property = String(Character(scalar))
        }
        guard let set = ScalarSet.property(property) else {
            let scripts = UnicodeScripts.ranges.keys.sorted().joined(separator: ", ")
            let message =
                "`\(cursor.quote(from: offset))` is not known; there are `Any`, general categories such as L, Lu "
                + "and Nd, and the scripts \(scripts)"
            throw PatternError(message, offset: offset)
        }
        return try members(of: set, isNegated: isNegated, offset: offset)
    }

    /// The ranges of a named class under the flags. Like Go, ignores case before it negates: `(?i)\W` has no ſ.
    private mutating func members(
        of set: ScalarSet,
        isNegated: Bool,
        offset: Int
    ) throws(PatternError) -> [ScalarSet.Range] {
        var set = set
        if flags.ignoresCase { set = ScalarSet(CaseOrbits.fold(set.ranges)) }
        if isNegated { set = set.inverted }
        try count(set.ranges.count, offset: offset)
        return set.ranges
    }

    private mutating func count(_ ranges: Int, offset: Int) throws(PatternError) {
        rangeCount += ranges
        guard rangeCount <= limits.ranges else {
            throw PatternError("the classes have more than \(limits.ranges) ranges; use fewer of them", offset: offset)
        }
    }
}

// Classes in brackets
extension PatternParser {
    private mutating func parseClass() throws(PatternError) -> ScalarSet {
        let offset = cursor.offset
        cursor.skip(1)
        let isNegated = cursor.take("^")
        var ranges: [ScalarSet.Range] = []
        var isFirst = true
        // A `]` in the first place is a member.
        while isFirst || cursor.peek() != UInt8(ascii: "]") {
            isFirst = false
            guard cursor.peek() != nil else {
                throw PatternError("the class is not closed; add `]`, or write `\\[` for a bracket", offset: offset)
            }
            if let named = try parseNamedClass() {
                ranges += named
            } else if let escaped = try parseClassEscape() {
                ranges += escaped
            } else {
                ranges += try parseClassRange(classOffset: offset)
            }
        }
        cursor.skip(1)
        let set = ScalarSet(ranges)
        return isNegated ? set.inverted : set
    }

    /// Reads `[:alpha:]` or `[:^alpha:]`, if the cursor is at one.
    private mutating func parseNamedClass() throws(PatternError) -> [ScalarSet.Range]? {
        let offset = cursor.offset
        guard cursor.hasPrefix("[:"), let end = cursor.nameEnd(from: offset + 2) else { return nil }
        cursor.skip(2)
        let isNegated = cursor.take("^")
        let name = cursor.text(from: cursor.offset, to: end)
        guard let set = ScalarSet.posix(name) else {
            let message =
                "`\(cursor.quote(from: offset, to: end + 2))` is not known; there are alnum, alpha, ascii, blank, "
                + "cntrl, digit, graph, lower, print, punct, space, upper, word and xdigit"
            throw PatternError(message, offset: offset)
        }
        cursor.skip(end + 2 - cursor.offset)
        return try members(of: set, isNegated: isNegated, offset: offset)
    }

    private mutating func parseClassRange(classOffset: Int) throws(PatternError) -> [ScalarSet.Range] {
        let offset = cursor.offset
        let low = try parseClassScalar(classOffset: classOffset)
        var high = low
        // In `[a-]` the hyphen is a member.
        if cursor.peek() == UInt8(ascii: "-"), let next = cursor.peek(1), next != UInt8(ascii: "]") {
            cursor.skip(1)
            high = try parseClassScalar(classOffset: classOffset)
        }
        guard low <= high else {
            let message =
                "the range `\(cursor.quote(from: offset))` ends before it begins; swap its ends, or write `\\-` "
                + "for a hyphen"
            throw PatternError(message, offset: offset)
        }
        var ranges = [ScalarSet.Range(low: low, high: high)]
        if flags.ignoresCase { ranges = ScalarSet(CaseOrbits.fold(ranges)).ranges }
        try count(ranges.count, offset: offset)
        return ranges
    }

    private mutating func parseClassScalar(classOffset: Int) throws(PatternError) -> UInt32 {
        if cursor.peek() == UInt8(ascii: "\\") { return try cursor.takeEscapedScalar() }
        guard let scalar = cursor.takeScalar() else {
            throw PatternError("the class is not closed; add `]`, or write `\\[` for a bracket", offset: classOffset)
        }
        return scalar
    }
}
