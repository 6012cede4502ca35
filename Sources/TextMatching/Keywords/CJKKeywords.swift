/// The CJK keywords of a `FuzzyMatcher`, by the characters they have.
///
/// A stretch of n characters within d edits of a keyword of n has at least n − d of its characters, each as often as
/// they match. Sliding a window over the text, only the keywords of the characters that enter and leave it are touched.
struct CJKKeywords {
    let keywords: [FuzzyMatcher.Keyword]
    /// For each keyword, the characters a stretch must have in common with it, and the edits allowed.
    let needed: [Int32]
    let edits: [Int]
    /// The different lengths, ascending, and the keywords of each.
    let lengths: [(length: Int, keywords: [Int])]
    private let alphabet: IntegerTable
    /// The keywords that have a character, of one length: those of length number l and character c are
    /// `members[starts[l * characters + c]..<starts[l * characters + c + 1]]`.
    private let starts: [Int]
    private let members: [Member]

    struct Member {
        let keyword: Int32
        /// How often the keyword has the character.
        let times: Int32
    }

    var characters: Int { alphabet.count }

    /// A character that no keyword has.
    static let unknown = -1

    init(_ keywords: [FuzzyMatcher.Keyword], limit: FuzzyMatcher.Limit) {
        self.keywords = keywords
        var alphabet = IntegerTable()
        for keyword in keywords { for scalar in keyword.scalars { _ = alphabet.insert(UInt64(scalar)) } }
        edits = keywords.map { limit.distance(keyword: $0.scalars.count, candidate: $0.scalars.count) }
        needed = zip(keywords, edits).map { Int32(max(1, $0.scalars.count - $1)) }
        let lengths = Set(keywords.map(\.scalars.count)).sorted()
        self.lengths = lengths.map { length in
            (length, keywords.indices.filter { keywords[$0].scalars.count == length })
        }
        var starts = [0]
        var members: [Member] = []
        for (_, group) in self.lengths {
            var ofCharacter = [[Member]](repeating: [], count: alphabet.count)
            for keyword in group {
                var times: [Int: Int32] = [:]
                for scalar in keywords[keyword].scalars {
                    if let symbol = alphabet.find(UInt64(scalar)) { times[symbol, default: 0] += 1 }
                }
                for (symbol, times) in times {
                    ofCharacter[symbol].append(Member(keyword: Int32(keyword), times: times))
                }
            }
            for list in ofCharacter {
                members.append(contentsOf: list)
                starts.append(members.count)
            }
        }
        self.alphabet = alphabet
        self.starts = starts
        self.members = members
    }

    /// The character's number, or `unknown`.
    func symbol(_ scalar: UInt32) -> Int32 {
        Int32(alphabet.find(UInt64(scalar)) ?? CJKKeywords.unknown)
    }

    /// The keywords of the length that have the character.
    func having(_ symbol: Int32, lengthNumber: Int) -> ArraySlice<Member> {
        guard symbol >= 0 else { return [] }
        let list = lengthNumber * alphabet.count + Int(symbol)
        return members[starts[list]..<starts[list + 1]]
    }
}
