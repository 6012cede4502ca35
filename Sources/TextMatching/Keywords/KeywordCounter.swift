/// Counts how often keywords occur in a text, under the same boundary rule as `KeywordAutomaton`.
package struct KeywordCounter: Sendable {
    private let keywords: [(bytes: [UInt8], isBounded: Bool)]

    /// - Parameter keywords: not empty, in the case in which texts are given.
    package init(_ keywords: [String]) {
        self.keywords = keywords.map { keyword in
            let hasCJK = keyword.unicodeScalars.contains { ScalarClass.of($0.value).contains(.cjk) }
            return (Array(keyword.utf8), !hasCJK)
        }
    }

    /// All occurrences of all keywords. Those of one keyword do not overlap; those of different ones may.
    ///
    /// - Complexity: O(bytes · keywords).
    package func count(in bytes: UnsafeRawBufferPointer) -> Int {
        let text = UTF8Text(bytes)
        var count = 0
        for (keyword, isBounded) in keywords where !keyword.isEmpty {
            var start = 0
            while let place = bytes.firstOccurrence(of: keyword, from: start) {
                start = place + keyword.count
                if !isBounded || text.isFree(place..<start) { count += 1 }
            }
        }
        return count
    }
}

extension UTF8Text {
    /// Whether no letter or digit, other than CJK, stands right before or behind the range.
    fileprivate func isFree(_ range: Range<Int>) -> Bool {
        if let before = scalar(before: range.lowerBound), ScalarClass.of(before).isBlocking { return false }
        guard range.upperBound < bytes.count else { return true }
        return !ScalarClass.of(scalar(at: range.upperBound).value).isBlocking
    }
}
