import GRPCTransport
import NIOCore
import TestRandom
import Testing
import Transport

@Suite("gRPC's framing")
struct MessageReaderTests {
    private static func framed(_ messages: [ByteBuffer]) -> ByteBuffer {
        var bytes = ByteBuffer()
        for message in messages {
            bytes.writeInteger(0 as UInt8)
            bytes.writeInteger(UInt32(message.readableBytes))
            bytes.writeImmutableBuffer(message)
        }
        return bytes
    }

    private static let messages = ["", "a", "", "two", String(repeating: "x", count: 40), ""].map {
        ByteBuffer(string: $0)
    }

    /// What a reader makes of `pieces`, each asked for after its coming.
    private static func read(
        _ pieces: [ByteBuffer],
        maxBytes: Int = 1 << 20
    ) throws -> (messages: [ByteBuffer], pending: Int) {
        var reader = MessageReader(maxBytes: maxBytes)
        var messages: [ByteBuffer] = []
        for piece in pieces {
            reader.append(piece)
            while let message = try reader.next() { messages.append(message) }
        }
        return (messages, reader.pendingBytes)
    }

    private static func pieces(of bytes: ByteBuffer, at cuts: [Int]) throws -> [ByteBuffer] {
        let bounds = [0] + cuts.sorted() + [bytes.readableBytes]
        return try zip(bounds, bounds.dropFirst()).map { from, to in
            try #require(bytes.getSlice(at: bytes.readerIndex + from, length: to - from))
        }
    }

    @Test("Messages are the same however they are cut in two or three")
    func everyCut() throws {
        let bytes = Self.framed(Self.messages)
        for first in 0...bytes.readableBytes {
            for second in first...bytes.readableBytes {
                let result = try Self.read(Self.pieces(of: bytes, at: [first, second]))
                #expect(result.messages == Self.messages, "cut at \(first) and \(second)")
                #expect(result.pending == 0)
            }
        }
    }

    @Test("Messages that come byte by byte")
    func byteByByte() throws {
        let bytes = Self.framed(Self.messages)
        let result = try Self.read(Self.pieces(of: bytes, at: Array(1..<bytes.readableBytes)))
        #expect(result.messages == Self.messages)
    }

    @Test("Random messages, cut at random, come out as they went in")
    func random() throws {
        var random = SeededRandom.fromEnvironment()
        for _ in 0..<500 {
            let messages = (0..<random.below(8)).map { _ in
                ByteBuffer(bytes: (0..<random.below(random.once(in: 4) ? 70_000 : 50)).map { UInt8($0 & 0xFF) })
            }
            let bytes = Self.framed(messages)
            let cuts = (0..<random.below(12)).map { _ in random.below(bytes.readableBytes + 1) }
            let result = try Self.read(Self.pieces(of: bytes, at: cuts))
            #expect(result.messages == messages)
            #expect(result.pending == 0)
        }
    }

