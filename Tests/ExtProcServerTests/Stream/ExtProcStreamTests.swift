import EnvoyModel
import ExtProcServer
import GRPCTransport
import NIOCore
import OpenAIWire
import Testing

@Suite("A request as Envoy tells of it")
struct ExtProcStreamTests {
    private static let original = #"{"model":"auto","messages":[]}"#
    private static let pieces = [#"{"model":"#, #""auto","messages""#, ":[]}"]
    private static let editing: [BodyMode] = [.buffered, .bufferedPartial, .streamed, .fullDuplexStreamed]

    // MARK: Bodies

    @Test("In every mode that lets a body be changed it is changed whole, however it is cut", arguments: editing)
    func changedBody(mode: BodyMode) {
        for knowsLastPiece in [true, false] {
            for hasLength in [true, false] {
                var configuration = EnvoyModel.Configuration(requestBody: mode)
                configuration.knowsLastPiece = knowsLastPiece
                let outcome = Sample.exchange(
                    Sample.request(Self.pieces, length: hasLength),
                    configuration,
                    verdict: .proceed(Sample.chosen)
                )
                #expect(outcome.complaints.isEmpty)
                #expect(outcome.upstream?.body == Sample.chosen.body)
                #expect(outcome.client.headers["x-vsr-selected-model"] == ["big"])
                // Headers have gone before a streamed body comes.
                #expect(outcome.upstream?.headers["x-selected-model"] == (mode == .streamed ? [] : ["big"]))
                #expect(outcome.hasClearedRouteCache == (mode != .streamed))
            }
        }
    }

    @Test("What is asked about is the whole body as it came", arguments: editing)
    func question(mode: BodyMode) {
        var bodies: [String] = []
        _ = Sample.exchange(
            Sample.request(Self.pieces),
            .init(requestBody: mode),
            asked: { question in
                guard case .route(let head, .chatCompletions, let body) = question else { return }
                #expect(head.id == "id-1" && head.method == "POST" && head.path == Sample.chatPath)
                bodies.append(String(buffer: body))
            }
        )
        #expect(bodies == [Self.original])
    }

    @Test("Without bodies nothing is asked, and Envoy is told to go on without us")
    func noBodies() {
        for mode in [BodyMode.notSent, .grpc] {
            let outcome = Sample.exchange(
                Sample.request(Self.pieces, [("x-vsr-selected-model", "forged")]),
                .init(requestBody: mode),
                asked: { _ in Issue.record("asked") }
            )
            #expect(outcome.complaints.isEmpty && outcome.told == ["requestHeaders"] && outcome.end == .ok)
            #expect(outcome.upstream?.body == ByteBuffer(string: Self.original))
            #expect(outcome.upstream?.headers["x-vsr-selected-model"] == [])
        }
    }

    @Test("A body over the limit of BUFFERED_PARTIAL goes on as it is, with what Envoy did not show")
    func partial() {
        var configuration = EnvoyModel.Configuration(requestBody: .bufferedPartial)
        configuration.bufferLimit = 12
        for hasLength in [true, false] {
            let outcome = Sample.exchange(
                Sample.request(Self.pieces, length: hasLength),
                configuration,
                asked: { _ in Issue.record("asked") }
            )
            #expect(outcome.complaints.isEmpty)
            #expect(outcome.upstream?.body == ByteBuffer(string: Self.original))
        }
        // The piece by which it overflows may be the last one.
        configuration.bufferLimit = Self.original.utf8.count - 2
        let whole = Sample.exchange(Sample.request(Self.pieces), configuration, verdict: .proceed(Sample.chosen))
        #expect(whole.complaints.isEmpty && whole.upstream?.body == Sample.chosen.body)
    }

    @Test("Envoy's own 413 for a body over its buffer passes with the request's id")
    func overBuffer() {
        var configuration = EnvoyModel.Configuration()
        configuration.bufferLimit = 12
        let outcome = Sample.exchange(Sample.request(Self.pieces), configuration)
        #expect(outcome.complaints.isEmpty && outcome.upstream == nil && !outcome.isImmediate)
        #expect(outcome.client.status == 413 && outcome.client.headers["x-request-id"] == ["id-1"])
    }

    @Test("Before Envoy 1.33 nobody says how bodies come: one that comes whole is changed, others pass")
    func unknownModes() {
        for mode in [BodyMode.buffered, .bufferedPartial, .streamed, .notSent] {
            var configuration = EnvoyModel.Configuration(requestBody: mode)
            configuration.tellsModes = false
            // No Envoy of those days had a length there for us to get wrong.
            var chosen = Sample.chosen
            if mode == .streamed { chosen.headers = HeaderMutation() }
            let outcome = Sample.exchange(Sample.request([Self.original]), configuration, verdict: .proceed(chosen))
            let isChanged = mode != .notSent
            #expect(outcome.upstream?.body == (isChanged ? chosen.body : ByteBuffer(string: Self.original)))
            if mode != .streamed { #expect(outcome.complaints.isEmpty) }
            guard mode == .streamed else { continue }
            let cut = Sample.exchange(Sample.request(Self.pieces), configuration, verdict: .proceed(chosen))
            #expect(cut.complaints.isEmpty && cut.upstream?.body == ByteBuffer(string: Self.original))
        }
    }

    @Test("A body without a byte, known from the headers or not, is asked about", arguments: editing)
    func emptyBody(mode: BodyMode) {
        for pieces in [nil, []] as [[ByteBuffer]?] {
            var count = 0
            let outcome = Sample.exchange(
                EnvoyModel.Message(headers: Sample.head(), pieces: pieces),
                .init(requestBody: mode),
                verdict: .respond(Sample.immediate),
                asked: { question in
                    guard case .route(_, _, let body) = question else { return }
                    #expect(body.readableBytes == 0)
                    count += 1
                }
            )
            #expect(count == 1 && outcome.complaints.isEmpty && outcome.isImmediate && outcome.upstream == nil)
        }
    }

    @Test("Bodies that are none of ours pass byte for byte, and Envoy is told so at once where it can be")
    func otherPaths() {
        let bytes = ByteBuffer(bytes: (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 7) })
        for mode in BodyMode.allCases {
            for hasTrailers in [false, true] {
                let request = EnvoyModel.Message(
                    headers: Sample.head("POST", "/v1/audio/transcriptions", [("x-selected-model", "forged")]),
                    pieces: [bytes, ByteBuffer(string: "end")],
                    trailers: hasTrailers ? HeaderList([("checksum", "1")]) : nil
                )
                let outcome = Sample.exchange(request, .init(requestBody: mode), asked: { _ in Issue.record("asked") })
                #expect(outcome.complaints.isEmpty, "\(mode.word)")
                #expect(outcome.upstream?.body == request.pieces?.joined)
                #expect(outcome.upstream?.trailers == request.trailers)
                #expect(outcome.upstream?.headers["x-selected-model"] == [])
                #expect(outcome.client.body == Sample.answer.pieces?.joined)
                if mode != .fullDuplexStreamed { #expect(outcome.told == ["requestHeaders"] && outcome.end == .ok) }
            }
        }
    }

    // MARK: Trailers

    @Test("Trailers stay, and the body before them is changed")
    func trailers() {
        let trailers = HeaderList([("checksum", "1")])
        for mode in [BodyMode.buffered, .bufferedPartial, .fullDuplexStreamed] {
            for hasLength in [false, true] {
                for sendsTrailers in [true, false] where sendsTrailers || mode != .fullDuplexStreamed {
                    var configuration = EnvoyModel.Configuration(requestBody: mode)
                    configuration.sendsTrailers = sendsTrailers
                    let request = Sample.request(Self.pieces, length: hasLength, trailers: trailers)
                    let outcome = Sample.exchange(request, configuration, verdict: .proceed(Sample.chosen))
                    #expect(outcome.complaints.isEmpty, "\(mode.word)")
                    #expect(outcome.upstream?.trailers == trailers)
                    // Whether a part of the body is missing cannot be known then.
                    let isUnsure = mode == .bufferedPartial && !hasLength
                    #expect(
                        outcome.upstream?.body == (isUnsure ? ByteBuffer(string: Self.original) : Sample.chosen.body)
                    )
                }
            }
        }
    }

    @Test("Trailers after a streamed body are taken when its length is known, and refused when not")
    func trailersAfterPieces() {
        let trailers = HeaderList([("checksum", "1")])
        for sendsTrailers in [true, false] {
            var configuration = EnvoyModel.Configuration(requestBody: .streamed)
            configuration.sendsTrailers = sendsTrailers
            let known = Sample.exchange(
                Sample.request(Self.pieces, trailers: trailers),
                configuration,
                verdict: .proceed(Sample.chosen)
            )
            #expect(known.complaints.isEmpty && known.upstream?.body == Sample.chosen.body)
            #expect(known.upstream?.trailers == trailers)
            let announced = Sample.exchange(
                Sample.request(Self.pieces, [("trailer", "checksum")], length: false, trailers: trailers),
                configuration
            )
            #expect(announced.complaints.isEmpty && announced.client.status == 400 && announced.upstream == nil)
        }
        let surprise = Sample.exchange(
            Sample.request(Self.pieces, length: false, trailers: trailers),
            .init(requestBody: .streamed)
        )
        #expect(surprise.complaints.isEmpty && surprise.client.status == 400 && surprise.upstream == nil)
    }

    // MARK: Refusals

    @Test("A compressed body is refused with the headers; `identity` is none")
    func compressed() {
        for (encoding, status) in [("gzip", 415), ("br, gzip", 415), ("Identity", 200), ("identity", 200)] {
            for mode in Self.editing {
                let request = Sample.request(Self.pieces, [("content-encoding", encoding)])
                let outcome = Sample.exchange(request, .init(requestBody: mode))
                #expect(outcome.complaints.isEmpty)
                #expect(outcome.client.status == status, "\(encoding)")
            }
        }
    }

    @Test("A body over our own limit is refused in every mode, and nothing of it is kept", arguments: editing)
    func tooLarge(mode: BodyMode) {
        let size = Self.original.utf8.count
        for (limit, status) in [(size, 200), (size - 1, 413), (1, 413)] {
            var processor = StreamProcessor(Sample.stream(maxBodyBytes: limit)) { _ in .proceed(Sample.proceeding()) }
            let outcome = EnvoyModel.exchange(
                Sample.request(Self.pieces),
                under: .init(requestBody: mode),
                with: { processor.receive($0) },
                upstream: { _ in Sample.answer }
            )
            #expect(outcome.complaints.isEmpty && outcome.client.status == status)
            #expect(processor.stream.gatheredBytes == 0)
            #expect(processor.stream.refusal == (status == 413 ? .bodyTooLarge : nil))
            guard status == 413 else { continue }
            #expect(outcome.client.headers["content-type"] == ["application/json"])
            #expect(outcome.client.headers["x-request-id"] == ["id-1"])
        }
    }

    @Test("Whatever has come of a request, it can be refused from outside, once, and is over then", arguments: editing)
    func refusedFromOutside(mode: BodyMode) throws {
        let messages = try Messages.of(Sample.request(Self.pieces), mode)
        for count in 0...messages.count {
            var processor = StreamProcessor(Sample.stream()) { _ in .proceed(Sample.chosen) }
            for message in messages.prefix(count) { _ = processor.receive(message) }
            let refusal = processor.stream.refuse(
                RouterError(.requestTimeout, origin: .client, "too slow")
            )
            guard case .reply(let reply) = refusal, case .immediate(let response) = reply.part else {
                Issue.record("not refused after \(count) messages")
                continue
            }
            #expect(response.status == 408 && processor.stream.end == .ok)
            if case .nothing = processor.stream.refuse(.invalidRequest("again")) {
            } else {
                Issue.record("refused twice")
            }
            for message in messages { #expect(processor.receive(message).replies.isEmpty) }
        }
    }

    @Test("A request is on its way only once it has been decided", arguments: editing)
    func decided(mode: BodyMode) throws {
        let messages = try Messages.of(Sample.request(Self.pieces), mode)
        var processor = StreamProcessor(Sample.stream()) { _ in .proceed(Sample.chosen) }
        for (index, message) in messages.enumerated() {
            #expect(!processor.stream.isDecided)
            _ = processor.receive(message)
            #expect(processor.stream.isGathering == (index < messages.count - 1))
        }
        #expect(processor.stream.isDecided)
    }

    // MARK: Headers

    @Test(
        "What only routers say is taken from clients; who asks goes on to the next router, if a hop is trusted to say it"
    )
    func reservedHeaders() {
        let sent = [
            ("x-vsr-selected-model", "forged"), ("x-vsr-selected-model", "twice"), ("x-selected-model", "forged"),
            ("x-vsr-destination-endpoint", "10.0.0.1:80"), ("x-vsr-debug", "true"), ("x-authz-user-id", "ann"),
            ("x-vsrx", "kept"),
        ].map { (name: $0, value: $1) }
        for trusts in [true, false] {
            for mode in BodyMode.allCases {
                let outcome = Sample.exchange(
                    Sample.request(Self.pieces, sent),
                    .init(requestBody: mode),
                    stream: Sample.stream(trustsIdentityHeaders: trusts)
                )
                let names = Set((outcome.upstream?.headers.fields ?? []).map(\.name)).intersection(sent.map(\.name))
                #expect(outcome.complaints.isEmpty)
                #expect(names == (trusts ? ["x-vsr-debug", "x-authz-user-id", "x-vsrx"] : ["x-vsr-debug", "x-vsrx"]))
            }
        }
    }

    @Test("What is set for the worker is not taken for a client's", arguments: editing)
    func setAfterRemoval(mode: BodyMode) {
        let request = Sample.request(Self.pieces, [("x-selected-model", "forged")])
        let outcome = Sample.exchange(request, .init(requestBody: mode), verdict: .proceed(Sample.chosen))
        #expect(outcome.upstream?.headers["x-selected-model"] == (mode == .streamed ? [] : ["big"]))
    }

    // MARK: Answers

    @Test(
        "Every answer tells the request's id, a successful one how it was routed",
        arguments: [(200, true), (204, true), (299, true), (300, false), (404, false), (503, false)]
    )
    func answerHeaders(status: Int, isTold: Bool) {
        for responseBody in BodyMode.allCases {
            let outcome = Sample.exchange(
                Sample.request(Self.pieces),
                .init(responseBody: responseBody),
                verdict: .proceed(Sample.chosen),
                answer: Sample.failure(status)
            )
            #expect(outcome.complaints.isEmpty && outcome.client.status == status)
            #expect(outcome.client.headers["x-request-id"] == ["id-1"])
            #expect(outcome.client.headers["x-vsr-schema-version"] == ["2"])
            #expect(outcome.client.headers["x-vsr-selected-model"] == (isTold ? ["big"] : []))
            #expect(outcome.client.body == ByteBuffer(string: "oops"))
        }
    }

    @Test("A worker's own x-vsr-* do not stand beside ours, and a value that cannot be sent is left out")
    func answerValues() {
        var proceeding = Sample.chosen
        proceeding.answer.onSuccess.append(("x-vsr-selected-decision", "a\nb"))
        var answer = Sample.answer
        answer.headers.add("x-vsr-selected-model", "another")
        let outcome = Sample.exchange(Sample.request(Self.pieces), verdict: .proceed(proceeding), answer: answer)
        #expect(outcome.complaints.isEmpty)
        #expect(outcome.client.headers["x-vsr-selected-model"] == ["big"])
        #expect(outcome.client.headers["x-vsr-selected-decision"] == [])
    }

    @Test("Answers pass byte for byte in every mode, with their trailers")
    func answerBodies() {
        for responseBody in BodyMode.allCases {
            for knowsLastPiece in [true, false] {
                for trailers in [nil, HeaderList([("grpc-status", "0")])] {
                    var configuration = EnvoyModel.Configuration(responseBody: responseBody)
                    configuration.knowsLastPiece = knowsLastPiece
                    for sample in [Sample.answer, Sample.events, EnvoyModel.Message(headers: Sample.answer.headers)] {
                        var answer = sample
                        answer.trailers = trailers
                        let outcome = Sample.exchange(Sample.request(Self.pieces), configuration, answer: answer)
                        #expect(outcome.complaints.isEmpty, "\(responseBody.word)")
                        #expect(outcome.client.body == (answer.pieces ?? []).joined)
                        #expect(outcome.client.trailers == trailers)
                    }
                }
            }
        }
    }

    @Test("A stream of events is not kept back until it is over, where Envoy lets us say so")
    func events() {
        for (allows, pieces) in [(true, Sample.events.pieces?.count), (false, 1)] {
            for mode in [BodyMode.buffered, .bufferedPartial] {
                var configuration = EnvoyModel.Configuration(responseBody: mode)
                configuration.allowsModeOverride = allows
                let outcome = Sample.exchange(Sample.request(Self.pieces), configuration, answer: Sample.events)
                #expect(outcome.complaints.isEmpty)
                #expect(outcome.client.pieces.count == pieces)
                let whole = Sample.exchange(Sample.request(Self.pieces), configuration, answer: Sample.answer)
                #expect(whole.client.pieces.count == 1)
            }
        }
    }

    @Test("The call ends with the last reply that Envoy waits for, so that a long answer does not depend on us")
    func endsEarly() {
        let request = Sample.request(Self.pieces)
        #expect(Sample.exchange(request, .init(responseBody: .notSent), answer: Sample.events).end == .ok)
        #expect(Sample.exchange(request, .init(responseBody: .buffered)).end == .ok)
        #expect(Sample.exchange(request, .init(responseBody: .streamed)).end == .ok)
        let empty = EnvoyModel.Message(headers: HeaderList([(":status", "204")]))
        for mode in BodyMode.allCases {
            #expect(Sample.exchange(request, .init(responseBody: mode), answer: empty).end == .ok)
        }
    }

    @Test("An answer that comes before its request is over keeps us from none of the request's body")
    func earlyAnswer() throws {
        var processor = StreamProcessor(Sample.stream()) { _ in .proceed(Sample.chosen) }
        let messages = try Messages.of(Sample.request(Self.pieces, length: false), .streamed)
        for message in messages.dropLast() { _ = processor.receive(message) }
        let answered = processor.receive(try Messages.read(.responseHeaders([(":status", "200")], isLast: true)))
        #expect(answered.replies.map(\.part.kind) == ["responseHeaders"] && answered.end == nil)
        let last = processor.receive(messages[messages.count - 1])
        #expect(
            last.replies.map(\.part) == [
                .requestBody(CommonResponse(body: .replace(Sample.chosen.body ?? ByteBuffer())))
            ]
        )
    }

    @Test("In full duplex, an answer that comes early keeps us from giving back none of a body that is none of ours")
    func earlyAnswerInDuplex() throws {
        let request = Sample.request(Self.pieces, path: "/v1/audio/transcriptions")
        let messages = try Messages.of(request, .fullDuplexStreamed)
        let answer = try Messages.read(.responseHeaders([(":status", "200")], isLast: true))
        for place in 1...messages.count {
            var processor = StreamProcessor(Sample.stream()) { _ in .proceed(Sample.chosen) }
            var told = messages
            told.insert(answer, at: place)
            var returned: [ByteBuffer] = []
            for message in told {
                for reply in processor.receive(message).replies {
                    guard case .requestBody(let common) = reply.part, case .streamed(let bytes, _) = common.body else {
                        continue
                    }
                    returned.append(bytes)
                }
            }
            #expect(returned == request.pieces)
            #expect((processor.stream.end == .ok) == (place == messages.count))
        }
    }

    @Test("A stream that begins with an answer, as for replies of Envoy's own, changes nothing in it")
    func beginsWithAnswer() throws {
        for mode in BodyMode.allCases {
            var processor = StreamProcessor(Sample.stream()) { _ in .proceed(Sample.chosen) }
            let message = EnvoyMessage.encode(
                .responseHeaders([(":status", "403")], isLast: true),
                modes: BodyModes(request: .buffered, response: mode)
            )
            let reaction = processor.receive(try ProcessingRequest(message))
            #expect(reaction.replies == [ProcessingResponse(.responseHeaders(CommonResponse()))])
        }
    }

    // MARK: Odd streams

    @Test("Where Envoy only lets listen, nothing is said")
    func observation() {
        for mode in BodyMode.allCases {
            var configuration = EnvoyModel.Configuration(requestBody: mode, responseBody: mode)
            configuration.isObservation = true
            let outcome = Sample.exchange(
                Sample.request(Self.pieces),
                configuration,
                asked: { _ in Issue.record("asked") }
            )
            #expect(outcome.complaints.isEmpty && outcome.end == nil)
            #expect(outcome.upstream?.body == ByteBuffer(string: Self.original))
        }
    }

    @Test("A second request on a stream ends it with an error")
    func twice() throws {
        for request in [Sample.request(Self.pieces), Sample.get("/v1/models/none"), Sample.get("/healthz")] {
            var processor = StreamProcessor(Sample.stream()) { _ in .proceed(Sample.proceeding()) }
            let head = try Messages.of(request, .fullDuplexStreamed)[0]
            _ = processor.receive(head)
            let reaction = processor.receive(head)
            #expect(reaction.replies.isEmpty && reaction.end?.code == .invalidArgument)
        }
    }
}

/// Messages one by one, for streams that no Envoy would send whole.
enum Messages {
    static func read(_ part: EnvoyMessage.Part, modes: BodyModes? = nil) throws -> ProcessingRequest {
        try ProcessingRequest(EnvoyMessage.encode(part, modes: modes))
    }

    /// What is told of a request.
    static func of(_ request: EnvoyModel.Message, _ mode: BodyMode) throws -> [ProcessingRequest] {
        let modes = BodyModes(request: mode, response: .streamed)
        let head = try read(.requestHeaders(request.headers.tuples, isLast: request.pieces == nil), modes: modes)
        guard let pieces = request.pieces else { return [head] }
        let isWhole = mode == .buffered || mode == .bufferedPartial
        let bodies = isWhole ? [pieces.joined] : pieces
        return [head]
            + (try bodies.enumerated().map { try read(.requestBody($1, isLast: $0 == bodies.count - 1)) })
    }
}

extension Messages {
    /// Header fields as they are read from a message.
    static func fields(_ fields: EnvoyMessage.Fields) throws -> HeaderFields {
        guard case .requestHeaders(let part) = try read(.requestHeaders(fields, isLast: true)).part else {
            return try Messages.fields([])
        }
        return part.fields
    }
}
