import EnvoyAPI
import ExtProcServer
import SwiftProtobuf
import TestRandom
import Testing

/// `ProcessingRequest`'s reader on what is no message, or only just one: it never crashes, and fails exactly where
/// SwiftProtobuf does.
@Suite struct WireMalformedTests {
    @Test("Cut anywhere, a message is read or refused as SwiftProtobuf does")
    func truncations() throws {
        var random = SeededRandom.fromEnvironment()
        var (read, refused) = (0, 0)
        for _ in 0..<150 {
            let message = EnvoyProcessingRequest.random(&random, longest: 40)
            var bytes: [UInt8] = try message.serializedBytes()
            if random.once(in: 2) {
                bytes = WireShape.request.scrambled(WireShape.request.fields(of: bytes), &random).serialized(&random)
            }
            for length in 0..<min(bytes.count, 1_500) {
                if try expectAgreement(Array(bytes[..<length])).isMalformed { refused += 1 } else { read += 1 }
            }
        }
        #expect(read > 100)
        #expect(refused > 1_000)
    }

    @Test("Changed at random, a message is read or refused as SwiftProtobuf does")
    func mutations() throws {
        var random = SeededRandom.fromEnvironment()
        var (read, refused) = (0, 0)
        for _ in 0..<600 {
            let message = EnvoyProcessingRequest.random(&random, longest: 40)
            let fields = WireShape.request.scrambled(
                WireShape.request.fields(of: try message.serializedBytes()),
                &random
            )
            let bytes = fields.serialized(&random)
            guard bytes.count < 2_000 else { continue }
            for _ in 0..<40 {
                if try expectAgreement(changed(bytes, &random)).isMalformed { refused += 1 } else { read += 1 }
            }
        }
        #expect(read > 1_000)
        #expect(refused > 1_000)
    }

    @Test("Bytes at random are read or refused as SwiftProtobuf does")
    func noise() throws {
        var random = SeededRandom.fromEnvironment()
        var (read, refused) = (0, 0)
        for _ in 0..<30_000 {
            // Bytes that begin a field of ours, or end a number, are likelier than others.
            let bytes = (0..<random.below(24)).map { _ in
                random.once(in: 2) ? random.pick(tokens) : UInt8(random.below(256))
            }
            if try expectAgreement(bytes).isMalformed { refused += 1 } else { read += 1 }
        }
        #expect(read > 1_000)
        #expect(refused > 1_000)
    }

    private let tokens: [UInt8] = [
        0, 1, 2, 4, 8, 0x0A, 0x0B, 0x0C, 0x12, 0x1A, 0x22, 0x2A, 0x32, 0x3A, 0x50, 0x5A, 0x18, 0x10, 0x80, 0xFF,
    ]

    private func changed(_ bytes: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
        var bytes = bytes
        for _ in 0...random.below(3) where !bytes.isEmpty {
            let place = random.below(bytes.count)
            switch random.below(6) {
            case 0: bytes[place] = UInt8(random.below(256))
            case 1: bytes[place] ^= 1 << UInt8(random.below(8))
            case 2: bytes.insert(random.pick(tokens), at: place)
            case 3: bytes.remove(at: place)
            case 4: bytes.removeSubrange(place..<min(bytes.count, place + random.below(10)))
            default:
                let piece = Array(bytes[place..<min(bytes.count, place + random.below(10))])
                bytes.insert(contentsOf: piece, at: random.below(bytes.count))
            }
        }
        return bytes
    }

    // MARK: - Named cases

    /// A message's content, and whether it is Protocol Buffers.
    struct Content: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let bytes: [UInt8]
        let isValid: Bool

