import NIOCore

/// The one pass over a document: checks the grammar of RFC 8259 and writes a node per value and key.
///
/// No recursion: an open container's node keeps the number of the container around it until it is closed. The nodes go
/// to a buffer of fixed size; when it is full the pass stops before the next value, and goes on in a larger one.
struct JSONScanner {
    /// Nodes per byte to start with: one per 16 bytes holds any chat body in one allocation. Denser documents (token
    /// lists) double their way up.
    private static let bytesPerNode = 16

    /// The nodes of `bytes`.
    static func index(_ bytes: ByteBuffer, limits: JSONLimits) throws(JSONError) -> ContiguousArray<JSONNode> {
        guard bytes.readableBytes <= limits.maxBytes else { throw JSONError(.tooLarge, at: limits.maxBytes) }
        var failure: JSONError?
        let nodes = bytes.withUnsafeReadableBytes { pointer -> ContiguousArray<JSONNode> in
            guard let base = pointer.baseAddress else {
                failure = JSONError(.unexpectedEnd, at: 0)
                return []
            }
            var scanner = JSONScanner(base: base, end: pointer.count, limits: limits)
            return scanner.nodes(&failure)
        }
        if let failure { throw failure }
        return nodes
    }

    private let base: UnsafeRawPointer
    private let end: Int
    private let maxDepth: Int
    private let maxValues: Int
    /// The next byte to read.
    private var position = 0
    /// Nodes written so far.
    private var count = 0
    /// The innermost open container's node, or `none`.
    private var container = JSONScanner.none
    private var depth = 0
    /// Where the nodes go, and how many fit.
    private var nodes: UnsafeMutablePointer<JSONNode>
    private var capacity = 0

    private static let none = Int(UInt32.max)

    private init(base: UnsafeRawPointer, end: Int, limits: JSONLimits) {
        self.base = base
        self.end = end
        maxDepth = limits.maxDepth
        maxValues = limits.maxValues
        // Replaced before the first node is written: `capacity` is 0.
        nodes = UnsafeMutablePointer(bitPattern: MemoryLayout<JSONNode>.alignment).unsafelyUnwrapped
    }

    private mutating func nodes(_ failure: inout JSONError?) -> ContiguousArray<JSONNode> {
        var written = ContiguousArray<JSONNode>()
        var room = end / JSONScanner.bytesPerNode + 16
        while true {
            var isComplete = false
            let previous = written
            written = ContiguousArray(unsafeUninitializedCapacity: room) { buffer, initialised in
                // `room` is at least 16, so the buffer has an address.
                nodes = buffer.baseAddress.unsafelyUnwrapped
                capacity = buffer.count
                _ = buffer.initialize(from: previous)
                do throws(JSONError) {
                    isComplete = try scan()
                } catch {
                    failure = error
                }
                initialised = count
            }
            if isComplete || failure != nil { return written }
            guard capacity < maxValues else {
                failure = JSONError(.tooManyValues, at: position)
                return written
            }
            room = capacity * 2
        }
    }

    /// Reads on until the document ends (true) or the nodes are full (false).
    private mutating func scan() throws(JSONError) -> Bool {
        value: while true {
            // One turn writes at most two nodes: a value, and the key after or inside it.
            if count &+ 2 > capacity { return false }
            switch try nextByte() {
            case UInt8(ascii: "\""):
                try string()
            case UInt8(ascii: "{"):
                try open(.object)
                if try nextByte() == UInt8(ascii: "}") {
                    close()
                } else {
                    try key()
                    continue value
                }
            case UInt8(ascii: "["):
                try open(.array)
                if try nextByte() == UInt8(ascii: "]") {
                    close()
                } else {
                    continue value
                }
            case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                try number()
            case UInt8(ascii: "t"):
                try literal(.bool, JSONScanner.trueWord, length: 4)
            case UInt8(ascii: "f"):
                try literal(.bool, JSONScanner.alseWord, length: 5)
            case UInt8(ascii: "n"):
                try literal(.null, JSONScanner.nullWord, length: 4)
            default:
                throw JSONError(.unexpectedCharacter, at: position)
            }
            // After a value: a comma, or the ends of any number of containers.
            while container != JSONScanner.none {
                let byte = try nextByte()
                let isObject = nodes[container].kind == .object
                if byte == UInt8(ascii: ",") {
                    position &+= 1
                    if isObject {
                        _ = try nextByte()
                        try key()
                    }
                    continue value
                }
                guard byte == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else {
                    throw JSONError(.unexpectedCharacter, at: position)
                }
                close()
            }
            skipWhitespace()
            guard position == end else { throw JSONError(.trailingContent, at: position) }
            return true
        }
    }

    // MARK: Containers

    private mutating func open(_ kind: JSONValue.Kind) throws(JSONError) {
        guard depth < maxDepth else { throw JSONError(.tooDeep, at: position) }
        depth &+= 1
        (nodes + count).initialize(to: JSONNode(kind, start: position, end: position, next: container))
        container = count
        count &+= 1
        position &+= 1
    }

