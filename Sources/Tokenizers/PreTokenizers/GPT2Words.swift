/// GPT-2's way to cut a text, which its file spells as an expression:
///
/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
enum GPT2Words {
    private enum Kind {
        case letter, number, space, other
    }

    /// - Complexity: O(bytes), each looked at twice at most.
    static func cut(_ bytes: [UInt8], _ range: Range<Int>, _ part: (Range<Int>) -> Void) {
        let tables = UnicodeTables.standard
        func kind(at index: Int) -> Kind {
            let properties = tables.properties(of: UTF8Scalars.decode(bytes, at: index))
            if properties.categoryBit & ScalarCategories.letters != 0 { return .letter }
            if properties.has(.space) { return .space }
            return properties.categoryBit & ScalarCategories.numbers != 0 ? .number : .other
        }
        let limit = range.upperBound
        var start = range.lowerBound
        while start < limit {
            if bytes[start] == UInt8(ascii: "'"), let end = contraction(bytes, from: start + 1, limit) {
                part(start..<end)
                start = end
                continue
            }
            // One space goes with the word after it.
            var index = start
            var first = kind(at: start)
            if bytes[start] == 0x20, start + 1 < limit {
                let next = kind(at: start + 1)
                if next != .space {
                    first = next
                    index = start + 1
                }
            }
            var last = index
            while index < limit, kind(at: index) == first {
                last = index
                index += UTF8Scalars.length(of: bytes[index])
            }
            // Of several spaces the last one is left to the word after them.
            if first == .space, index < limit, last > start { index = last }
            part(start..<index)
            start = index
        }
    }

    /// Where the ending of a contraction ends that begins after its apostrophe.
    private static func contraction(_ bytes: [UInt8], from start: Int, _ limit: Int) -> Int? {
        guard start < limit else { return nil }
        switch bytes[start] {
        case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"):
            return start + 1
        case UInt8(ascii: "r"), UInt8(ascii: "v"):
            return start + 1 < limit && bytes[start + 1] == UInt8(ascii: "e") ? start + 2 : nil
        case UInt8(ascii: "l"):
            return start + 1 < limit && bytes[start + 1] == UInt8(ascii: "l") ? start + 2 : nil
        default:
            return nil
        }
    }
}
