/// A token that is looked for in the text itself, before any model sees it.
struct AddedToken: Sendable {
    var id: Int32
    var content: String
    /// Counts only between characters that are none of a word.
    var isSingleWord = false
    /// Takes white space before it along.
    var stripsLeft = false
    /// Takes white space after it along.
    var stripsRight = false
    /// Looked for in the normalised text, and normalised itself; otherwise in the original.
    var isNormalized = false
    var isSpecial = false
}

/// Added tokens that are looked for together: the leftmost counts, and of those that begin there the longest.
struct AddedTokens: Sendable {
    private let tokens: [AddedToken]
    private let trie: TokenTrie
    /// Whether a token begins with the byte.
    private let begins: [Bool]

    /// - Parameter contents: what is looked for, for each token; not empty.
    init(_ tokens: [AddedToken], contents: [[UInt8]]) {
        self.tokens = tokens
        // Of equal contents the first counts; the trie keeps the largest number.
        trie = TokenTrie(contents.enumerated().map { (bytes: $1[...], id: Int32(contents.count - 1 - $0)) })
        var begins = [Bool](repeating: false, count: 256)
        for content in contents { begins[Int(content[0])] = true }
        self.begins = begins
    }

    /// Calls `part` with the parts of a text in order: added tokens, and the stretches between them.
    /// - Complexity: O(bytes × longest added token).
    func split(_ bytes: [UInt8], _ part: (Range<Int>, AddedToken?) -> Void) {
        guard !tokens.isEmpty else { return part(0..<bytes.count, nil) }
        var done = 0
        var index = 0
        while index < bytes.count {
            guard begins[Int(bytes[index])], let (token, matchEnd) = match(in: bytes, at: index) else {
                index += 1
                continue
            }
            var (start, end) = (index, matchEnd)
            index = end
            if token.isSingleWord, isWord(before: start, in: bytes) || isWord(at: end, in: bytes) { continue }
            if token.stripsLeft {
                while start > done {
                    let before = UTF8Scalars.start(before: start, in: bytes)
                    guard Normalizer.isSpace(bytes, at: before) else { break }
                    start = before
                }
                // A token before it may have taken all of its white space along. Without `stripsLeft` it is found twice, as
                // in the reference, which has no answer to this.
                start = max(start, done)
                guard start < end else { continue }
            }
            if token.stripsRight {
                while end < bytes.count, Normalizer.isSpace(bytes, at: end) {
                    end += UTF8Scalars.length(of: bytes[end])
                }
            }
            if done < start { part(done..<start, nil) }
            part(start..<end, token)
            done = end
        }
        if done < bytes.count { part(done..<bytes.count, nil) }
    }

    private func match(in bytes: [UInt8], at start: Int) -> (AddedToken, end: Int)? {
        var node = TokenTrie.root
        var found: (AddedToken, Int)?
        var index = start
        while index < bytes.count {
            node = trie.child(of: node, bytes[index])
            guard node >= 0 else { break }
            index += 1
            let id = trie.id(at: node)
            if id >= 0 { found = (tokens[tokens.count - 1 - Int(id)], index) }
        }
        return found
    }

    private func isWord(before index: Int, in bytes: [UInt8]) -> Bool {
        index > 0 && isWord(at: UTF8Scalars.start(before: index, in: bytes), in: bytes)
    }

    private func isWord(at index: Int, in bytes: [UInt8]) -> Bool {
        guard index < bytes.count else { return false }
        return UnicodeTables.standard.properties(of: UTF8Scalars.decode(bytes, at: index)).has(.word)
    }
}