        init(_ description: String, _ bytes: [UInt8], isValid: Bool = false) {
            testDescription = description
            self.bytes = bytes
            self.isValid = isValid
        }
    }

    /// Field numbers to one of the messages that are read.
    static let places: [[Int]] = [
        [], [2], [3], [4], [5], [6], [7], [11], [2, 1], [3, 1], [6, 1], [7, 1], [2, 1, 1], [3, 1, 1], [6, 1, 1],
        [7, 1, 1],
    ]

    private static let nines = [UInt8](repeating: 0x80, count: 9)

    /// Of fields that no message has, in any place: 15 as a number is 78, as bytes 7A, as a group 7B and 7C.
    static let contents: [Content] = [
        Content("nothing", [], isValid: true),
        Content("an unknown number", [0x78, 1], isValid: true),
        Content("a number of ten bytes", [0x78] + nines + [1], isValid: true),
        Content("a number of ten bytes and 65 bits", [0x78] + nines + [2], isValid: true),
        Content("a number of ten bytes and 70 bits", [0x78] + nines + [0x7F], isValid: true),
        Content("a number of eleven bytes", [0x78] + nines + [0x80, 0]),
        Content("a number that does not end", [0x78] + nines + nines),
        Content("a number that stops", [0x78, 0x80]),
        Content("a tag without a value", [0x78]),
        Content("a tag that stops", [0xF8]),
        Content("a tag of five bytes", [0xF8, 0x80, 0x80, 0x80, 0, 1], isValid: true),
        Content("a tag of six bytes", [0xF8, 0x80, 0x80, 0x80, 0x80, 0, 1]),
        Content("a tag of ten bytes", [0xF8] + nines[1...] + [0, 1]),
        Content("the highest field number", [0xF8, 0xFF, 0xFF, 0xFF, 0x0F, 1], isValid: true),
        Content("a field number beyond the highest", [0xF8, 0xFF, 0xFF, 0xFF, 0x10, 1]),
        Content("a tag of 35 bits", [0xF8, 0xFF, 0xFF, 0xFF, 0x7F, 1]),
        Content("field number 0", [0, 1]),
        Content("field number 0 with bytes", [2, 0]),
        Content("field number 0 in five bytes", [0x80, 0x80, 0x80, 0x80, 0, 1]),
        Content("kind 6", [0x7E]),
        Content("kind 7", [0x7F]),
        Content("kind 6 with bytes after it", [0x7E, 0, 0, 0, 0, 0, 0, 0, 0]),
        Content("8 bytes", [0x79, 1, 2, 3, 4, 5, 6, 7, 8], isValid: true),
        Content("8 bytes but one", [0x79, 1, 2, 3, 4, 5, 6, 7]),
        Content("4 bytes", [0x7D, 1, 2, 3, 4], isValid: true),
        Content("4 bytes but one", [0x7D, 1, 2, 3]),
        Content("no bytes", [0x7A, 0], isValid: true),
        Content("bytes without a length", [0x7A]),
        Content("a length beyond the end by one", [0x7A, 2, 0]),
        Content("a length of 2^31 - 1", [0x7A] + WireField.varint(1 << 31 - 1) + [0]),
        Content("a length of 2^31", [0x7A] + WireField.varint(1 << 31) + [0]),
        Content("a length of 2^32", [0x7A] + WireField.varint(1 << 32) + [0]),
        Content("a length of 2^63 - 1", [0x7A] + WireField.varint(1 << 63 - 1) + [0]),
        Content("a length of 2^63", [0x7A] + WireField.varint(1 << 63) + [0]),
        Content("a length of 2^64 - 1", [0x7A] + WireField.varint(.max) + [0]),
        Content("a length of 1 in ten bytes", [0x7A, 0x81] + nines[1...] + [0, 0xFF], isValid: true),
        Content("an empty group", [0x7B, 0x7C], isValid: true),
        Content("a group of fields", [0x7B, 8, 1, 0x12, 1, 0, 0x1D, 1, 2, 3, 4, 0x7C], isValid: true),
        Content("groups in groups", [0x7B, 0x7B, 0x0B, 0x0C, 0x7C, 0x7C], isValid: true),
        Content("a group without an end", [0x7B]),
        Content("a group without an end, with a field", [0x7B, 8, 1]),
        Content("a group with another's end", [0x7B, 0x0C]),
        Content("groups that end in the wrong order", [0x7B, 0x0B, 0x7C, 0x0C]),
        Content("an end without a group", [0x7C]),
        Content("a group with field number 0", [0x7B, 0, 1, 0x7C]),
        Content("a group with kind 7", [0x7B, 0x0F, 0x7C]),
        Content("a group with a length beyond the end", [0x7B, 0x0A, 5, 0x7C]),
        Content("a group with a tag of six bytes", [0x7B, 0xF8, 0x80, 0x80, 0x80, 0x80, 0, 1, 0x7C], isValid: true),
        Content("a group with a field number beyond the highest", [0x7B, 0xF8, 0xFF, 0xFF, 0xFF, 0x10, 1, 0x7C]),
        Content("95 groups in each other", groups(95), isValid: true),
        Content("101 groups in each other", groups(101)),
        Content("100,000 groups in each other", groups(100_000)),
        Content("100,000 beginnings of groups", [UInt8](repeating: 0x7B, count: 100_000)),
    ]

    private static func groups(_ depth: Int) -> [UInt8] {
        [UInt8](repeating: 0x7B, count: depth) + [UInt8](repeating: 0x7C, count: depth)
    }

    @Test("In every message that is read, what is none is refused", arguments: contents)
    func refuses(content: Content) throws {
        for place in Self.places {
            let bytes = place.reversed().reduce(content.bytes) { bytes, number in
                [UInt8(number << 3 | 2)] + WireField.varint(UInt64(bytes.count)) + bytes
            }
            #expect(try expectAgreement(bytes).isMalformed == !content.isValid, "in \(place)")
            // Nor is it saved by what follows.
            try expectAgreement(bytes + [0x3A, 0])
        }
    }

    @Test("Known fields of another kind are unknown fields", arguments: 1...15)
    func ignoresOtherKinds(number: Int) throws {
        let tag = UInt8(number << 3)
        let kinds: [[UInt8]] = [
            [tag, 1], [tag | 1, 1, 1, 1, 1, 1, 1, 1, 1], [tag | 2, 0], [tag | 3, tag | 4], [tag | 5, 1, 1, 1, 1],
        ]
        for kind in kinds {
            for place in Self.places {
                let bytes = place.reversed().reduce(kind) { bytes, number in
                    [UInt8(number << 3 | 2), UInt8(bytes.count)] + bytes
                }
                #expect(try !expectAgreement(bytes).isMalformed, "\(kind) in \(place)")
                try expectAgreement([0x2A, 4, 0x0A, 2, 0x41, 0x42, 0x50, 1] + bytes)
                try expectAgreement(bytes + [0x2A, 4, 0x0A, 2, 0x41, 0x42, 0x50, 1])
            }
        }
    }

    @Test("A length of each message that goes beyond it is refused", arguments: places.dropFirst())
    func refusesLengths(place: [Int]) throws {
        for excess in [1, 2, 100, 1 << 31, 1 << 40, Int.max - 10] {
            let bytes = place.reversed().enumerated().reduce([UInt8]()) { bytes, step in
                let length = bytes.count + (step.offset == 0 ? excess : 0)
                return [UInt8(step.element << 3 | 2)] + WireField.varint(UInt64(length)) + bytes
            }
            #expect(try expectAgreement(bytes).isMalformed)
        }
    }
}
