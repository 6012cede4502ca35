import EnvoyAPI
import ExtProcServer
import Foundation
import NIOCore
import SwiftProtobuf
import TestRandom
import Testing

/// What `ProcessingResponse` writes, read by SwiftProtobuf.
@Suite struct WireWritingTests {
    @Test("SwiftProtobuf reads what was meant")
    func writesResponses() throws {
        var random = SeededRandom.fromEnvironment()
        for _ in 0..<2_000 {
            let response = ProcessingResponse.random(&random)
            let bytes = written(response)
            #expect(try EnvoyProcessingResponse(serializedBytes: bytes) == meaning(of: response), "\(response)")
        }
    }

    @Test("Nothing is written that need not be")
    func writesLittle() throws {
        var random = SeededRandom.fromEnvironment()
        for _ in 0..<500 {
            let response = ProcessingResponse.random(&random)
            let shortest: [UInt8] = try meaning(of: response).serializedBytes()
            #expect(written(response) == shortest, "\(response)")
        }
    }

    @Test("A response is written after what the buffer holds")
    func appends() throws {
        var buffer = ByteBuffer(string: "head")
        ProcessingResponse(.requestTrailers).write(to: &buffer)
        ProcessingResponse(.responseTrailers).write(to: &buffer)
        #expect(Array(buffer: buffer) == Array("head".utf8) + [0x2A, 0, 0x32, 0])
    }

    @Test("A body is written as it is, whatever its length", arguments: [0, 1, 127, 128, 16_383, 16_384, 2_097_152])
    func writesBodies(length: Int) throws {
        let content = (0..<length).map { UInt8(truncatingIfNeeded: $0) }
        var body = ByteBuffer(bytes: [1, 2, 3] + content)
        body.moveReaderIndex(forwardBy: 3)
        let mutations: [(BodyMutation, EnvoyBodyMutation.OneOf_Mutation)] = [
            (.replace(body), .body(Data(content))),
            (.clear, .clearBody_p(true)),
            (
                .streamed(body, isLast: true),
                .streamedResponse(
                    .with {
                        $0.body = Data(content)
                        $0.endOfStream = true
                    }
                )
            ),
            (.streamed(body, isLast: false), .streamedResponse(.with { $0.body = Data(content) })),
        ]
        for (mutation, meant) in mutations {
            let response = ProcessingResponse(.responseBody(CommonResponse(body: mutation)))
            let message = try EnvoyProcessingResponse(serializedBytes: written(response))
            #expect(message.responseBody.response.bodyMutation.mutation == meant)
        }
    }

    private func written(_ response: ProcessingResponse) -> [UInt8] {
        var buffer = ByteBuffer()
        response.write(to: &buffer)
        return Array(buffer: buffer)
    }
}

// MARK: - What a response means, in the library's types

private func meaning(of response: ProcessingResponse) -> EnvoyProcessingResponse {
    .with { message in
        switch response.part {
        case .requestHeaders(let common): message.requestHeaders.response = meaning(of: common)
        case .responseHeaders(let common): message.responseHeaders.response = meaning(of: common)
        case .requestBody(let common): message.requestBody.response = meaning(of: common)
        case .responseBody(let common): message.responseBody.response = meaning(of: common)
        case .requestTrailers: message.requestTrailers = EnvoyTrailersResponse()
        case .responseTrailers: message.responseTrailers = EnvoyTrailersResponse()
        case .immediate(let immediate): message.immediateResponse = meaning(of: immediate)
        case .moreTime(let seconds): message.overrideMessageTimeout.seconds = Int64(seconds)
        }
        guard let modes = response.modeOverride else { return }
        message.modeOverride = .with {
            $0.requestHeaderMode = .send
            $0.responseHeaderMode = .send
            $0.requestBodyMode = meaning(of: modes.request)
            $0.responseBodyMode = meaning(of: modes.response)
        }
    }
}

private func meaning(of mode: BodyMode) -> EnvoyProcessingMode.BodySendMode {
    switch mode {
    case .notSent: .none
    case .streamed: .streamed
    case .buffered: .buffered
    case .bufferedPartial: .bufferedPartial
    case .fullDuplexStreamed: .fullDuplexStreamed
    case .grpc: .grpc
    }
}

