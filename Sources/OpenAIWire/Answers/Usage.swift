/// What an answer cost in tokens, in the spelling of any of the three APIs.
package struct Usage: Hashable, Sendable {
    package var promptTokens: Int
    package var completionTokens: Int
    package var totalTokens: Int
    /// Prompt tokens that the worker had in its prefix cache; nil when it does not say.
    package var cachedTokens: Int?

    package init(promptTokens: Int, completionTokens: Int, totalTokens: Int? = nil, cachedTokens: Int? = nil) {
        self.promptTokens = promptTokens
        self.completionTokens = completionTokens
        self.totalTokens = totalTokens ?? promptTokens + completionTokens
        self.cachedTokens = cachedTokens
    }

    /// Reads a usage object; nil when it counts nothing that we know.
    ///
    /// OpenAI's chat API says `prompt_tokens`, its responses API and Anthropic's `input_tokens`. Anthropic counts tokens
    /// read from the cache beside `input_tokens`, not within.
    package init?(usage value: JSONValue) {
        let prompt = value["prompt_tokens"]?.int
        let input = value["input_tokens"]?.int
        let completion = value["completion_tokens"]?.int ?? value["output_tokens"]?.int
        guard prompt != nil || input != nil || completion != nil else { return nil }
        let read = value["cache_read_input_tokens"]?.int
        let created = value["cache_creation_input_tokens"]?.int
        let details = value["prompt_tokens_details"] ?? value["input_tokens_details"]
        let promptTokens = prompt ?? Usage.sum([input, read, created])
        let completionTokens = completion ?? 0
        self.init(
            promptTokens: promptTokens,
            completionTokens: completionTokens,
            totalTokens: value["total_tokens"]?.int ?? Usage.sum([promptTokens, completionTokens]),
            cachedTokens: details?["cached_tokens"]?.int ?? read
        )
    }

    /// Reads a whole response, or one event of a stream: `usage` stands at the top, in the `response` of OpenAI's
    /// responses events, or in the `message` of Anthropic's `message_start`.
    package init?(response root: JSONValue) {
        let value =
            root.given("usage") ?? root.given("response")?.given("usage") ?? root.given("message")?.given("usage")
        guard let value else { return nil }
        self.init(usage: value)
    }

    /// A worker's numbers may be anything; their sum must not trap.
    private static func sum(_ counts: [Int?]) -> Int {
        counts.reduce(0) { sum, count in
            let (total, overflow) = sum.addingReportingOverflow(count ?? 0)
            return overflow ? .max : total
        }
    }
}
