import EnvoyModel
import ExtProcServer
import GRPCTransport
import NIOCore
import OpenAIWire
import TestRandom
import Testing

/// What holds for every request, however it is cut, in every mode of Envoy's.
@Suite("Any request, in any mode")
struct ExtProcStreamPropertyTests {
    // MARK: Whole exchanges

    @Test("The upstream gets the same in every mode, the client loses nothing, and Envoy has nothing to complain of")
    func exchanges() {
        var random = SeededRandom.fromEnvironment()
        for round in 0..<250 {
            let sample = Exchange(&random)
            for mode in BodyMode.allCases {
                var configuration = EnvoyModel.Configuration(
                    requestBody: mode,
                    responseBody: random.pick(BodyMode.allCases)
                )
                configuration.knowsLastPiece = random.once(in: 2)
                configuration.allowsModeOverride = random.once(in: 2)
                // Full duplex asks for trailers.
                let isDuplex = [mode, configuration.responseBody].contains(.fullDuplexStreamed)
                configuration.sendsTrailers = isDuplex || random.once(in: 2)
                let isPartial = mode == .bufferedPartial && random.once(in: 3)
                if isPartial { configuration.bufferLimit = 1 + random.below(sample.size + 1) }
                // A streamed body without a length ends where trailers begin: somebody must tell of them.
                if mode == .streamed, sample.hasTrailers { configuration.sendsTrailers = true }
                check(sample, configuration, round)
            }
        }
    }

    private func check(_ sample: Exchange, _ configuration: EnvoyModel.Configuration, _ round: Int) {
        let mode = configuration.requestBody
        let place: Comment = "round \(round), \(mode.word), answers \(configuration.responseBody.word)"
        var questions = 0
        let outcome = Sample.exchange(
            sample.request,
            configuration,
            stream: Sample.stream(maxBodyBytes: sample.size),
            verdict: sample.verdict,
            answer: sample.answer,
            asked: { question in
                questions += 1
                guard case .route(_, _, let body) = question else { return }
                #expect(body == sample.body, place)
            }
        )
        #expect(outcome.complaints.isEmpty, place)
        #expect(questions <= 1, place)

        let isUnsure =
            mode == .bufferedPartial
            && (sample.size > configuration.bufferLimit || sample.hasTrailers && !sample.hasLength)
        let mustAsk = sample.isText && !isUnsure && (mode.showsBodies || sample.request.pieces == nil)
        let isRefused =
            mode == .streamed && sample.isText && sample.hasTrailers && (!sample.hasLength || sample.size == 0)
        if isRefused {
            #expect(questions == 0 && outcome.client.status == 400 && outcome.upstream == nil, place)
            return
        }
        // The piece by which the buffer overflows may happen to be the last one.
        #expect(questions == (mustAsk ? 1 : 0) || isUnsure, place)
        if questions == 1, case .respond(let response) = sample.verdict {
            #expect(outcome.isImmediate && outcome.upstream == nil, place)
            #expect(outcome.client.status == response.status && outcome.client.body == response.body, place)
            return
        }
        guard let upstream = outcome.upstream else {
            Issue.record("the request was lost: \(place)")
            return
        }
        var expected = ExtProcStream.Proceeding()
        if questions == 1, case .proceed(let proceeding) = sample.verdict { expected = proceeding }
        // A request that says with its headers that it has no body can be given none.
        let body = sample.request.pieces == nil ? nil : expected.body
        #expect(upstream.body == (body ?? sample.body), place)
        #expect(upstream.trailers == sample.request.trailers, place)
        var headers = sample.request.headers
        headers.remove("x-vsr-forged")
        if questions == 1, mode != .streamed || sample.request.pieces == nil {
            for field in expected.headers.fields { headers.remove(field.name) }
            for field in expected.headers.fields { headers.add(field.name, field.value) }
            for name in expected.headers.removed { headers.remove(name) }
        }
        #expect(
            upstream.headers.sorted(without: ["content-length"]) == headers.sorted(without: ["content-length"]),
            place
        )

