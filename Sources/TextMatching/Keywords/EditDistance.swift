/// Whether two words are within some number of edits (Levenshtein), without finding the distance beyond it.
enum EditDistance {
    /// The band of Ukkonen (Information and Control 64, 1985): cells further than `limit` from the diagonal cannot be
    /// on a path of cost `limit`. Ends at the first row that has no cell within the limit.
    ///
    /// - Parameter row: at least `second.count + 1` cells of scratch.
    /// - Complexity: O((limit + 1) · length).
    static func isWithin(
        _ limit: Int,
        _ first: UnsafeBufferPointer<UInt32>,
        _ second: UnsafeBufferPointer<UInt32>,
        row: UnsafeMutableBufferPointer<Int32>
    ) -> Bool {
        guard limit >= 0, abs(first.count - second.count) <= limit else { return false }
        let tooFar = Int32(limit) + 1
        for column in 0...second.count { row[column] = column <= limit ? Int32(column) : tooFar }
        for line in 0..<first.count {
            let low = max(0, line - limit)
            let high = min(second.count, line + 1 + limit)
            // The cell left of the band, and the one above it.
            var diagonal = row[low]
            var left = low == 0 ? Int32(line + 1) : tooFar
            row[low] = low == 0 ? min(left, tooFar) : tooFar
            var best = row[low]
            let letter = first[line]
            var column = low + 1
            while column <= high {
                let above = row[column]
                // Above the band's last cell is a cell of an older row, outside the band.
                let fromAbove = column == line + 1 + limit ? tooFar : above
                let cost = min(diagonal + (letter == second[column - 1] ? 0 : 1), min(fromAbove, left) + 1, tooFar)
                diagonal = above
                row[column] = cost
                left = cost
                best = min(best, cost)
                column += 1
            }
            if best >= tooFar { return false }
        }
        return row[second.count] <= Int32(limit)
    }
}
