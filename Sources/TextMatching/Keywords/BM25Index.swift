#if canImport(Darwin)
import Darwin
#else
import Glibc
#endif

/// Keywords ranked by Okapi BM25 against a text: each keyword is a document, the text is the query.
///
/// A keyword and a text are cut into words, English stop words are dropped and the rest reduced to their stems, so that
/// "machine learning" is found in "the machines learned". Any one shared word gives a score; words that few keywords
/// have count for more.
///
/// The formula is BM25 with k1 = 1.2 and b = 0.75 in single precision (Robertson and Zaragoza, "The Probabilistic
/// Relevance Framework", 2009):
///
///     score = Σ over the text's words: idf · tf · (k1 + 1) / (tf + k1 · (1 − b + b · length / average length))
///     idf   = ln(1 + (N − n + 0.5) / (n + 0.5))
///
/// with tf the word's occurrences in the keyword, N the keywords, n those that have the word. A word that the text has
/// twice counts twice.
///
/// Latin letters with marks count as the letters without (`LatinFolding`). CJK text has no blanks between words: a run
/// of two or more CJK characters in a keyword stands for its pairs of neighbours (机器学习: 机器, 器学, 学习), and a run of one
/// for that character. A text that holds the keyword has all its pairs; one that has single characters of it has none,
/// as characters alone are shared by unrelated words (机会). Texts yield both.
///
/// Texts are given in lower case; ASCII and marked Latin letters are lower-cased here in any case.
package struct BM25Index: Sendable {
    package static let k1: Float = 1.2
    package static let b: Float = 0.75
    /// Stands in for the average length when no keyword has any word.
    private static let emptyAverage: Float = 256

    private struct Posting {
        let keyword: Int32
        /// What one occurrence in the text adds to the keyword's score.
        let weight: Float
    }

    /// Keywords, as `matches` numbers them.
    package let count: Int
    /// Stems and CJK units of all keywords.
    private let terms: TermTable
    /// Postings of term t: `starts[t]..<starts[t + 1]`, by keyword.
    private let starts: [Int]
    private let postings: [Posting]
    /// For each pair of first letters a word may have whose stem is a term: a bit. Saves most words their stem.
    private let beginnings: [UInt64]
    private let hasCharacters: Bool

    /// - Parameter keywords: in lower case, if they have capitals that ASCII folding does not reach (Greek, Cyrillic).
    package init(_ keywords: [String]) {
        var terms = TermTable()
        var documents: [[Int: Int]] = []
        var lengths: [Int] = []
        var beginnings = [UInt64](repeating: 0, count: 1024)
        var hasCharacters = false
        for keyword in keywords {
            var counts: [Int: Int] = [:]
            var text = keyword
            text.withUTF8 { text in
                BM25Tokenizer.forEachToken(in: UnsafeRawBufferPointer(text), isDocument: true) { token, bytes in
                    var bytes = bytes
                    switch token {
                    case .character: hasCharacters = true
                    case .pair: break
                    case .word:
                        if EnglishStopWords.terms.find(UnsafeRawBufferPointer(bytes)) != nil { return }
                        bytes = UnsafeMutableBufferPointer(rebasing: bytes[..<BM25Index.stem(bytes)])
                        BM25Index.markBeginning(of: bytes, &beginnings)
                    }
                    counts[terms.insert(Array(bytes)), default: 0] += 1
                }
            }
            documents.append(counts)
            lengths.append(counts.values.reduce(0, +))
        }
        var containing = [Int](repeating: 0, count: terms.count)
        for term in documents.joined() { containing[term.key] += 1 }
        let total = Double(lengths.reduce(0, +))
        let mean = keywords.isEmpty ? 0 : Float(total / Double(keywords.count))
        let average = mean > 0 ? mean : BM25Index.emptyAverage
        var lists = [[Posting]](repeating: [], count: terms.count)
        for (keyword, counts) in documents.enumerated() {
            let length = Float(lengths[keyword])
            for (term, count) in counts {
                let frequency = Float(count)
                let saturation = frequency + BM25Index.k1 * (1 - BM25Index.b + BM25Index.b * length / average)
                let weight = frequency * (BM25Index.k1 + 1) / saturation
                let idf = BM25Index.idf(keywords: keywords.count, containing: containing[term])
                lists[term].append(Posting(keyword: Int32(keyword), weight: idf * weight))
            }
        }
        count = keywords.count
        self.terms = terms
        starts = lists.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1.count) }
        postings = Array(lists.joined())
        self.beginnings = beginnings
        self.hasCharacters = hasCharacters
    }

    /// The keywords that share a word with `text` and score at least `threshold`: by score, highest first, and by place
    /// in the list where scores are equal.
    ///
    /// - Parameter text: UTF-8 in lower case.
    /// - Complexity: O(bytes of the text + keywords), and once per different word the keywords that have it.
    package func matches(in text: UnsafeRawBufferPointer, threshold: Float) -> [Int] {
        let scores = scores(in: text)
        let matches = scores.indices.filter { scores[$0] > 0 && scores[$0] >= threshold }
        return matches.sorted { scores[$0] > scores[$1] || (scores[$0] == scores[$1] && $0 < $1) }
    }

    /// One keyword's score, for explanations: 0 if it shares no word with `text`. Costs as much as all scores.
    package func score(of keyword: Int, in text: UnsafeRawBufferPointer) -> Float {
        scores(in: text)[keyword]
    }

    /// The scores of all keywords: positive if they share a word with `text`, else 0.
    package func scores(in text: UnsafeRawBufferPointer) -> [Float] {
        var occurrences = [Int32](repeating: 0, count: terms.count)
        var order: [Int] = []
        // Words take at most 255 bytes: the stop word test needs the word as it was before the stem.
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: BM25Tokenizer.maxWordBytes) { copy in
            BM25Tokenizer.forEachToken(in: text, isDocument: false) { token, bytes in
                guard let term = term(token, bytes, copy) else { return }
                if occurrences[term] == 0 { order.append(term) }
                occurrences[term] += 1
            }
        }
        var scores = [Float](repeating: 0, count: count)
        for term in order {
            let times = Float(occurrences[term])
            for posting in postings[starts[term]..<starts[term + 1]] {
                scores[Int(posting.keyword)] += times * posting.weight
            }
        }
        return scores
    }

    private func term(
        _ token: BM25Tokenizer.Token,
        _ bytes: UnsafeMutableBufferPointer<UInt8>,
        _ copy: UnsafeMutableBufferPointer<UInt8>
    ) -> Int? {
        switch token {
        case .character:
            return hasCharacters ? terms.find(UnsafeRawBufferPointer(bytes)) : nil
        case .pair:
            return terms.find(UnsafeRawBufferPointer(bytes))
        case .word:
            guard mayBegin(bytes) else { return nil }
            _ = copy.update(fromContentsOf: bytes)
            let stem = UnsafeMutableBufferPointer(rebasing: copy[..<bytes.count])
            let length = BM25Index.stem(stem)
            guard let term = terms.find(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(stem)[..<length]))
            else { return nil }
            // Few words get here, so that the list is asked last: "does" has the stem of "doe".
            return EnglishStopWords.terms.find(UnsafeRawBufferPointer(bytes)) == nil ? term : nil
        }
    }

    /// Words with other letters than ASCII have no English stem.
    private static func stem(_ word: UnsafeMutableBufferPointer<UInt8>) -> Int {
        for byte in word where byte >= 0x80 { return word.count }
        return EnglishStemmer.stem(word)
    }

    private static func idf(keywords: Int, containing: Int) -> Float {
        let (total, containing) = (Float(keywords), Float(containing))
        return Float(log(Double(1 + (total - containing + 0.5) / (containing + 0.5))))
    }

    // MARK: First letters

    /// The first two bytes, with i for y: a stem begins like its word, except that it may have the one for the other
    /// (dying: die), and may be a single letter (oing: o). No word begins with an apostrophe, which a stem would lose.
    private static func beginning(_ first: UInt8, _ second: UInt8) -> Int {
        Int(first == UInt8(ascii: "y") ? UInt8(ascii: "i") : first) << 8
            | Int(second == UInt8(ascii: "y") ? UInt8(ascii: "i") : second)
    }

    private static func markBeginning(of stem: UnsafeMutableBufferPointer<UInt8>, _ bits: inout [UInt64]) {
        guard stem.count > 1 else {
            for second in UInt8.min...UInt8.max { mark(beginning(stem.first ?? 0, second), &bits) }
            return
        }
        mark(beginning(stem[0], stem[1]), &bits)
    }

    private static func mark(_ beginning: Int, _ bits: inout [UInt64]) {
        bits[beginning >> 6] |= 1 << UInt64(beginning & 63)
    }

    private func mayBegin(_ word: UnsafeMutableBufferPointer<UInt8>) -> Bool {
        let beginning = BM25Index.beginning(word[0], word.count > 1 ? word[1] : 0)
        return beginnings[beginning >> 6] & (1 << UInt64(beginning & 63)) != 0
    }
}