        #expect(outcome.client.body == (sample.answer.pieces ?? []).joined, place)
        #expect(outcome.client.trailers == sample.answer.trailers, place)
        var answered = sample.answer.headers
        if outcome.told.contains("responseHeaders") {
            answered.add("x-request-id", "id-1")
            for field in expected.answer.always { answered.add(field.name, field.value) }
            if outcome.client.status == 200 {
                for field in expected.answer.onSuccess { answered.add(field.name, field.value) }
            }
        }
        #expect(outcome.client.headers.sorted() == answered.sorted(), place)
    }

    /// A request, what shall become of it, and its answer.
    private struct Exchange {
        let request: EnvoyModel.Message
        let answer: EnvoyModel.Message
        let verdict: ExtProcStream.Verdict
        let isText: Bool
        let hasLength: Bool

        var hasTrailers: Bool { request.trailers != nil }
        var body: ByteBuffer { (request.pieces ?? []).joined }
        var size: Int { body.readableBytes }

        init(_ random: inout SeededRandom) {
            let paths = TextEndpoint.allCases.map(\.rawValue) + ["/v1/chat/completions?id=1", "/v1/audio/speech", "/"]
            let path = random.once(in: 2) ? Sample.chatPath : random.pick(paths)
            let method = random.once(in: 8) ? random.pick(["GET", "PUT", "DELETE"]) : "POST"
            isText = method == "POST" && TextEndpoint(path: path) != nil
            let pieces = random.once(in: 12) ? nil : Self.cut(Self.body(&random), &random)
            let trailers = pieces != nil && random.once(in: 4) ? HeaderList([("checksum", "1")]) : nil
            hasLength = pieces == nil || random.once(in: 2)
            var headers = Sample.head(method, path)
            if let pieces, hasLength { headers.add("content-length", String(pieces.joined.readableBytes)) }
            for _ in 0..<random.below(3) {
                headers.add(random.pick(["x-a", "x-b", "x-vsr-forged"]), random.pick(["", "é"]))
            }
            request = EnvoyModel.Message(headers: headers, pieces: pieces, trailers: trailers)
            verdict = Self.verdict(&random)
            var given = random.pick([Sample.answer, Sample.events, Sample.failure(503), Sample.failure(301)])
            if random.once(in: 4) { given.trailers = HeaderList([("checksum", "2")]) }
            if random.once(in: 6) { given.pieces = given.trailers == nil ? nil : [] }
            if given.pieces?.isEmpty ?? true { given.headers.remove("content-length") }
            answer = given
        }

        private static func body(_ random: inout SeededRandom) -> ByteBuffer {
            switch random.below(5) {
            case 0: return ByteBuffer()
            case 1:
                return ByteBuffer(bytes: (0..<random.below(300)).map { _ in UInt8(truncatingIfNeeded: random.next()) })
            case 2:
                let text = String(repeating: "Grüße, 世界! ", count: random.below(10_000))
                return ByteBuffer(string: #"{"model":"auto","messages":[{"role":"user","content":"\#(text)"}]}"#)
            default: return ByteBuffer(string: #"{"model":"auto","messages":[{"role":"user","content":"hello"}]}"#)
            }
        }

        private static func cut(_ body: ByteBuffer, _ random: inout SeededRandom) -> [ByteBuffer] {
            var rest = body
            var pieces: [ByteBuffer] = []
            while rest.readableBytes > 0 {
                let most = random.once(in: 4) ? rest.readableBytes : min(rest.readableBytes, 40_000)
                guard let piece = rest.readSlice(length: 1 + random.below(most)) else { break }
                pieces.append(piece)
            }
            return pieces
        }

        private static func verdict(_ random: inout SeededRandom) -> ExtProcStream.Verdict {
            switch random.below(5) {
            case 0: return .proceed(ExtProcStream.Proceeding())
            case 1: return .respond(ImmediateResponse(LocalResponse.events([ByteBuffer(string: "data: 1\n\n")])))
            case 2: return .respond(ImmediateResponse(ErrorResponder.respond(to: .invalidRequest("no"))))
            default:
                var proceeding = random.once(in: 2) ? Sample.chosen : ExtProcStream.Proceeding()
                if random.once(in: 2) {
                    proceeding.headers.fields += [.init("x-a", "1"), .init("x-a", "2", .append)]
                    proceeding.headers.removed.append("x-b")
                }
                if random.once(in: 4) {
                    proceeding.body = ByteBuffer(repeating: UInt8(ascii: "x"), count: random.below(200_000))
                }
                proceeding.clearsRouteCache = !proceeding.headers.isEmpty
                return .proceed(proceeding)
            }
        }
    }

    // MARK: Messages in any order

    private static func messages() -> [EnvoyMessage.Part] {
        let chat = Sample.head().tuples
        let bytes = ByteBuffer(string: "{}")
        return [
            .requestHeaders(chat, isLast: false),
            .requestHeaders(Sample.head("GET", "/v1/models").tuples, isLast: true),
            .requestBody(bytes, isLast: false), .requestBody(bytes, isLast: true), .requestTrailers([]),
            .responseHeaders([(":status", "200")], isLast: false), .responseBody(bytes, isLast: false),
            .responseBody(bytes, isLast: true), .responseTrailers([]),
        ]
    }

    @Test("Whatever comes, in whatever order, there is at most the reply that it calls for, and none after the end")
    func anyOrder() throws {
        let alphabet = try Self.messages().map { try Messages.read($0) }
        for mode in BodyMode.allCases.map(Optional.some) + [nil] {
            let firsts = try Self.messages().map { part in
                try Messages.read(part, modes: mode.map { BodyModes(request: $0, response: $0) })
            }
            var reached = 0
            func explore(_ processor: StreamProcessor, _ mode: BodyMode?, depth: Int) {
                guard depth < 4 else { return }
                for message in depth == 0 ? firsts : alphabet {
                    var next = processor
                    let hadEnded = next.stream.end != nil
                    let reaction = next.receive(message)
                    reached += 1
                    guard !hadEnded else {
                        #expect(reaction.replies.isEmpty)
                        continue
                    }
                    checkReplies(reaction, to: message, mode)
                    explore(next, mode, depth: depth + 1)
                }
            }
            for verdict in [ExtProcStream.Verdict.proceed(Sample.chosen), .respond(Sample.immediate)] {
                explore(StreamProcessor(Sample.stream()) { _ in verdict }, mode, depth: 0)
            }
            #expect(reached > 1000)
        }
    }

    private func checkReplies(_ reaction: Reaction, to message: ProcessingRequest, _ mode: BodyMode?) {
        let kinds = reaction.replies.map(\.part.kind)
        let isFailure = reaction.end.map { $0.code != .ok } ?? false
        if isFailure {
            #expect(kinds.isEmpty)
        } else if mode == .fullDuplexStreamed, message.part.isOfRequest {
            // Held back, or all that was.
            #expect(kinds.count <= 3 && kinds.dropFirst().allSatisfy { $0 != "requestHeaders" && $0 != "immediate" })
        } else {
            #expect(kinds == [message.part.kind] || kinds == ["immediate"])
        }
    }

    @Test("Random streams, of bodies of any size: never more kept than the limit, and nothing once it is over")
    func randomStreams() throws {
        var random = SeededRandom.fromEnvironment()
        let parts = Self.messages()
        for _ in 0..<2000 {
            let limit = random.below(64)
            let modes = BodyModes(request: random.pick(BodyMode.allCases), response: random.pick(BodyMode.allCases))
            var processor = StreamProcessor(Sample.stream(maxBodyBytes: limit)) { _ in .proceed(Sample.proceeding()) }
            var isFirst = true
            for _ in 0..<random.below(40) {
                let part: EnvoyMessage.Part =
                    random.once(in: 2)
                    ? .requestBody(ByteBuffer(repeating: 0x20, count: random.below(16)), isLast: random.once(in: 9))
                    : random.pick(parts)
                let hadEnded = processor.stream.end != nil
                let reaction = processor.receive(try Messages.read(part, modes: isFirst ? modes : nil))
                isFirst = false
                #expect(!hadEnded || reaction.replies.isEmpty)
                #expect(processor.stream.gatheredBytes <= limit)
                if processor.stream.end != nil { #expect(processor.stream.gatheredBytes == 0) }
            }
        }
    }

    @Test("A stream that ends at any point leaves nothing but what it had gathered")
    func endsAnywhere() throws {
        let request = Sample.request(["{", "\"a\":", "1}"], length: false)
        for mode in BodyMode.allCases {
            let messages = try Messages.of(request, mode)
            for count in 0...messages.count {
                var processor = StreamProcessor(Sample.stream()) { _ in .proceed(Sample.chosen) }
                for message in messages.prefix(count) { _ = processor.receive(message) }
                let isCut = count > 0 && count < messages.count && (mode == .streamed || mode == .fullDuplexStreamed)
                let gathered = (request.pieces ?? []).prefix(max(0, count - 1)).reduce(0) { $0 + $1.readableBytes }
                #expect(processor.stream.gatheredBytes == (isCut ? gathered : 0))
                #expect(processor.stream.isDecided == (count == messages.count || (!mode.showsBodies && count > 0)))
            }
        }
    }
}

extension BodyMode {
    fileprivate var showsBodies: Bool { self != .notSent && self != .grpc }
}

extension ProcessingRequest.Part {
    fileprivate var kind: String {
        switch self {
        case .requestHeaders: "requestHeaders"
        case .responseHeaders: "responseHeaders"
        case .requestBody: "requestBody"
        case .responseBody: "responseBody"
        case .requestTrailers: "requestTrailers"
        case .responseTrailers: "responseTrailers"
        }
    }

    fileprivate var isOfRequest: Bool { kind.hasPrefix("request") }
}

extension ImmediateResponse {
    fileprivate init(_ local: LocalResponse) {
        self.init(local, to: nil, details: "sample")
    }
}
