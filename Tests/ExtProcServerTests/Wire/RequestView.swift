import EnvoyAPI
import ExtProcServer
import Foundation
import NIOCore
import SwiftProtobuf
import Testing

/// What a `ProcessingRequest` says, in a form that our reading and the library's can be compared in.
struct RequestView: Equatable {
    enum Part: Equatable {
        case headers([[String]], isLast: Bool)
        case body([UInt8], isLast: Bool)
        case trailers
    }

    /// The part's field number.
    var number: Int
    var part: Part
    /// Body modes by number, as far as our time knows them; else 0.
    var modes: [Int]?
    var isObservation: Bool
}

extension RequestView {
    init(_ request: ProcessingRequest) {
        switch request.part {
        case .requestHeaders(let headers): (number, part) = (2, RequestView.part(headers))
        case .responseHeaders(let headers): (number, part) = (3, RequestView.part(headers))
        case .requestBody(let body): (number, part) = (4, RequestView.part(body))
        case .responseBody(let body): (number, part) = (5, RequestView.part(body))
        case .requestTrailers: (number, part) = (6, .trailers)
        case .responseTrailers: (number, part) = (7, .trailers)
        }
        modes = request.modes.map { [$0.request.rawValue, $0.response.rawValue] }
        isObservation = request.isObservation
    }

    private static func part(_ headers: ProcessingRequest.HeadersPart) -> Part {
        .headers(headers.fields.all.map { [$0.name, $0.value] }, isLast: headers.isLast)
    }

    private static func part(_ body: ProcessingRequest.BodyPart) -> Part {
        .body(Array(buffer: body.bytes), isLast: body.isLast)
    }

    /// Nil for a message about no part.
    init?(_ message: EnvoyProcessingRequest) {
        switch message.request {
        case .requestHeaders(let headers): (number, part) = (2, RequestView.part(headers))
        case .responseHeaders(let headers): (number, part) = (3, RequestView.part(headers))
        case .requestBody(let body): (number, part) = (4, RequestView.part(body))
        case .responseBody(let body): (number, part) = (5, RequestView.part(body))
        case .requestTrailers: (number, part) = (6, .trailers)
        case .responseTrailers: (number, part) = (7, .trailers)
        case nil: return nil
        }
        modes =
            message.hasProtocolConfig
            ? [message.protocolConfig.requestBodyMode, message.protocolConfig.responseBodyMode].map { mode in
                if case .UNRECOGNIZED = mode { 0 } else { mode.rawValue }
            } : nil
        isObservation = message.observabilityMode
    }

    private static func part(_ headers: EnvoyHttpHeaders) -> Part {
        .headers(headers.headers.headers.map { [$0.key, $0.text] }, isLast: headers.endOfStream)
    }

    private static func part(_ body: EnvoyHttpBody) -> Part { .body(Array(body.body), isLast: body.endOfStream) }
}

extension EnvoyHeaderValue {
    /// The value, whichever field it is in.
    var text: String { rawValue.isEmpty ? value : String(decoding: rawValue, as: UTF8.self) }
}

/// Reads a message as a piece of a larger buffer, as it comes from a connection: with bytes around it, both within the
/// buffer's own borders and beyond.
func read(_ bytes: [UInt8]) throws -> ProcessingRequest {
    let buffer = ByteBuffer(bytes: [0xFF, 0x08] + bytes + [0x12, 0x80])
    var message = try #require(buffer.getSlice(at: 1, length: bytes.count + 2))
    message.moveReaderIndex(forwardBy: 1)
    message.moveWriterIndex(to: message.writerIndex - 1)
    return try ProcessingRequest(message)
}

enum Reading: Equatable {
    case read(RequestView)
    case malformed
    case nothingToProcess

    /// By our reader.
    init(ours bytes: [UInt8]) throws {
        do {
            self = .read(RequestView(try ExtProcServerTests.read(bytes)))
        } catch ProcessingRequest.ReadingError.malformed {
            self = .malformed
        } catch ProcessingRequest.ReadingError.nothingToProcess {
            self = .nothingToProcess
        }
    }

    /// By the library.
    init(library bytes: [UInt8]) throws {
        do {
            let message = try EnvoyProcessingRequest(serializedBytes: bytes)
            self = RequestView(message).map(Reading.read) ?? .nothingToProcess
        } catch is BinaryDecodingError {
            self = .malformed
        }
    }

    /// Whether it can be read at all.
    var isMalformed: Bool { self == .malformed }
}

/// Both readers must find the same in `bytes`, and fail on the same, but for what `WireShape.withoutUnread` names.
///
/// - Returns: what they found.
@discardableResult
func expectAgreement(_ bytes: [UInt8], _ sourceLocation: SourceLocation = #_sourceLocation) throws -> Reading {
    let comparable = WireShape.request.withoutUnread(bytes)
    let library = try Reading(library: comparable)
    let ours = try Reading(ours: comparable)
    #expect(ours == library, "\(bytes.prefix(200))", sourceLocation: sourceLocation)
    if comparable != bytes {
        let original = try Reading(ours: bytes)
        #expect(original.isMalformed == library.isMalformed, "\(bytes.prefix(200))", sourceLocation: sourceLocation)
    }
    return library
}
