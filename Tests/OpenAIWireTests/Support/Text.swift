import NIOCore
import OpenAIWire
import Testing

/// The document of a JSON text that a test vouches for.
func document(_ text: String) throws -> JSONDocument { try JSONDocument(ByteBuffer(string: text)) }

/// The body of a request as a test writes it.
func request(_ endpoint: TextEndpoint, _ text: String) throws(RouterError) -> TextRequest {
    try TextRequest(endpoint: endpoint, body: ByteBuffer(string: text))
}

/// The error that `body` throws, which must be one of ours.
func routerError(_ body: () throws(RouterError) -> Void) throws -> RouterError {
    do throws(RouterError) {
        try body()
    } catch {
        return error
    }
    return try #require(nil, "no error was thrown")
}
