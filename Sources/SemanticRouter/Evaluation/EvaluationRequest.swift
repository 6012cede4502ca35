package import NIOCore
package import OpenAIWire

/// The body of `POST /api/v1/eval`: a request that is judged and not sent, in upstream's shape.
///
/// A `text`, or `messages` and whatever else a chat request has; `options.trace` asks for the decisions' trees.
package struct EvaluationRequest: Sendable {
    /// As if the body had come to `/v1/chat/completions`.
    package let request: InboundRequest
    /// The model as it was asked for; nil where none was.
    package let requestedModel: String?
    package let wantsTrace: Bool

    /// Members that are ours and not the chat request's.
    private static let own: Set<String> = ["text", "options", "model", "messages"]

    /// - Parameter fallbackModel: a name that asks for a choice, for a body that names no model.
    /// - Throws: `.invalidJSON`, or `.invalidRequest` with what is missing.
    package init(
        body: ByteBuffer,
        query: String = "",
        fallbackModel: String
    ) throws(RouterError) {
        let json = try JSONRequest(body: body)
        let root = json.document.root
        var members: [(String, JSONFragment)] = [("model", JSONFragment(json.model ?? fallbackModel))]
        if let messages = root["messages"], messages.isArray, messages[0] != nil {
            members.append(("messages", JSONFragment(messages)))
        } else if let text = root["text"], text.isString, !text.isEmptyString {
            members.append(("messages", [["role": "user", "content": JSONFragment(text)]]))
        } else if root["metadata"]?.isObject == true {
            members.append(("messages", []))
        } else {
            throw .invalidRequest("Give a `text` or `messages`.", parameter: "text")
        }
        for member in root.members {
            guard let key = member.key.string, !Self.own.contains(key) else { continue }
            members.append((key, JSONFragment(member.value)))
        }
        let text = try TextRequest(endpoint: .chatCompletions, body: JSONFragment.object(members).bytes)
        request = InboundRequest(text)
        requestedModel = json.model
        let asksForTrace = query.split(separator: "&").contains { $0 == "trace=true" || $0 == "trace=1" }
        wantsTrace = asksForTrace || root["options"]?["trace"]?.bool == true
    }
}

extension SemanticRouter {
    /// What `/api/v1/eval` answers.
    ///
    /// - Throws: as `EvaluationRequest`, and `.invalidRequest` for a model that does not ask for a choice.
    package func evaluate(
        body: ByteBuffer,
        query: String = "",
        isServed: (String) -> Bool
    ) throws(RouterError) -> JSONFragment {
        let fallback = config.global.router.automaticName
        let evaluation = try EvaluationRequest(body: body, query: query, fallbackModel: fallback)
        guard profile(for: evaluation.request.text.model) != nil else {
            throw .invalidRequest(
                "The model does not ask for a choice; /v1/models lists the names that do.",
                parameter: "model"
            )
        }
        let explanation = explain(evaluation.request, isServed: isServed)
        return EvaluationReport(explanation, evaluation).json
    }
}
