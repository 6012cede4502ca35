import EnvoyAPI
import ExtProcServer
import Foundation
import NIOCore
import SwiftProtobuf
import TestRandom
import Testing

/// `ProcessingRequest`'s reader against messages written and read by SwiftProtobuf.
@Suite struct WireReadingTests {
    @Test("What SwiftProtobuf writes is read as it was meant")
    func readsMessages() throws {
        var random = SeededRandom.fromEnvironment()
        for _ in 0..<3_000 {
            let message = EnvoyProcessingRequest.random(&random)
            let bytes: [UInt8] = try message.serializedBytes()
            #expect(try Reading(ours: bytes) == RequestView(message).map(Reading.read) ?? .nothingToProcess)
        }
    }

    @Test("Order, repetition, halves, wide numbers and unknown fields change nothing")
    func readsScrambledMessages() throws {
        var random = SeededRandom.fromEnvironment()
        for _ in 0..<3_000 {
            let message = EnvoyProcessingRequest.random(&random, longest: 200)
            let fields = WireShape.request.fields(of: try message.serializedBytes())
            let bytes = WireShape.request.scrambled(fields, &random).serialized(&random)
            let meant = RequestView(message).map(Reading.read) ?? .nothingToProcess
            #expect(try Reading(library: bytes) == meant, "the test itself must write what it means")
            #expect(try Reading(ours: bytes) == meant)
        }
    }

    @Test("A body of megabytes is a slice of the message")
    func readsLongBodies() throws {
        var message = EnvoyProcessingRequest()
        message.requestBody.body = Data((0..<5_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        message.requestBody.endOfStream = true
        #expect(try Reading(ours: message.serializedBytes()) == RequestView(message).map(Reading.read))
    }

    @Test("Every empty message is read", arguments: 2...7)
    func readsEmptyMessages(number: Int) throws {
        let inner = UInt8(number << 3 | 2)
        for bytes: [UInt8] in [[inner, 0], [inner, 2, 0x0A, 0], [inner, 4, 0x0A, 2, 0x0A, 0]] {
            let reading = try expectAgreement(bytes)
            guard case .read(let view) = reading else {
                Issue.record("\(bytes): \(reading)")
                continue
            }
            #expect(view.number == number)
        }
    }

    @Test("A message about no part is told from a malformed one")
    func readsNothing() throws {
        #expect(try Reading(ours: []) == .nothingToProcess)
        #expect(try Reading(ours: [0x50, 1]) == .nothingToProcess)
        #expect(try Reading(ours: [0x50]) == .malformed)
    }

    @Test(
        "A mode's number is taken by its low 32 bits",
        arguments: [
            (1, .streamed), (1 << 32 | 2, .buffered), (1 << 31 | 2, .notSent), (.max, .notSent), (6, .notSent),
            (1 << 63 | 4, .fullDuplexStreamed),
        ] as [(UInt64, BodyMode)]
    )
    func readsModes(number: UInt64, mode: BodyMode) throws {
        for (field, meant) in [(1, [mode, .notSent]), (2, [.notSent, mode])] {
            let value = [UInt8(field << 3)] + WireField.varint(number)
            let bytes = [0x5A, UInt8(value.count)] + value + [0x32, 0]
            guard case .read(let view) = try expectAgreement(bytes) else {
                Issue.record("\(bytes) is not read")
                continue
            }
            #expect(view.modes == meant.map(\.rawValue))
        }
    }

    @Test("Of both a value and a raw value the raw one counts, unless it is empty")
    func prefersRawValues() throws {
        var message = EnvoyProcessingRequest()
        for (value, raw) in [("a", "b"), ("a", ""), ("", "b"), ("", "")] {
            var header = EnvoyHeaderValue()
            header.key = "k"
            header.value = value
            header.rawValue = Data(raw.utf8)
            message.requestHeaders.headers.headers.append(header)
        }
        let headers = try requestHeaders(message)
        #expect(headers.all.map(\.value) == ["b", "a", "b", ""])
    }

    @Test("Bytes that are no UTF-8 are repaired, in names and in values")
    func repairsText() throws {
        let bytes: [UInt8] = [0x12, 0x0B, 0x0A, 0x09, 0x0A, 0x07, 0x0A, 2, 0x6B, 0xFF, 0x1A, 1, 0xC3]
        guard case .requestHeaders(let headers) = try read(bytes).part else {
            Issue.record("no request headers")
            return
        }
        #expect(headers.fields.all.map(\.name) == ["k\u{FFFD}"])
        #expect(headers.fields.all.map(\.value) == ["\u{FFFD}"])
    }

    @Test("Fields are found by name as in a list")
    func findsFields() throws {
        var random = SeededRandom.fromEnvironment()
        var found = 0
        for _ in 0..<500 {
            var message = EnvoyProcessingRequest.random(&random)
            guard case .requestHeaders(let sent)? = message.request else { continue }
            message.requestHeaders = sent
            let list = sent.headers.headers.map { (name: $0.key, value: $0.text) }
            let headers = try requestHeaders(message)
            #expect(headers.count == list.count)
            #expect(headers.first(":path") == list.first { $0.name == ":path" }?.value)
            #expect(headers.first("x-vsr-") == list.first { $0.name == "x-vsr-" }?.value)
            #expect(headers.first("") == list.first { $0.name.isEmpty }?.value)
            #expect(headers.first("not-there") == nil)
            for name in Set(list.map(\.name)) {
                #expect(headers.values(name) == list.filter { $0.name == name }.map(\.value))
                found += 1
            }
            #expect(headers.names(beginning: "x-vsr-") == list.map(\.name).filter { $0.hasPrefix("x-vsr-") })
            #expect(headers.names(beginning: "") == list.map(\.name))
        }
        #expect(found > 100)
    }

    private func requestHeaders(_ message: EnvoyProcessingRequest) throws -> HeaderFields {
        guard case .requestHeaders(let headers) = try read(message.serializedBytes()).part else {
            throw NoHeaders()
        }
        return headers.fields
    }

    private struct NoHeaders: Error {}
}
