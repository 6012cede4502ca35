package import ConfigKit
import LanguageDetection

/// Looks at the language of what is asked.
package struct LanguageSignals: SignalKind {
    package struct Settings: SignalSettings {
        package var name = ""
        package var description = ""
        package var threshold = 0.0

        package init() {}

        package var signalName: String { name }

        package static let schema = Schema<Self>("language signal", "The language of what is asked.") {
            Field("name", \.name, "The language's ISO 639-1 code, which rules use as the signal's name.", example: "zh")
                .required()
            Field("description", \.description, "For people.")
            Field("threshold", \.threshold, "How sure the detection must be. 0: 0.3.").range(0...1)
        }

        package func validate(_ report: inout ValidationReport) {
            let codes = LanguageDetector.languages
            if !codes.contains(code), report.isSound("name") { report.unknown(name, among: codes, at: "name") }
        }

        /// What the detector calls the language: it does not tell the two Norwegian standards apart.
        var code: String { name == "nb" || name == "nn" ? "no" : name }
    }

    /// What a text counts as that tells nothing, or too little.
    private static let fallback = (code: "en", confidence: 0.5)

    /// Upstream's default.
    private static let defaultThreshold = 0.3

    package static let type = SignalType.language
    package static let summary = "The language of what is asked."

    package let names: [String]
    private let codes: [String]
    private let thresholds: [Double]
    private let detector = LanguageDetector()

    package init(_ rules: [Settings]) {
        names = rules.map(\.name)
        codes = rules.map(\.code)
        thresholds = rules.map { $0.threshold > 0 ? $0.threshold : Self.defaultThreshold }
    }

    package func evaluate(_ prompt: Prompt) -> [SignalReading] {
        let detected = prompt.text.withUnsafeBytes { detector.detect($0) }
        var code = Self.fallback.code
        var confidence = Self.fallback.confidence
        if let detected, detected.confidence >= thresholds.min() ?? 0 {
            code = detected.code
            confidence = detected.confidence
        }
        return zip(codes, thresholds).map { wanted, threshold in
            // Rules see a language as certain, as upstream's do; its confidence is the value.
            wanted == code && confidence >= threshold ? .present(1, value: confidence) : .absent
        }
    }
}
