/// "Did you mean": finds the known name that a mistyped one was meant to be.
enum Suggestion {
    /// The candidate closest to `name`, or nil when none is close enough to be a likely slip.
    ///
    /// Case and `-`/`_` do not count as differences. A third of the letters may differ, but no more than three: beyond
    /// that a suggestion misleads more often than it helps. Ties go to the earlier candidate.
    static func closest(to name: String, among candidates: [String]) -> String? {
        guard name.utf8.count <= 64 else { return nil }
        let wanted = folded(name)
        let limit = min(3, max(1, wanted.count / 3))
        var best: (candidate: String, distance: Int)?
        for candidate in candidates where candidate.utf8.count <= 128 {
            let distance = distance(wanted, folded(candidate), limit: limit)
            if let distance, distance < (best?.distance ?? .max) {
                best = (candidate, distance)
            }
        }
        return best?.candidate
    }

    /// `; did you mean "model"?`, or nothing.
    static func hint(for name: String, among candidates: [String]) -> String {
        closest(to: name, among: candidates).map { "; did you mean \"\($0)\"?" } ?? ""
    }

    private static func folded(_ name: String) -> [Unicode.Scalar] {
        name.lowercased().unicodeScalars.map { $0 == "-" ? "_" : $0 }
    }

    /// The optimal-string-alignment form of the Damerau-Levenshtein distance (insert, delete, replace, swap
    /// neighbours), or nil beyond `limit`. O(m·n) for names of at most 128 letters.
    private static func distance(_ left: [Unicode.Scalar], _ right: [Unicode.Scalar], limit: Int) -> Int? {
        guard abs(left.count - right.count) <= limit else { return nil }
        guard !left.isEmpty, !right.isEmpty else { return nil }
        var beforeLast = [Int](repeating: 0, count: right.count + 1)
        var last = Array(0...right.count)
        var row = last
        for i in 1...left.count {
            row[0] = i
            for j in 1...right.count {
                let replace = last[j - 1] + (left[i - 1] == right[j - 1] ? 0 : 1)
                row[j] = min(replace, last[j] + 1, row[j - 1] + 1)
                if i > 1, j > 1, left[i - 1] == right[j - 2], left[i - 2] == right[j - 1] {
                    row[j] = min(row[j], beforeLast[j - 2] + 1)
                }
            }
            (beforeLast, last, row) = (last, row, beforeLast)
        }
        return last[right.count] <= limit ? last[right.count] : nil
    }
}
