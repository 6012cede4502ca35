import Foundation
import Testing
import TextMatching

@Suite struct EnglishStemmerTests {
    private func stem(_ word: Substring) -> String {
        var bytes = Array(word.utf8)
        let length = bytes.withUnsafeMutableBufferPointer { EnglishStemmer.stem($0) }
        return String(decoding: bytes[..<length], as: UTF8.self)
    }

    @Test("Every word has the stem that the Snowball project's stemmer gives it (scripts/text-matching/make-stems)")
    func fixture() throws {
        let url = try #require(
            Bundle.module.url(forResource: "english-stems", withExtension: "txt", subdirectory: "Fixtures")
        )
        let lines = try String(contentsOf: url, encoding: .utf8).split(separator: "\n")
        #expect(lines.count > 3000)
        for line in lines {
            let parts = line.split(separator: " ")
            // Two letters and fewer stay as they are here, apostrophes too.
            let expected = parts[0].count < 3 ? parts[0] : parts[1]
            #expect(stem(parts[0]) == expected, "\(parts[0])")
        }
    }

    @Test("The empty word and bytes that are no letters come through")
    func oddInput() {
        #expect(stem("") == "")
        #expect(stem("'") == "'")
        #expect(stem("'''") == "'")
        #expect(stem("1234") == "1234")
        #expect(stem("___") == "___")
    }

    @Test("The stop words are NLTK's 179")
    func stopWords() {
        #expect(EnglishStopWords.words.count == 179)
        #expect(Set(EnglishStopWords.words).count == 179)
    }
}
