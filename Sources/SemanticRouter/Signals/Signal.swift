package import ConfigKit

/// What was found of one signal in a request.
package struct SignalReading: Sendable, Equatable {
    package enum State: Sendable, Equatable {
        case absent
        case present
        /// Nothing is known: what would tell is missing or failed. Rules take it as absent.
        case unavailable
    }

    package var state: State
    /// 0…1; how sure, where the signal is present.
    package var confidence: Double
    /// What a predicate compares; nil: the confidence.
    package var value: Double?
    /// Positions of the keywords that were found, in the rule's list.
    package var keywords: [Int] = []

    package static let absent = SignalReading(state: .absent, confidence: 0)
    package static let unavailable = SignalReading(state: .unavailable, confidence: 0)
    package static func present(_ confidence: Double = 1, value: Double? = nil) -> SignalReading {
        SignalReading(state: .present, confidence: confidence, value: value)
    }

    package init(state: State, confidence: Double, value: Double? = nil, keywords: [Int] = []) {
        self.state = state
        self.confidence = confidence
        self.value = value
        self.keywords = keywords
    }

    package var isPresent: Bool { state == .present }
}

/// The settings of one rule of a kind of signal.
package protocol SignalSettings: Configurable {
    /// The name that decisions use.
    var signalName: String { get }
}

/// A kind of signal: all its rules of a profile, compiled together.
///
/// Evaluation is pure and bounded: it runs on a connection's event loop.
package protocol SignalKind: Sendable {
    associatedtype Settings: SignalSettings

    static var type: SignalType { get }
    /// One sentence for the reference page.
    static var summary: String { get }

    /// - Parameter rules: validated, in the order of the file.
    init(_ rules: [Settings])

    /// The names that decisions use, each once.
    var names: [String] { get }

    /// A reading for each of `names`.
    func evaluate(_ prompt: Prompt) -> [SignalReading]
}

extension SignalKind {
    /// The settings' key under `routing.signals`.
    static var settingsKey: String { type.settingsKey ?? type.rawValue }
}

/// The kinds of signals that are evaluated. Decoding, documentation, evaluation and headers follow from this list.
package enum SignalCatalog {
    package static let active: [any SignalKind.Type] = [
        KeywordSignals.self, StructureSignals.self, ContextSignals.self, ConversationSignals.self,
        LanguageSignals.self, MetadataSignals.self, EventSignals.self, RoleSignals.self,
    ]

    /// Signals that a file may declare and that nothing here reads yet. They are taken as absent.
    static let inactive: [SignalType] = [
        .embedding, .domain, .factCheck, .userFeedback, .reask, .preference, .complexity, .modality, .jailbreak, .pii,
        .kb, .classifier,
    ]
}
