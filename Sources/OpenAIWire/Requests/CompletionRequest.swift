/// A request to `/v1/completions`.
package struct CompletionRequest: Sendable {
    private let root: JSONValue

    package init(_ request: TextRequest) { root = request.root }

    /// Nil when the prompt is given as embeddings only.
    package var prompt: PromptInput? {
        get throws(RouterError) {
            if let prompt = root.given("prompt") { return try PromptInput(prompt) }
            guard hasEmbeddings else { throw root.missing("prompt") }
            return nil
        }
    }

    /// Whether vLLM's `prompt_embeds` take the place of text, or stand beside it.
    package var hasEmbeddings: Bool { root.given("prompt_embeds") != nil }

    /// What shall follow the completion.
    package var suffix: JSONValue? {
        get throws(RouterError) { try root.optional("suffix", .string) }
    }

    package var maxTokens: Int? {
        get throws(RouterError) { try root.optionalInt("max_tokens") }
    }

    func collect(into collector: inout TextCollector) throws(RouterError) {
        if let prompt = try prompt { collector.prompt(prompt) }
        collector.text(try suffix, .user, isContent: false)
        if hasEmbeddings { collector.note(.encoded) }
    }
}