    private mutating func close() {
        depth &-= 1
        position &+= 1
        let parent = Int(nodes[container].next)
        nodes[container].end = UInt32(truncatingIfNeeded: position)
        nodes[container].next = UInt32(truncatingIfNeeded: count)
        container = parent
    }

    /// Reads a key, its colon, and nothing more. The next byte is known to exist.
    @inline(__always)
    private mutating func key() throws(JSONError) {
        guard byte(position) == UInt8(ascii: "\"") else { throw JSONError(.unexpectedCharacter, at: position) }
        try string()
        guard try nextByte() == UInt8(ascii: ":") else { throw JSONError(.unexpectedCharacter, at: position) }
        position &+= 1
    }

    // MARK: Scalars

    @inline(__always)
    private mutating func append(_ kind: JSONValue.Kind, end: Int, flag: Bool = false) {
        let node = JSONNode(kind, start: position, end: end, next: count &+ 1, flag: flag)
        (nodes + count).initialize(to: node)
        count &+= 1
        position = end
    }

    /// `true`, `alse` and `null` as little-endian words.
    private static let trueWord: UInt32 = 0x6575_7274
    private static let alseWord: UInt32 = 0x6573_6C61
    private static let nullWord: UInt32 = 0x6C6C_756E

    /// Reads a literal whose last four bytes are `word` and whose first byte is already known.
    private mutating func literal(_ kind: JSONValue.Kind, _ word: UInt32, length: Int) throws(JSONError) {
        let stop = position &+ length
        guard stop <= end else { throw JSONError(.invalidLiteral, at: position) }
        let read = UInt32(littleEndian: base.loadUnaligned(fromByteOffset: stop &- 4, as: UInt32.self))
        guard read == word else { throw JSONError(.invalidLiteral, at: position) }
        append(kind, end: stop)
    }

    private mutating func number() throws(JSONError) {
        var cursor = position
        var hasFraction = false
        if byte(cursor) == UInt8(ascii: "-") { cursor &+= 1 }
        if cursor < end, byte(cursor) == UInt8(ascii: "0") {
            cursor &+= 1
            if cursor < end, isDigit(cursor) { throw JSONError(.invalidNumber, at: cursor) }
        } else {
            try digits(&cursor)
        }
        if cursor < end, byte(cursor) == UInt8(ascii: ".") {
            hasFraction = true
            cursor &+= 1
            try digits(&cursor)
        }
        if cursor < end, byte(cursor) | 0x20 == UInt8(ascii: "e") {
            hasFraction = true
            cursor &+= 1
            if cursor < end, byte(cursor) == UInt8(ascii: "+") || byte(cursor) == UInt8(ascii: "-") { cursor &+= 1 }
            try digits(&cursor)
        }
        append(.number, end: cursor, flag: hasFraction)
    }

    /// One digit or more.
    @inline(__always)
    private func digits(_ cursor: inout Int) throws(JSONError) {
        guard cursor < end else { throw JSONError(.unexpectedEnd, at: cursor) }
        guard isDigit(cursor) else { throw JSONError(.invalidNumber, at: cursor) }
        repeat { cursor &+= 1 } while cursor < end && isDigit(cursor)
    }

    @inline(__always)
    private func isDigit(_ offset: Int) -> Bool { byte(offset) &- UInt8(ascii: "0") < 10 }

    // MARK: Strings

    /// Reads the string that starts at `position`, quotes included.
    @inline(__always)
    private mutating func string() throws(JSONError) {
        var cursor = position &+ 1
        var hasEscape = false
        while true {
            cursor = plainEnd(from: cursor)
            guard cursor < end else { throw JSONError(.unexpectedEnd, at: end) }
            let special = byte(cursor)
            if special == UInt8(ascii: "\"") { break }
            if special >= 0x80 {
                try multibyte(&cursor)
            } else if special == UInt8(ascii: "\\") {
                hasEscape = true
                try escape(&cursor)
            } else {
                throw JSONError(.controlCharacter, at: cursor)
            }
        }
        append(.string, end: cursor &+ 1, flag: hasEscape)
    }

    /// The first byte at or after `start` that is not plain: a quote, a backslash, a control or not ASCII.
    @inline(__always)
    private func plainEnd(from start: Int) -> Int {
        var cursor = start
        while cursor &+ 16 <= end {
            let low = specials(at: cursor)
            let high = specials(at: cursor &+ 8)
            if low | high == 0 {
                cursor &+= 16
                continue
            }
            return low != 0 ? cursor &+ low.trailingZeroBitCount >> 3 : cursor &+ 8 &+ high.trailingZeroBitCount >> 3
        }
        while cursor < end {
            let next = byte(cursor)
            if next < 0x20 || next >= 0x80 || next == 0x22 || next == 0x5C { break }
            cursor &+= 1
        }
        return cursor
    }

