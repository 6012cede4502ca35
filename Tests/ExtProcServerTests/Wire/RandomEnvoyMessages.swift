import EnvoyAPI
import Foundation
import SwiftProtobuf
import TestRandom

extension EnvoyProcessingRequest {
    /// A message of any stage; once in a while of none.
    static func random(_ random: inout SeededRandom, longest: Int = 20_000) -> EnvoyProcessingRequest {
        var message = EnvoyProcessingRequest()
        switch random.below(13) {
        case 0, 1: message.requestHeaders = .random(&random)
        case 2, 3: message.responseHeaders = .random(&random)
        case 4, 5: message.requestBody = .random(&random, longest: longest)
        case 6, 7: message.responseBody = .random(&random, longest: longest)
        case 8, 9: message.requestTrailers = .random(&random)
        case 10, 11: message.responseTrailers = .random(&random)
        default: break
        }
        if random.once(in: 3) {
            for _ in 0..<random.below(3) {
                message.metadataContext.filterMetadata[.random(&random)] = .random(&random, depth: 0)
            }
        }
        for _ in 0..<random.below(3) { message.attributes[.random(&random)] = .random(&random, depth: 0) }
        message.observabilityMode = random.once(in: 4)
        if random.once(in: 3) { message.protocolConfig = .random(&random) }
        return message
    }
}

extension EnvoyHttpHeaders {
    fileprivate static func random(_ random: inout SeededRandom) -> EnvoyHttpHeaders {
        var headers = EnvoyHttpHeaders()
        if !random.once(in: 10) { headers.headers = .random(&random) }
        headers.endOfStream = random.once(in: 2)
        return headers
    }
}

extension EnvoyHttpTrailers {
    fileprivate static func random(_ random: inout SeededRandom) -> EnvoyHttpTrailers {
        var trailers = EnvoyHttpTrailers()
        if !random.once(in: 4) { trailers.trailers = .random(&random) }
        return trailers
    }
}

extension EnvoyHttpBody {
    fileprivate static func random(_ random: inout SeededRandom, longest: Int) -> EnvoyHttpBody {
        var body = EnvoyHttpBody()
        body.body = Data([UInt8].random(&random, longest: longest))
        body.endOfStream = random.once(in: 2)
        body.endOfStreamWithoutMessage = random.once(in: 8)
        body.grpcMessageCompressed = random.once(in: 8)
        return body
    }
}

extension EnvoyHeaderMap {
    fileprivate static func random(_ random: inout SeededRandom) -> EnvoyHeaderMap {
        var map = EnvoyHeaderMap()
        map.headers = (0..<random.pick([0, 1, 2, 5, 30])).map { _ in .random(&random) }
        return map
    }
}

extension EnvoyHeaderValue {
    fileprivate static func random(_ random: inout SeededRandom) -> EnvoyHeaderValue {
        var header = EnvoyHeaderValue()
        header.key = random.once(in: 4) ? .random(&random) : random.pick(headerNames)
        // Envoy sets one of them; both are sent here as well, since a library reads both.
        if random.once(in: 3) { header.value = .random(&random) }
        if !random.once(in: 3) { header.rawValue = Data([UInt8].random(&random, longest: 300)) }
        return header
    }
}

private let headerNames = [
    ":path", ":method", ":authority", "content-type", "content-length", "authorization", "x-request-id", "x-vsr-model",
    "x-vsr-", "x-vs", "",
]

extension EnvoyProtocolConfiguration {
    fileprivate static func random(_ random: inout SeededRandom) -> EnvoyProtocolConfiguration {
        func mode(_ random: inout SeededRandom) -> EnvoyProcessingMode.BodySendMode {
            let number = random.once(in: 4) ? random.pick([6, 7, 1000, -1, Int(Int32.min)]) : random.below(6)
            return EnvoyProcessingMode.BodySendMode(rawValue: number) ?? .none
        }
        var configuration = EnvoyProtocolConfiguration()
        configuration.requestBodyMode = mode(&random)
        configuration.responseBodyMode = mode(&random)
        configuration.sendBodyWithoutWaitingForHeaderResponse = random.once(in: 2)
        return configuration
    }
}

extension Google_Protobuf_Struct {
    fileprivate static func random(_ random: inout SeededRandom, depth: Int) -> Google_Protobuf_Struct {
        var object = Google_Protobuf_Struct()
        for _ in 0..<random.below(4) {
            var value = Google_Protobuf_Value()
            switch random.below(depth < 3 ? 5 : 4) {
            case 0: value.nullValue = .nullValue
            case 1: value.numberValue = Double(random.below(1_000_000)) / 7
            case 2: value.stringValue = .random(&random)
            case 3: value.boolValue = random.once(in: 2)
            default: value.structValue = .random(&random, depth: depth + 1)
            }
            object.fields[.random(&random)] = value
        }
        return object
    }
}

// MARK: - Values

extension [UInt8] {
    /// Bytes of any kind. Lengths at which a length takes a byte more are likelier than others.
    static func random(_ random: inout SeededRandom, longest: Int) -> [UInt8] {
        let edges = [0, 1, 127, 128, 129, 16_383, 16_384, 16_385].filter { $0 <= longest }
        let count = random.once(in: 2) ? random.pick(edges) : random.below(Swift.min(longest, 400) + 1)
        let isText = random.once(in: 2)
        return (0..<count).map { _ in isText ? UInt8(32 + random.below(95)) : UInt8(random.below(256)) }
    }
}

extension String {
    /// Text of up to 40 characters, now and then of 127 or 128 bytes, with characters of one to four bytes.
    static func random(_ random: inout SeededRandom) -> String {
        if random.once(in: 10) { return String(repeating: "a", count: random.pick([127, 128, 16_383, 16_384])) }
        let letters: [Character] =
            random.once(in: 3) ? ["a", "-", "é", "\u{0}", "漢", "😀", "\u{FFFD}"] : ["a", "b", "-", "7"]
        return String((0..<random.below(40)).map { _ in random.pick(letters) })
    }
}
