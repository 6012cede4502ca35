/// Tells what natural language a text is in, in microseconds and without allocation.
///
/// The script decides first: the one with the most weight in the text (`Script.letterWeight`). Latin, Cyrillic, Arabic
/// and Devanagari are shared by many languages; there a linear model over hashed character n-grams decides. It is
/// fitted by scripts/train-language-model, whose head describes it, and is embedded in the program.
package struct LanguageDetector: Sendable {
    private let letters = LetterTable()
    private let classifiers: [ScriptClassifier] = ScriptClassifier.all()

    /// A detector with the embedded model. Builds a table of 32 KiB: make one and keep it.
    package init() {}

    /// Every code that `detect` may return, sorted.
    package static var languages: [String] {
        let modelled = ScriptClassifier.all().flatMap(\.codes)
        return Set(modelled + Script.allCases.compactMap(\.onlyLanguage)).sorted()
    }

    /// The language of `text`; `nil` where there is nothing to judge: no letters outside URLs.
    ///
    /// `text` is UTF-8; bytes that are not count as spaces. Fenced code, URLs and words that look like code are passed
    /// over where there is prose besides.
    /// - Complexity: O(min(bytes, 4096)): a longer text is judged by its first and last 2 KiB.
    package func detect(_ text: UnsafeRawBufferPointer) -> DetectedLanguage? {
        detect(text, skipsCode: true) ?? detect(text, skipsCode: false)
    }

    private func detect(_ text: UnsafeRawBufferPointer, skipsCode: Bool) -> DetectedLanguage? {
        withUnsafeTemporaryAllocation(of: Int.self, capacity: Script.allCases.count) { weights in
            withUnsafeTemporaryAllocation(of: UInt16.self, capacity: FeatureSum.maxLetters) { word in
                weights.initialize(repeating: 0)
                word.initialize(repeating: 0)
                var scan = TextScan(text, letters: letters, skipsCode: skipsCode, weights: weights, word: word)
                scan.run()
                return language(weights: UnsafeBufferPointer(weights), sums: scan.sums)
            }
        }
    }

    private func language(
        weights: UnsafeBufferPointer<Int>,
        sums: (FeatureSum, FeatureSum, FeatureSum, FeatureSum)
    ) -> DetectedLanguage? {
        let han = weights[Int(Script.han.rawValue)]
        let kana = weights[Int(Script.kana.rawValue)]
        var leading = Script.han
        var most = han + kana
        for script in Script.allCases where script != .han && script != .kana {
            let weight = weights[Int(script.rawValue)]
            if weight > most {
                leading = script
                most = weight
            }
        }
        guard most > 0 else { return nil }
        switch leading {
        case .latin: return classifiers[0].language(sums.0)
        case .cyrillic: return classifiers[1].language(sums.1)
        case .arabic: return classifiers[2].language(sums.2)
        case .devanagari: return classifiers[3].language(sums.3)
        case .han: return LanguageDetector.chineseOrJapanese(han: han, kana: kana)
        default: return leading.onlyLanguage.map { DetectedLanguage(code: $0, confidence: 1) }
        }
    }

    /// Japanese prose is at least a third kana; a Chinese text that quotes Japanese has less. The bound is one kana for
    /// six Han characters, about what headlines come to.
    private static func chineseOrJapanese(han: Int, kana: Int) -> DetectedLanguage {
        let kanaLetters = kana / Script.kana.letterWeight
        let hanLetters = han / Script.han.letterWeight
        guard kanaLetters * 6 < hanLetters || kanaLetters == 0 else {
            return DetectedLanguage(code: "ja", confidence: 1)
        }
        let share = Double(hanLetters) / Double(hanLetters + kanaLetters)
        return DetectedLanguage(code: "zh", confidence: share)
    }
}
