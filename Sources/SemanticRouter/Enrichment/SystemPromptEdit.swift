package import OpenAIWire

/// The `system_prompt` plugin: instructions for the model, before the client's own or in their place.
///
/// - chat completions: the first message of role `system` gets them, wherever it stands; without one, such a message is
///   inserted at the top. Messages of role `developer` are left alone.
/// - responses: `instructions`.
/// - Anthropic's messages: `system`.
/// - Other endpoints have no place for instructions.
///
/// A string gets the prompt, an empty line and what it held; a list of parts gets a text part in front. What should hold
/// text and holds something else stays as it is, for the worker to judge; in a chat, the prompt then gets a message of
/// its own.
package struct SystemPromptEdit: Sendable {
    private let prompt: String
    private let mode: SystemPromptSettings.Mode

    /// Nil where the settings turn the plugin off, or have nothing to say.
    package init?(_ settings: SystemPromptSettings) {
        guard let prompt = settings.active else { return nil }
        self.prompt = prompt
        mode = settings.mode
    }

    /// The edits for one request, and whether it has the prompt then: not where there is no place for it.
    package static func edits(
        _ settings: SystemPromptSettings,
        for request: TextRequest
    ) -> (edits: [JSONEdit], isInjected: Bool) {
        var draft = RequestDraft(request)
        let member = SystemPromptEdit(settings)?.apply(to: &draft)
        return (draft.edits, member != nil)
    }

    /// The top-level member that the prompt went into; nil when there is no place for it.
    func apply(to draft: inout RequestDraft) -> String? {
        switch draft.endpoint {
        case .chatCompletions: applyToMessages(of: &draft) ? "messages" : nil
        case .responses: applyToMember("instructions", of: &draft) ? "instructions" : nil
        case .messages: applyToMember("system", of: &draft) ? "system" : nil
        case .completions, .embeddings, .rerank, .score, .tokenize, .detokenize, .classify, .pooling: nil
        }
    }

    // MARK: Chat

    private func applyToMessages(of draft: inout RequestDraft) -> Bool {
        guard let messages = draft.client("messages"), messages.isArray else { return false }
        draft.edit(inside: "messages", [systemEdit(in: messages) ?? newMessage])
        return true
    }

    /// The change of the first system message; nil when there is none that can take the prompt.
    private func systemEdit(in messages: JSONValue) -> JSONEdit? {
        for (index, message) in messages.elements.enumerated()
        where message["role"]?.isString(equalTo: "system") == true {
            let path: JSONPath = ["messages", .index(index), "content"]
            return mode == .replace ? .set(path, JSONFragment(prompt)) : insertion(at: path, before: message["content"])
        }
        return nil
    }

    private var newMessage: JSONEdit {
        .insert("messages", index: 0, ["role": "system", "content": JSONFragment(prompt)])
    }

    // MARK: A member of its own

    private func applyToMember(_ key: String, of draft: inout RequestDraft) -> Bool {
        let path: JSONPath = [.key(key)]
        let existing = draft.client(key)
        let isText = existing.map { $0.isNull || $0.isString } ?? true
        // Only Anthropic's API has parts here.
        guard isText || (draft.endpoint == .messages && existing?.isArray == true) else { return false }
        switch mode == .replace ? .set(path, JSONFragment(prompt)) : insertion(at: path, before: existing) {
        case .set(_, let value): draft.set(key, value)
        case let edit?: draft.edit(inside: key, [edit])
        case nil: return false
        }
        return true
    }

    /// Puts the prompt before the content at `path`; nil when that is neither text nor a list.
    private func insertion(at path: JSONPath, before existing: JSONValue?) -> JSONEdit? {
        switch existing?.kind {
        case nil, .null:
            .set(path, JSONFragment(prompt))
        case .string:
            .set(path, JSONFragment("\(prompt)\n\n\(existing?.string ?? "")"))
        case .array:
            .insert(path, index: 0, ["type": "text", "text": JSONFragment(prompt)])
        case .object, .number, .bool:
            nil
        }
    }
}
