import Foundation
import Testing
import TextMatching

/// What RE2 answered, written by `scripts/text-matching/make-pattern-fixtures`.
@Suite struct RecordedAnswersTests {
    private func rows(_ name: String) throws -> [[Any]] {
        let url = try #require(Bundle.module.url(forResource: "Fixtures/\(name)", withExtension: "jsonl"))
        return try String(contentsOf: url, encoding: .utf8).split(separator: "\n").map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [Any])
        }
    }

    @Test("All matches are those that RE2 finds")
    func matches() throws {
        let rows = try rows("re2-matches")
        #expect(rows.count > 6000)
        for index in stride(from: 0, to: rows.count, by: caseStride) {
            let row = rows[index]
            let source = try #require(row[0] as? String)
            let text = try #require(row[1] as? String)
            let spans = try #require(row[2] as? [[Int]])
            let bytes = Array(text.utf8)
            for engine in Engine.allCases {
                let pattern = try engine.pattern(source)
                let note: Comment = "\(source.debugDescription) in \(text.debugDescription) by \(engine)"
                #expect(pattern.spans(in: bytes) == spans, note)
                #expect(pattern.countMatches(in: bytes) == spans.count, note)
                #expect(pattern.isFound(in: bytes) == !spans.isEmpty, note)
            }
        }
    }

    @Test("The patterns taken are those that RE2 takes")
    func syntax() throws {
        for row in try rows("re2-syntax") {
            let source = try #require(row[0] as? String)
            let isTaken = try #require(row[1] as? Bool)
            let pattern = try? LinearPattern(source)
            #expect((pattern != nil) == isTaken, "\(source.debugDescription)")
        }
    }

    /// All but the three pairs that Unicode 15.1 added to CaseFolding.txt, which Go (Unicode 15.0) does not fold
    /// either. They have no single-scalar mapping that would show them.
    @Test("Case folds as in RE2")
    func orbits() throws {
        let rows = try rows("re2-orbits")
        #expect(rows.count > 1400)
        var misses: [[Int]] = []
        for row in rows {
            let orbit = try #require(row as? [Int])
            let text = String(String.UnicodeScalarView(orbit.compactMap { Unicode.Scalar($0) }))
            let source = "(?i)\\x{\(String(orbit[0], radix: 16))}"
            var limits = PatternLimits()
            limits.states = 0
            let pattern = try LinearPattern(source, limits: limits)
            if pattern.countMatches(in: Array(text.utf8)) != orbit.count { misses.append(orbit) }
        }
        #expect(misses == [[0x390, 0x1FD3], [0x3B0, 0x1FE3], [0xFB05, 0xFB06]])
    }
}
