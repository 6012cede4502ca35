/// BERT's WordPiece: the longest token that begins the word, then the longest that goes on with it, and so forth; a word
/// that cannot be taken apart so is unknown as a whole.
struct WordPieceModel: Sendable {
    let vocabulary: Vocabulary
    let unknown: Int32
    private let trie: TokenTrie
    /// Where tokens begin that go on with a word; nil when there are none.
    private let continuation: Int32?
    /// Longer words are unknown.
    private let longestWord: Int

    init(vocabulary: Vocabulary, unknown: Int32, continuationPrefix: String, longestWord: Int) {
        self.vocabulary = vocabulary
        self.unknown = unknown
        self.longestWord = longestWord
        var tokens: [TokenTrie.Token] = []
        tokens.reserveCapacity(vocabulary.count)
        vocabulary.forEach { id, bytes in tokens.append((bytes, id)) }
        trie = TokenTrie(tokens)
        continuation = trie.node(continuationPrefix.utf8)
    }

    /// - Complexity: O(characters × longest token) and at most `longestWord` characters.
    func tokenize(_ bytes: [UInt8], _ range: Range<Int>, into found: inout FoundTokens) {
        let before = found.tokens.count
        guard range.count <= longestWord || bytes[range].count(where: { $0 & 0xC0 != 0x80 }) <= longestWord else {
            return found.add(unknown, range.lowerBound, range.upperBound)
        }
        var start = range.lowerBound
        while start < range.upperBound {
            var node = start == range.lowerBound ? TokenTrie.root : continuation ?? -1
            var index = start
            var (id, end): (Int32, Int) = (-1, start)
            while node >= 0, index < range.upperBound {
                node = trie.child(of: node, bytes[index])
                index += 1
                if node >= 0, trie.id(at: node) >= 0 { (id, end) = (trie.id(at: node), index) }
            }
            guard id >= 0 else {
                found.tokens.removeSubrange(before...)
                return found.add(unknown, range.lowerBound, range.upperBound)
            }
            found.add(id, start, end)
            start = end
        }
    }
}
