/// The language a text is judged to be in.
package struct DetectedLanguage: Sendable, Equatable {
    /// ISO 639-1, lower case. Both Norwegians are `no`; Chinese in either writing is `zh`.
    package let code: String

    /// 0…1: the share of the likelihood among the languages of the text's script; 1 where the script has only one.
    package let confidence: Double

    package init(code: String, confidence: Double) {
        self.code = code
        self.confidence = confidence
    }
}
