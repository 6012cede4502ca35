import EnvoyModel
import ExtProcServer
import NIOCore
import OpenAIWire

/// Requests, answers and verdicts to test with.
enum Sample {
    static let chatPath = "/v1/chat/completions"

    static func head(
        _ method: String = "POST",
        _ path: String = chatPath,
        _ more: [(name: String, value: String)] = []
    ) -> HeaderList {
        HeaderList(
            [(":authority", "models.example"), (":path", path), (":method", method), (":scheme", "http")] + more
                + [("x-forwarded-proto", "http"), ("x-request-id", "id-1")]
        )
    }

    static func request(
        _ pieces: [String],
        _ more: [(name: String, value: String)] = [],
        path: String = chatPath,
        length: Bool = true,
        trailers: HeaderList? = nil
    ) -> EnvoyModel.Message {
        let pieces = pieces.map { ByteBuffer(string: $0) }
        let size: [(name: String, value: String)] =
            length ? [("content-length", String(pieces.joined.readableBytes))] : []
        return EnvoyModel.Message(headers: head("POST", path, size + more), pieces: pieces, trailers: trailers)
    }

    static func get(_ path: String, _ method: String = "GET") -> EnvoyModel.Message {
        EnvoyModel.Message(headers: head(method, path))
    }

    static let answer = EnvoyModel.Message(
        headers: HeaderList([(":status", "200"), ("content-type", "application/json"), ("content-length", "11")]),
        pieces: [ByteBuffer(string: "{\"id\":"), ByteBuffer(string: "\"a1\"}")]
    )

    static let events = EnvoyModel.Message(
        headers: HeaderList([(":status", "200"), ("content-type", "Text/event-stream; charset=utf-8")]),
        pieces: [ByteBuffer(string: "data: 1\n\n"), ByteBuffer(string: "data: [DONE]\n\n")]
    )

    static func failure(_ status: Int) -> EnvoyModel.Message {
        EnvoyModel.Message(headers: HeaderList([(":status", String(status))]), pieces: [ByteBuffer(string: "oops")])
    }

    /// Goes on as it is, but for what is said.
    static func proceeding(
        _ headers: HeaderMutation = HeaderMutation(),
        body: String? = nil,
        clearsRouteCache: Bool = false
    ) -> ExtProcStream.Proceeding {
        var proceeding = ExtProcStream.Proceeding()
        proceeding.headers = headers
        proceeding.body = body.map { ByteBuffer(string: $0) }
        proceeding.clearsRouteCache = clearsRouteCache
        return proceeding
    }

    /// Chosen: a longer body, a header, and what the answer tells of it.
    static var chosen: ExtProcStream.Proceeding {
        var chosen = proceeding(
            HeaderMutation(fields: [.init("x-selected-model", "big")]),
            body: #"{"model":"big","and":"more than there was"}"#,
            clearsRouteCache: true
        )
        chosen.answer.always = [("x-vsr-schema-version", "2")]
        chosen.answer.onSuccess = [("x-vsr-selected-model", "big")]
        return chosen
    }

    static let immediate = ImmediateResponse(
        status: 200,
        headers: HeaderMutation(fields: [.init("content-type", "application/json")]),
        body: ByteBuffer(string: "{}"),
        details: "sample"
    )

    static func stream(maxBodyBytes: Int = 1 << 20, trustsIdentityHeaders: Bool = true) -> ExtProcStream {
        ExtProcStream(maxBodyBytes: maxBodyBytes, trustsIdentityHeaders: trustsIdentityHeaders)
    }

    /// Carries a request through with one verdict for whatever is asked.
    static func exchange(
        _ request: EnvoyModel.Message,
        _ configuration: EnvoyModel.Configuration = .init(),
        stream: ExtProcStream = Sample.stream(),
        verdict: ExtProcStream.Verdict = .proceed(proceeding()),
        answer: EnvoyModel.Message = Sample.answer,
        asked: ((ExtProcStream.Question) -> Void)? = nil
    ) -> EnvoyModel.Outcome {
        var processor = StreamProcessor(stream) { question in
            asked?(question)
            return verdict
        }
        return EnvoyModel.exchange(request, under: configuration, with: { processor.receive($0) }) { _ in answer }
    }
}

extension BodyMode {
    /// How Envoy's documentation spells it.
    var word: String {
        switch self {
        case .notSent: "NONE"
        case .streamed: "STREAMED"
        case .buffered: "BUFFERED"
        case .bufferedPartial: "BUFFERED_PARTIAL"
        case .fullDuplexStreamed: "FULL_DUPLEX_STREAMED"
        case .grpc: "GRPC"
        }
    }
}
