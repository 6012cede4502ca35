/// The HTTP paths of OpenAI's, Anthropic's and vLLM's APIs whose request bodies carry a user's text.
///
/// Guards look at every one of them: a prompt must not get past by taking another door.
package enum TextEndpoint: String, CaseIterable, Hashable, Sendable {
    case chatCompletions = "/v1/chat/completions"
    case completions = "/v1/completions"
    case responses = "/v1/responses"
    /// Anthropic's API, which vLLM serves too.
    case messages = "/v1/messages"
    case embeddings = "/v1/embeddings"
    case rerank = "/v1/rerank"
    case score = "/v1/score"
    case tokenize = "/tokenize"
    case detokenize = "/detokenize"
    case classify = "/classify"
    case pooling = "/pooling"

    /// The endpoint of a request path, with or without a query. Paths are compared as they are written: one with
    /// escapes or a slash at the end is another path, here as in vLLM.
    package init?(path: some StringProtocol) {
        let path = path.prefix { $0 != "?" }
        switch path {
        case "/rerank", "/v2/rerank": self = .rerank
        case "/score": self = .score
        default: self.init(rawValue: String(path))
        }
    }
}
