import EnvoyModel
import ExtProcServer
import GRPCTransport
import NIOCore
import Testing

/// The model of Envoy must see mistakes, or no test that uses it means anything.
@Suite("The model of Envoy")
struct EnvoyModelTests {
    private func exchange(
        _ mode: BodyMode = .buffered,
        request: EnvoyModel.Message = Sample.request([#"{"model":"auto"}"#]),
        processor: @escaping (ProcessingRequest) -> Reaction
    ) -> EnvoyModel.Outcome {
        EnvoyModel.exchange(request, under: .init(requestBody: mode), with: processor) { _ in Sample.answer }
    }

    /// Continues with whatever is asked, but for the request's body.
    private func continuing(_ body: CommonResponse) -> (ProcessingRequest) -> Reaction {
        { message in
            switch message.part {
            case .requestHeaders: Reaction([ProcessingResponse(.requestHeaders(CommonResponse()))])
            case .requestBody: Reaction([ProcessingResponse(.requestBody(body))])
            case .requestTrailers: Reaction([ProcessingResponse(.requestTrailers)])
            case .responseHeaders: Reaction([ProcessingResponse(.responseHeaders(CommonResponse()))])
            case .responseBody: Reaction([ProcessingResponse(.responseBody(CommonResponse()))])
            case .responseTrailers: Reaction([ProcessingResponse(.responseTrailers)])
            }
        }
    }

    @Test("A processor that changes nothing loses nothing and has nobody complain")
    func harmless() {
        for mode in [BodyMode.buffered, .bufferedPartial, .streamed, .notSent] {
            let outcome = exchange(mode, processor: continuing(CommonResponse()))
            #expect(outcome.complaints.isEmpty, "\(mode.word)")
            #expect(outcome.upstream?.body == ByteBuffer(string: #"{"model":"auto"}"#))
            #expect(outcome.client.body == Sample.answer.pieces?.joined)
        }
    }

    @Test("No reply, two replies, the wrong reply and an end with an error are complaints, and the client gets 500")
    func protocolErrors() {
        let head = ProcessingResponse(.requestHeaders(CommonResponse()))
        let wrong: [Reaction] = [
            Reaction(), Reaction([head, head]), Reaction([ProcessingResponse(.requestTrailers)]),
            Reaction(end: GRPCStatus(.unavailable)),
        ]
        for reaction in wrong {
            let outcome = exchange { _ in reaction }
            #expect(!outcome.complaints.isEmpty && outcome.client.status == 500 && outcome.upstream == nil)
        }
    }

    @Test("A length that does not fit, a name or value that cannot be sent, and a streamed piece are complaints")
    func mutations() {
        let body = BodyMutation.replace(ByteBuffer(string: "longer than it was"))
        let mutations: [CommonResponse] = [
            CommonResponse(body: body),
            CommonResponse(headers: HeaderMutation(fields: [.init("content-length", "1")]), body: body),
            CommonResponse(headers: HeaderMutation(fields: [.init("a name", "x")])),
            CommonResponse(headers: HeaderMutation(fields: [.init("name", "a\nb")])),
            CommonResponse(headers: HeaderMutation(removed: [""])),
            CommonResponse(body: .streamed(ByteBuffer(), isLast: true)),
        ]
        for common in mutations {
            let outcome = exchange(processor: continuing(common))
            #expect(!outcome.complaints.isEmpty && outcome.client.status == 500, "\(common)")
        }
        let lone = exchange(processor: continuing(CommonResponse(clearsRouteCache: true)))
        #expect(lone.complaints == ["clear_route_cache is ignored without a change of headers"])
    }

    @Test("In full duplex, what does not come back whole is a complaint")
    func duplex() {
        let plain = exchange(.fullDuplexStreamed, processor: continuing(CommonResponse()))
        #expect(!plain.complaints.isEmpty)
        let unfinished = CommonResponse(body: .streamed(ByteBuffer(string: "x"), isLast: false))
        let outcome = exchange(.fullDuplexStreamed, processor: continuing(unfinished))
        #expect(outcome.complaints == ["waits for ever: the request did not come back whole"])
    }

    @Test(
        "Fields are removed first, then set: one that is set replaces all of its name, one that is added stands beside them"
    )
    func headers() {
        let mutation = HeaderMutation(
            fields: [
                .init("a", "new"), .init("b", "beside", .append), .init("content-length", "16"), .init("Host", "no"),
            ],
            removed: ["content-length", "C", ":authority"]
        )
        let more = [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")].map { (name: $0, value: $1) }
        let outcome = exchange(
            request: Sample.request([#"{"model":"auto"}"#], more),
            processor: continuing(CommonResponse(headers: mutation))
        )
        #expect(outcome.complaints.isEmpty)
        let headers = outcome.upstream?.headers
        #expect(headers?["a"] == ["new"] && headers?["b"] == ["2", "beside"] && headers?["c"] == [])
        #expect(headers?["content-length"] == ["16"] && headers?["host"] == [])
        #expect(headers?[":authority"] == ["models.example"])
    }
}
