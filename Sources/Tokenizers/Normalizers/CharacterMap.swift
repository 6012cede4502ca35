/// SentencePiece's precompiled character map: a double-array trie (Darts-clone) from UTF-8 to places in a text of
/// replacements, each ended by a zero byte.
///
/// The map is applied as the reference applies it, which is not as SentencePiece does: to each grapheme cluster of less than
/// six bytes as a whole, and then the shortest key that begins the cluster replaces all of it; otherwise scalar by scalar.
struct CharacterMap: Sendable {
    private let units: [UInt32]
    private let replacements: [UInt8]
    /// What each byte of ASCII that stands alone becomes; nil when it stays.
    private let ascii: [[UInt32]?]

    /// Longer clusters are taken apart.
    private static let longestCluster = 5

    /// - Throws: what is wrong with the map.
    init(_ map: [UInt8]) throws(Broken) {
        func word(_ index: Int) -> UInt32 {
            (0..<4).reduce(0) { $0 | UInt32(map[index * 4 + $1]) << UInt32($1 * 8) }
        }
        guard map.count >= 4 else { throw Broken(problem: "is too short") }
        let size = Int(word(0))
        guard size >= 4, size <= map.count - 4 else { throw Broken(problem: "is shorter than it says") }
        let units = (1...(size / 4)).map { word($0) }
        let replacements = Array(map[(4 + size / 4 * 4)...])
        guard String(validating: replacements, as: UTF8.self) != nil else {
            throw Broken(problem: "has replacements that are no UTF-8")
        }
        var ascii: [[UInt32]?] = []
        for byte in UInt8(0)..<128 {
            let place = Self.find([byte], 0..<1, in: units)
            ascii.append(place.map { Self.replacement(at: $0, in: replacements) })
        }
        (self.ascii, self.units, self.replacements) = (ascii, units, replacements)
        // Every place that a key may lead to must begin a character.
        for unit in units where unit >> 31 == 1 {
            let place = Int(unit & 0x7FFF_FFFF)
            guard place <= replacements.count, place == replacements.count || replacements[place] & 0xC0 != 0x80 else {
                throw Broken(problem: "leads to no replacement")
            }
        }
    }

    struct Broken: Error {
        let problem: String
    }

    /// Where the replacement stands of the shortest key that begins the text in `range`.
    private static func find(_ bytes: [UInt8], _ range: Range<Int>, in units: [UInt32]) -> Int? {
        func offset(_ unit: UInt32) -> Int { Int((unit >> 10) << ((unit & 1 << 9) >> 6)) }
        var node = offset(units[0])
        for byte in bytes[range] {
            // A zero byte ends keys.
            guard byte != 0 else { return nil }
            node ^= Int(byte)
            guard node < units.count, units[node] & (1 << 31 | 0xFF) == UInt32(byte) else { return nil }
            let unit = units[node]
            node ^= offset(unit)
            if unit >> 8 & 1 == 1 {
                return node < units.count ? Int(units[node] & 0x7FFF_FFFF) : nil
            }
        }
        return nil
    }

    private static func replacement(at place: Int, in replacements: [UInt8]) -> [UInt32] {
        guard place < replacements.count else { return [] }
        let end = replacements[place...].firstIndex(of: 0) ?? replacements.count
        return String(decoding: replacements[place..<end], as: UTF8.self).unicodeScalars.map(\.value)
    }

