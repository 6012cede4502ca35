/// Remembers which words of one text have been looked at, for searches that a repeated word tells nothing new.
///
/// One place per hash: a word that shares its place with another may be forgotten and looked at again, never the
/// reverse.
struct SeenWords {
    /// 1,024 places hold most of the different words of a 64 KiB text.
    private static let places = 1024

    private var words = [Range<Int32>](repeating: 0..<0, count: places)

    /// Whether the bytes `word` of `text` are new; they are remembered.
    mutating func insert(_ word: Range<Int>, in text: UnsafeRawBufferPointer) -> Bool {
        // FNV-1a, 64 bits; words of interest are short.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for position in word { hash = (hash ^ UInt64(text[position])) &* 0x100_0000_01B3 }
        let place = Int(truncatingIfNeeded: hash ^ (hash >> 32)) & (SeenWords.places - 1)
        let known = words[place]
        words[place] = Int32(truncatingIfNeeded: word.lowerBound)..<Int32(truncatingIfNeeded: word.upperBound)
        guard known.count == word.count else { return true }
        var (old, new) = (Int(known.lowerBound), word.lowerBound)
        while new < word.upperBound {
            if text[old] != text[new] { return true }
            old += 1
            new += 1
        }
        return false
    }
}