    /// Eight bytes at once: the lowest set bit is the top bit of the first byte that is not plain; 0 if all are.
    ///
    /// Subtracting sets a byte's top bit where it is too small (xor makes the byte looked for 0). A borrow can reach the
    /// byte above only from a byte that is itself a hit, so bits above the lowest one mean nothing.
    @inline(__always)
    private func specials(at offset: Int) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let word = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        let quote = (word ^ (ones &* 0x22)) &- ones
        let backslash = (word ^ (ones &* 0x5C)) &- ones
        let control = word &- (ones &* 0x20)
        return (quote | backslash | control | word) & (ones &* 0x80)
    }

    /// Reads the run of characters above U+007F at `cursor`, by the table of well-formed byte sequences in the Unicode
    /// Standard (table 3-7; RFC 3629 section 4): no overlong forms, no surrogates, nothing above U+10FFFF.
    @inline(never)
    private func multibyte(_ cursor: inout Int) throws(JSONError) {
        repeat {
            let start = cursor
            // Most text above ASCII has three bytes a character (CJK): E1…EC, EE, EF, then two continuation bytes.
            if start &+ 4 <= end {
                let word = UInt32(littleEndian: base.loadUnaligned(fromByteOffset: start, as: UInt32.self))
                if word & 0x00C0_C0F0 == 0x0080_80E0, word & 0x0F != 0x0, word & 0x0F != 0xD {
                    cursor = start &+ 3
                    continue
                }
            }
            let length: Int
            let second: ClosedRange<UInt8>
            switch byte(start) {
            case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
            case 0xE0: (length, second) = (3, 0xA0...0xBF)
            case 0xED: (length, second) = (3, 0x80...0x9F)
            case 0xE1...0xEF: (length, second) = (3, 0x80...0xBF)
            case 0xF0: (length, second) = (4, 0x90...0xBF)
            case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
            case 0xF4: (length, second) = (4, 0x80...0x8F)
            default: throw JSONError(.invalidUTF8, at: start)
            }
            guard start &+ length <= end else { throw JSONError(.invalidUTF8, at: start) }
            guard second.contains(byte(start &+ 1)) else { throw JSONError(.invalidUTF8, at: start) }
            for offset in 2..<max(length, 2) where byte(start &+ offset) & 0xC0 != 0x80 {
                throw JSONError(.invalidUTF8, at: start)
            }
            cursor = start &+ length
        } while cursor < end && byte(cursor) >= 0x80
    }

    /// Reads the escape at `cursor`. A surrogate must be one half of a pair of escapes, high half first.
    private func escape(_ cursor: inout Int) throws(JSONError) {
        let start = cursor
        guard start &+ 1 < end else { throw JSONError(.unexpectedEnd, at: end) }
        switch byte(start &+ 1) {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            cursor = start &+ 2
        case UInt8(ascii: "u"):
            let unit = try codeUnit(start)
            cursor = start &+ 6
            guard unit & 0xF800 == 0xD800 else { return }
            guard unit < 0xDC00, cursor &+ 1 < end, byte(cursor) == UInt8(ascii: "\\"),
                byte(cursor &+ 1) == UInt8(ascii: "u"), try codeUnit(cursor) & 0xFC00 == 0xDC00
            else { throw JSONError(.loneSurrogate, at: start) }
            cursor = start &+ 12
        default:
            throw JSONError(.invalidEscape, at: start)
        }
    }

    /// The UTF-16 code unit of the `\uXXXX` at `start`, whose first two bytes are known.
    private func codeUnit(_ start: Int) throws(JSONError) -> UInt16 {
        guard start &+ 6 <= end else { throw JSONError(.unexpectedEnd, at: end) }
        var unit: UInt16 = 0
        for offset in 2..<6 {
            guard let digit = hexDigitValue(byte(start &+ offset)) else { throw JSONError(.invalidEscape, at: start) }
            unit = unit << 4 | UInt16(digit)
        }
        return unit
    }

    // MARK: Bytes

    @inline(__always)
    private func byte(_ offset: Int) -> UInt8 { base.load(fromByteOffset: offset, as: UInt8.self) }

    /// The next byte that is not whitespace, left unread.
    @inline(__always)
    private mutating func nextByte() throws(JSONError) -> UInt8 {
        if position < end {
            let next = byte(position)
            if next > 0x20 { return next }
        }
        skipWhitespace()
        guard position < end else { throw JSONError(.unexpectedEnd, at: end) }
        return byte(position)
    }

    private mutating func skipWhitespace() {
        while position < end {
            // Indentation: eight spaces at a time.
            if position &+ 8 <= end,
                base.loadUnaligned(fromByteOffset: position, as: UInt64.self) == 0x2020_2020_2020_2020
            {
                position &+= 8
                continue
            }
            switch byte(position) {
            case 0x20, 0x0A, 0x0D, 0x09: position &+= 1
            default: return
            }
        }
    }
}

/// The value of a hexadecimal digit in either case.
@inline(__always)
func hexDigitValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte &- UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte &- UInt8(ascii: "a") &+ 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte &- UInt8(ascii: "A") &+ 10
    default: nil
    }
}