    /// - Complexity: O(bytes), and what finding the clusters takes.
    func apply(to text: inout AlignedText) {
        let bytes = text.bytes
        if !bytes.contains(where: { $0 >= 0x80 || $0 == 13 || ascii[Int($0)] != nil }) { return }
        var isShifted = false
        text.rewrite { rewriter in
            var changes = Changes()
            var clusters = GraphemeClusters(bytes)
            var start = 0
            while start < bytes.count {
                let end = clusters.end(from: start)
                if end - start == 1, bytes[start] < 0x80 {
                    changes.add(ascii[Int(bytes[start])] ?? [UInt32(bytes[start])], for: 1, to: &rewriter)
                } else if end - start <= Self.longestCluster, let place = Self.find(bytes, start..<end, in: units) {
                    let count = bytes[start..<end].count { $0 & 0xC0 != 0x80 }
                    changes.add(Self.replacement(at: place, in: replacements), for: count, to: &rewriter)
                } else {
                    addScalars(bytes, start..<end, to: &changes, &rewriter)
                }
                start = end
            }
            changes.flush(to: &rewriter)
            isShifted = rewriter.position < bytes.count
        }
        if isShifted { text.isShifted = true }
    }

    /// Whether the characters of ASCII that can be seen, and the space, stay when they stand alone.
    var keepsPrintable: Bool { (UInt32(0x20)...0x7E).allSatisfy { ascii[Int($0)] == nil || ascii[Int($0)] == [$0] } }

    private func addScalars(
        _ bytes: [UInt8],
        _ range: Range<Int>,
        to changes: inout Changes,
        _ rewriter: inout TextRewriter
    ) {
        var start = range.lowerBound
        while start < range.upperBound {
            let end = start + UTF8Scalars.length(of: bytes[start])
            if let place = Self.find(bytes, start..<end, in: units) {
                changes.add(Self.replacement(at: place, in: replacements), for: 1, to: &rewriter)
            } else {
                changes.add(UTF8Scalars.decode(bytes, at: start), 0, to: &rewriter)
            }
            start = end
        }
    }

    /// The reference's account of what comes from where: a new scalar is put in the place of an old one (0) or between
    /// them (1), and the last one also takes in those that are replaced by nothing.
    ///
    /// What is replaced by nothing before anything else is in no account: all that follows then counts as coming from so
    /// many characters earlier.
    private struct Changes {
        private var last: (scalar: UInt32, change: Int)?

        /// Writes `scalars` for the next `count` characters.
        mutating func add(_ scalars: [UInt32], for count: Int, to rewriter: inout TextRewriter) {
            for (position, scalar) in scalars.enumerated() { add(scalar, position < count ? 0 : 1, to: &rewriter) }
            last?.change -= max(0, count - scalars.count)
        }

        @inline(__always)
        mutating func add(_ scalar: UInt32, _ change: Int, to rewriter: inout TextRewriter) {
            flush(to: &rewriter)
            last = (scalar, change)
        }

        @inline(__always)
        mutating func flush(to rewriter: inout TextRewriter) {
            guard let (scalar, change) = last else { return }
            if change > 0 {
                rewriter.insert(scalar)
            } else {
                rewriter.replace(by: scalar)
                for _ in 0..<(-change) { rewriter.skip() }
            }
            last = nil
        }
    }
}

/// Finds the extended grapheme clusters of a text (UAX #29) from left to right.
private struct GraphemeClusters {
    private let bytes: [UInt8]
    /// The text, made when the first cluster is asked for that is not one byte of ASCII by itself.
    private var text: String?
    /// A place at or before the one asked for, and the byte there. Going on from a known boundary looks back at nothing.
    private var index: String.Index
    private var position = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        index = "".startIndex
    }

    /// Where the cluster ends that begins at `start`; to be asked for in order, without leaving any out.
    mutating func end(from start: Int) -> Int {
        let byte = bytes[start]
        let next = start + 1
        // A character of ASCII stands alone before another one; all but a line feed after a carriage return.
        if byte < 0x80, next == bytes.count || bytes[next] < 0x80, byte != 13 { return next }
        if text == nil {
            let made = String(decoding: bytes, as: UTF8.self)
            index = made.startIndex
            text = made
        }
        guard let text else { return next }
        while position <= start {
            index = text.index(after: index)
            position = text.utf8.distance(from: text.startIndex, to: index)
        }
        return position
    }
}
