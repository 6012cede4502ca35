import Glibc
import Logging
import Synchronization
import Telemetry
import Testing

@Suite struct LogOutputTests {
    /// A sink whose first write waits until the test opens it.
    private final class GatedSink: Sendable {
        private let gate: Mutex<Void> = Mutex(())
        let writes = Mutex<[String]>([])

        func take(_ bytes: [UInt8]) {
            gate.withLock { _ in }
            writes.withLock { $0.append(String(decoding: bytes, as: UTF8.self)) }
        }

        /// Runs `body` while every write waits.
        func whileBlocked(_ body: () throws -> Void) rethrows {
            try gate.withLock { _ in try body() }
        }

        var text: String {
            writes.withLock { $0.joined() }
        }
    }

    private func output(into sink: GatedSink, capacity: Int = LogOutput.defaultCapacity) throws -> LogOutput {
        try LogOutput(
            capacity: capacity,
            droppedNotice: { Array("dropped \($0)\n".utf8) },
            sink: { sink.take($0) }
        )
    }

    @Test("Lines come out in order, and closing loses none")
    func order() throws {
        let sink = GatedSink()
        let output = try output(into: sink)
        for index in 0..<1_000 { output.append(Array("line \(index)\n".utf8)) }
        output.close()
        #expect(sink.text == (0..<1_000).map { "line \($0)\n" }.joined())
    }

    @Test("A blocked reader costs lines, never time, and the loss is reported once it reads again")
    func overflow() throws {
        let sink = GatedSink()
        let output = try output(into: sink, capacity: 40)
        sink.whileBlocked {
            // Ten bytes each: four fit, the rest is dropped while the sink is stuck.
            for index in 0..<10 { output.append(Array("line 000\(index)\n".utf8)) }
        }
        output.flush()
        output.append(Array("line last\n".utf8))
        output.close()
        #expect(sink.text == "line 0000\nline 0001\nline 0002\nline 0003\ndropped 6\nline last\n")
    }

    @Test("A flush returns only when what was appended is written")
    func flush() throws {
        let sink = GatedSink()
        let output = try output(into: sink)
        for index in 0..<100 {
            output.append(Array("\(index)\n".utf8))
            output.flush()
            #expect(sink.text.hasSuffix("\n\(index)\n") || index == 0)
        }
        output.close()
        output.flush()
    }

    @Test("Lines of eight writers stay whole in a pipe whose reader is slow")
    func wholeLines() async throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let (reading, writing) = (ends[0], ends[1])
        let output = try LogOutput(descriptor: writing, format: .text, capacity: 64 << 20)
        let reader = Task.detached {
            var bytes: [UInt8] = []
            // Small reads keep the pipe full, so that writes are cut.
            var chunk = [UInt8](repeating: 0, count: 777)
            while case let count = read(reading, &chunk, chunk.count), count > 0 {
                bytes.append(contentsOf: chunk[..<count])
            }
            return String(decoding: bytes, as: UTF8.self)
        }
        let filler = String(repeating: "x", count: 300)
        await withTaskGroup(of: Void.self) { group in
            for writer in 0..<8 {
                group.addTask {
                    for index in 0..<500 { output.append(Array("\(writer)-\(index)-\(filler)\n".utf8)) }
                }
            }
        }
        output.close()
        close(writing)
        let lines = await reader.value.split(separator: "\n").map(String.init)
        close(reading)
        let expected = (0..<8).flatMap { writer in (0..<500).map { "\(writer)-\($0)-\(filler)" } }
        #expect(lines.sorted() == expected.sorted())
    }

    @Test("A logger writes its level and above, with its own, provided and given metadata")
    func handler() throws {
        let sink = GatedSink()
        let output = try output(into: sink)
        var handler = LineLogHandler(label: "app", level: .info, format: .text, output: output) {
            UTCTime(nanoseconds: 0)
        }
        handler.metadata = ["a": "own", "b": "own", "c": "own"]
        handler.metadataProvider = Logger.MetadataProvider { ["b": "provided", "c": "provided"] }
        let made = handler
        let logger = Logger(label: "app") { _ in made }
        logger.debug("not shown")
        logger.warning("shown", metadata: ["c": "given"])
        output.close()
        #expect(sink.text == "1970-01-01T00:00:00.000Z WARN  app: shown a=own b=provided c=given\n")
    }

    @Test("A logger made by an output is set up with its level and label")
    func factory() throws {
        let sink = GatedSink()
        let output = try output(into: sink)
        let logger = output.logger(label: "made", level: .error, format: .json)
        logger.warning("not shown")
        logger.error("shown")
        output.close()
        #expect(sink.text.contains(#""level":"ERROR","logger":"made","message":"shown"}"#))
        #expect(!sink.text.contains("not shown"))
    }
}