    @Test("What is missing of a message is what is pending")
    func pending() throws {
        let bytes = Self.framed([ByteBuffer(string: "hello")])
        for count in 0..<bytes.readableBytes {
            let result = try Self.read([#require(bytes.getSlice(at: 0, length: count))])
            #expect(result.messages.isEmpty)
            #expect(result.pending == count)
        }
    }

    @Test("A message as large as allowed passes, one larger is refused at its prefix")
    func limit() throws {
        let message = ByteBuffer(repeating: 1, count: 100)
        #expect(try Self.read([Self.framed([message])], maxBytes: 100).messages == [message])
        var reader = MessageReader(maxBytes: 99)
        reader.append(try #require(Self.framed([message]).getSlice(at: 0, length: 5)))
        let status = #expect(throws: GRPCStatus.self) { try reader.next() }
        #expect(status?.code == .resourceExhausted)
        #expect(status?.message.contains("100") == true)
    }

    @Test("A compressed message is unimplemented, another flag an error", arguments: [(1, 12), (2, 13), (255, 13)])
    func flags(flag: UInt8, code: Int) {
        var reader = MessageReader(maxBytes: 100)
        reader.append(ByteBuffer(bytes: [flag, 0, 0, 0, 0]))
        let status = #expect(throws: GRPCStatus.self) { try reader.next() }
        #expect(status?.code.rawValue == code)
    }

    @Test("Whole messages before a bad one are still read")
    func badAfterGood() throws {
        var reader = MessageReader(maxBytes: 100)
        var bytes = Self.framed([ByteBuffer(string: "good")])
        bytes.writeBytes([9, 0, 0, 0, 0])
        reader.append(bytes)
        let good = try reader.next()
        #expect(good == ByteBuffer(string: "good"))
        #expect(throws: GRPCStatus.self) { try reader.next() }
    }

    @Test("A prefix is not believed: memory grows with what comes")
    func untrustedPrefix() throws {
        var reader = MessageReader(maxBytes: .max)
        reader.append(ByteBuffer(bytes: [0, 0xFF, 0xFF, 0xFF, 0xFF]))
        let nothing = try reader.next()
        #expect(nothing == nil)
        #expect(reader.capacity <= 2 << 20)
        let piece = ByteBuffer(repeating: 7, count: 16_384)
        for _ in 0..<512 {
            reader.append(piece)
            let unfinished = try reader.next()
            #expect(unfinished == nil)
        }
        #expect(reader.pendingBytes == 5 + 512 * 16_384)
        #expect(reader.capacity <= 2 * (reader.pendingBytes + 16_384))
    }

    @Test("A few bytes do not keep a large buffer alive")
    func smallRemainder() throws {
        for remainder in 1...9 {
            let rest = try #require(Self.framed([ByteBuffer(string: "later")]).getSlice(at: 0, length: remainder))
            var bytes = Self.framed([ByteBuffer(repeating: 1, count: 100_000)])
            bytes.writeImmutableBuffer(rest)
            var reader = MessageReader(maxBytes: 1 << 20)
            reader.append(bytes)
            let large = try reader.next()
            #expect(large?.readableBytes == 100_000)
            let unfinished = try reader.next()
            #expect(unfinished == nil)
            #expect(reader.pendingBytes == remainder)
            #expect(reader.capacity <= 1024)
        }
    }

    @Test("A message that has been handed on is not changed by what comes after it")
    func isolation() throws {
        var reader = MessageReader(maxBytes: 1000)
        var bytes = Self.framed([ByteBuffer(string: "first")])
        bytes.writeBytes([0, 0, 0])
        reader.append(bytes)
        let whole = try reader.next()
        let first = try #require(whole)
        reader.append(ByteBuffer(bytes: [0, 3]))
        reader.append(ByteBuffer(string: "abc"))
        let second = try reader.next()
        #expect(second == ByteBuffer(string: "abc"))
        #expect(first == ByteBuffer(string: "first"))
    }

    @Test(
        "A status's message is percent-encoded",
        arguments: [
            ("plain text", "plain text"), ("100%", "100%25"), ("line\nbreak", "line%0Abreak"), ("\u{7F}", "%7F"),
            ("ü", "%C3%BC"), ("~ !", "~ !"), ("", ""),
        ]
    )
    func statusMessage(text: String, encoded: String) {
        #expect(text.grpcMessage == encoded)
    }
}

@Suite("A connection's share of a budget")
struct ConnectionMemoryTests {
    private static let step = ConnectionMemory.stepBytes

    @Test("Little costs nothing, much is counted in steps, and nothing stays")
    func steps() {
        let budget = ByteBudget(limit: 10 * Self.step)
        var memory = ConnectionMemory(budget: budget)
        let fitsStep = memory.hold(Self.step)
        #expect(fitsStep)
        #expect(budget.used == 0)
        let fitsByte = memory.hold(1)
        #expect(fitsByte)
        #expect(budget.used == 2 * Self.step)
        memory.release(Self.step)
        #expect(budget.used == 0)
        memory.release(1)
        #expect(memory.heldBytes == 0)
    }

    @Test("What does not fit is refused, and leaves everything as it was")
    func refusal() {
        let budget = ByteBudget(limit: 4 * Self.step)
        var memory = ConnectionMemory(budget: budget)
        let fits = memory.hold(3 * Self.step)
        #expect(fits)
        let fitsMore = memory.hold(2 * Self.step)
        #expect(!fitsMore)
        #expect(memory.heldBytes == 3 * Self.step)
        #expect(budget.used == 3 * Self.step)
        memory.take(2 * Self.step)
        #expect(budget.used == 5 * Self.step)
        memory.release(5 * Self.step)
        #expect(budget.used == 0)
    }

    @Test("Random holding and releasing keeps the budget within two steps of what is held")
    func random() {
        var random = SeededRandom.fromEnvironment()
        let budget = ByteBudget(limit: 100 * Self.step)
        var memory = ConnectionMemory(budget: budget)
        var held: [Int] = []
        for _ in 0..<20_000 {
            if random.once(in: 2), let count = held.popLast() {
                memory.release(count)
            } else {
                let count = random.below(3 * Self.step)
                if memory.hold(count) { held.append(count) }
            }
            let total = held.reduce(0, +)
            #expect(memory.heldBytes == total)
            #expect(abs(budget.used - total) <= 2 * Self.step)
            #expect(budget.used <= budget.limit)
        }
        for count in held { memory.release(count) }
        #expect(budget.used == 0)
    }
}