private func meaning(of common: CommonResponse) -> EnvoyCommonResponse {
    .with {
        if !common.headers.isEmpty { $0.headerMutation = meaning(of: common.headers) }
        if let body = common.body { $0.bodyMutation = meaning(of: body) }
        $0.clearRouteCache_p = common.clearsRouteCache
    }
}

private func meaning(of mutation: HeaderMutation) -> EnvoyHeaderMutation {
    .with {
        $0.setHeaders = mutation.fields.map(meaning)
        $0.removeHeaders = mutation.removed
    }
}

private func meaning(of field: HeaderMutation.Field) -> EnvoyHeaderValueOption {
    .with {
        $0.header.key = field.name
        $0.header.rawValue = Data(field.value.utf8)
        switch field.action {
        case .append: $0.append = Google_Protobuf_BoolValue(true)
        case .overwrite: $0.appendAction = .overwriteIfExistsOrAdd
        }
        $0.keepEmptyValue = field.value.isEmpty
    }
}

private func meaning(of mutation: BodyMutation) -> EnvoyBodyMutation {
    .with {
        switch mutation {
        case .replace(let bytes): $0.body = Data(buffer: bytes)
        case .clear: $0.clearBody_p = true
        case .streamed(let bytes, let isLast):
            $0.streamedResponse = .with {
                $0.body = Data(buffer: bytes)
                $0.endOfStream = isLast
            }
        }
    }
}

private func meaning(of immediate: ImmediateResponse) -> EnvoyImmediateResponse {
    .with {
        $0.status = .with { $0.code = Int32(immediate.status) }
        if !immediate.headers.isEmpty { $0.headers = meaning(of: immediate.headers) }
        $0.body = Data(buffer: immediate.body)
        $0.details = immediate.details
    }
}

extension Data {
    fileprivate init(buffer: ByteBuffer) { self.init(buffer.readableBytesView) }
}

// MARK: - Responses of every kind

extension ProcessingResponse {
    fileprivate static func random(_ random: inout SeededRandom) -> ProcessingResponse {
        let part: Part =
            switch random.below(8) {
            case 0: .requestHeaders(.random(&random))
            case 1: .responseHeaders(.random(&random))
            case 2: .requestBody(.random(&random))
            case 3: .responseBody(.random(&random))
            case 4: .requestTrailers
            case 5: .responseTrailers
            case 6: .moreTime(seconds: random.pick([1, 10, 300, 100_000]))
            default: .immediate(.random(&random))
            }
        let modes = ModeOverride(request: random.pick(BodyMode.allCases), response: random.pick(BodyMode.allCases))
        return ProcessingResponse(part, modeOverride: random.once(in: 3) ? modes : nil)
    }
}

extension CommonResponse {
    fileprivate static func random(_ random: inout SeededRandom) -> CommonResponse {
        CommonResponse(
            headers: random.once(in: 3) ? HeaderMutation() : .random(&random),
            body: random.once(in: 2) ? nil : .random(&random),
            clearsRouteCache: random.once(in: 2)
        )
    }
}

extension HeaderMutation {
    fileprivate static func random(_ random: inout SeededRandom) -> HeaderMutation {
        HeaderMutation(
            fields: (0..<random.pick([0, 1, 2, 20])).map { _ in
                Field(.random(&random), .random(&random), random.once(in: 2) ? .append : .overwrite)
            },
            removed: (0..<random.pick([0, 1, 5])).map { _ in .random(&random) }
        )
    }
}

extension BodyMutation {
    fileprivate static func random(_ random: inout SeededRandom) -> BodyMutation {
        switch random.below(3) {
        case 0: .replace(.random(&random))
        case 1: .clear
        default: .streamed(.random(&random), isLast: random.once(in: 2))
        }
    }
}

extension ImmediateResponse {
    fileprivate static func random(_ random: inout SeededRandom) -> ImmediateResponse {
        ImmediateResponse(
            status: random.once(in: 20) ? 0 : 100 + random.below(500),
            headers: .random(&random),
            body: .random(&random),
            details: .random(&random)
        )
    }
}

extension ByteBuffer {
    /// Bytes with others around them, so that nobody takes all that is stored.
    fileprivate static func random(_ random: inout SeededRandom) -> ByteBuffer {
        var buffer = ByteBuffer(bytes: [1, 2, 3] + [UInt8].random(&random, longest: 20_000) + [4, 5])
        buffer.moveReaderIndex(forwardBy: 3)
        buffer.moveWriterIndex(to: buffer.writerIndex - 2)
        return buffer
    }
}
