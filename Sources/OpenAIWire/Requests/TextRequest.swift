package import NIOCore

/// A JSON request body that names its model: what every router needs to know of it, whatever else it holds.
package struct JSONRequest: Sendable {
    package let document: JSONDocument
    /// The model asked for; nil when the request names none.
    package let model: String?

    /// No API has more than a hundred parameters. Looking for one costs a step for each that there is.
    private static let mostMembers = 4096

    /// - Throws: `.invalidJSON` for bytes that are no JSON, `.bodyTooLarge` over the limit, `.invalidRequest` when the
    ///   body is no object or `model` no string. Messages never quote the body.
    package init(body: ByteBuffer, limits: JSONLimits = .standard) throws(RouterError) {
        do throws(JSONError) {
            document = try JSONDocument(body, limits: limits)
        } catch {
            guard error.reason != .tooLarge, error.reason != .tooManyValues else {
                throw RouterError(.bodyTooLarge, origin: .client, "the request body is too large: \(error)")
            }
            throw RouterError(.invalidJSON, origin: .client, "the request body is not valid JSON: \(error)")
        }
        let root = document.root
        guard root.isObject else { throw .invalidRequest("the request body must be a JSON object") }
        guard root.members.lazy.dropFirst(Self.mostMembers).first(where: { _ in true }) == nil else {
            throw .invalidRequest("the request body has more than \(Self.mostMembers) members")
        }
        model = try root.optionalString("model")
    }
}

/// The body of a request to any text-carrying endpoint, and the way to its text.
///
/// A view, never a copy: fields that we do not know stay in the document, and reach the worker as they came.
package struct TextRequest: Sendable {
    package let endpoint: TextEndpoint
    private let request: JSONRequest

    /// - Throws: as `JSONRequest.init`.
    package init(
        endpoint: TextEndpoint,
        body: ByteBuffer,
        limits: JSONLimits = .standard
    ) throws(RouterError) {
        self.endpoint = endpoint
        request = try JSONRequest(body: body, limits: limits)
    }

    package var document: JSONDocument { request.document }
    package var model: String? { request.model }
    /// Whether the answer shall come as server-sent events. What is not a boolean here is the worker's to judge.
    package var isStreaming: Bool { root["stream"]?.bool ?? false }

    /// The body's object.
    package var root: JSONValue { document.root }

    /// All text of the request that a model may get to see, and what is in it that cannot be read as text.
    /// - Throws: `.invalidRequest` naming the parameter that has not the form its endpoint asks for.
    package func content() throws(RouterError) -> TextContent {
        var collector = TextCollector()
        switch endpoint {
        case .chatCompletions: try ChatRequest(self).collect(into: &collector)
        case .completions: try CompletionRequest(self).collect(into: &collector)
        case .responses: try ResponsesRequest(self).collect(into: &collector)
        case .messages: try MessagesRequest(self).collect(into: &collector)
        case .embeddings, .classify, .pooling: try EmbeddingsRequest(self).collect(into: &collector)
        case .rerank: try RerankRequest(self).collect(into: &collector)
        case .score: try ScoreRequest(self).collect(into: &collector)
        case .tokenize, .detokenize: try TokenizeRequest(self).collect(into: &collector)
        }
        return collector.content
    }
}
