/// A writing system, as far as it tells languages apart.
///
/// The first four are shared by several languages, which the model separates; the rest stand for one language each.
enum Script: UInt8, CaseIterable {
    case latin, cyrillic, arabic, devanagari
    case han, kana, hangul
    case greek, hebrew, armenian, georgian, bengali, gurmukhi, gujarati, odia, tamil, telugu, kannada, malayalam
    case sinhala, thai, lao, tibetan, myanmar, ethiopic, khmer

    /// How many scripts come first whose languages the model separates.
    static let modelledCount = 4

    var isModelled: Bool { rawValue < Script.modelledCount }

    /// The language a text of this script is in; `nil` where the model decides. Han is Chinese unless kana say
    /// otherwise.
    var onlyLanguage: String? {
        switch self {
        case .latin, .cyrillic, .arabic, .devanagari: nil
        case .han: "zh"
        case .kana: "ja"
        case .hangul: "ko"
        case .greek: "el"
        case .hebrew: "he"
        case .armenian: "hy"
        case .georgian: "ka"
        case .bengali: "bn"
        case .gurmukhi: "pa"
        case .gujarati: "gu"
        case .odia: "or"
        case .tamil: "ta"
        case .telugu: "te"
        case .kannada: "kn"
        case .malayalam: "ml"
        case .sinhala: "si"
        case .thai: "th"
        case .lao: "lo"
        case .tibetan: "bo"
        case .myanmar: "my"
        case .ethiopic: "am"
        case .khmer: "km"
        }
    }

    /// What a letter counts when scripts of one text are compared; a Latin letter counts 2, or 1 in a capitalised word.
    ///
    /// A Han character says about as much as three Latin letters, a Hangul syllable too, a kana as two. Other alphabets
    /// count twice as much as Latin: names of products and bits of code are Latin in every language's texts.
    var letterWeight: Int {
        switch self {
        case .latin: 2
        case .han, .hangul: 6
        case .kana: 4
        default: 4
        }
    }
}
