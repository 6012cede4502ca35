package import OpenAIWire

/// What the semantic core says to a request. Both front ends can carry it out: Envoy's ExtProc by mutations, the gateway
/// in memory.
package enum RoutingOutcome: Sendable {
    /// Send it on with these edits.
    case forward(RoutedRequest)
    /// Answer it without asking a model.
    case respond(LocalResponse)
    /// Send it on as it is.
    case bypass(BypassReason)
}

/// A request with its choices made.
package struct RoutedRequest: Sendable {
    /// The name that workers serve the chosen model by; the front end writes it into the body.
    package let model: String
    /// Its name in the policy.
    package let modelName: String
    /// What else changes.
    package let edits: RequestEdits
    /// `host:port` of the model's preferred backend, where the policy names backends.
    package let destination: String?
    package let headers: AnswerHeaders
}

/// What an answer says about how its request was routed.
package struct AnswerHeaders: Sendable {
    package typealias Field = (name: String, value: String)

    /// For every answer.
    package var always: [Field] = []
    /// For successful ones.
    package var onSuccess: [Field] = []

    package init() {}
}

package enum BypassReason: String, Sendable, CaseIterable {
    /// The request names a model of its own.
    case explicitModel = "explicit_model"
    /// The request asks for a choice, but there is neither a decision nor a default model.
    case nothingToChoose = "nothing_to_choose"
    /// The request's text could not be read: the default model answers, and says what is wrong with it.
    case unreadable
}
