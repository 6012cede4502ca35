/// Counts how often keywords occur in a text, under the same boundary rule as `KeywordAutomaton`, in one pass.
package struct KeywordCounter: Sendable {
    private let automaton: KeywordAutomaton

    /// - Parameter keywords: not empty, in the case in which texts are given.
    package init(_ keywords: [String]) { automaton = KeywordAutomaton(keywords) }

    /// All occurrences of all keywords. Those of one keyword do not overlap; those of different ones may.
    ///
    /// - Complexity: O(bytes of the text + hits).
    package func count(in text: UnsafeRawBufferPointer) -> Int {
        var count = 0
        var ends = [Int](repeating: 0, count: automaton.count)
        automaton.forEachHit(in: text) { keyword, range in
            guard range.lowerBound >= ends[keyword] else { return }
            ends[keyword] = range.upperBound
            count += 1
        }
        return count
    }
}
