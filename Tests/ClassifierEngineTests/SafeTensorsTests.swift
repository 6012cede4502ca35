import ClassifierEngine
import Foundation
import Testing

@Suite(.temporaryFiles) struct SafeTensorsTests {
    private func failure(_ bytes: Data) throws -> String {
        let path = try TemporaryFiles.write(bytes)
        do throws(EngineError) {
            _ = try SafeTensors(path: path)
            return "no error"
        } catch {
            #expect(error.file == path)
            return error.message
        }
    }

    private func file(header: String, data: Data = Data()) -> Data {
        withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) } + Data(header.utf8) + data
    }

    @Test("Numbers of 16 bits are widened exactly")
    func widens() throws {
        var file = TensorFile()
        let halves: [Float16] = [1, -2.5, 65504, 6e-8, .infinity]
        file.add("half", "F16", [5], halves.withUnsafeBytes { Data($0) })
        let brains: [UInt16] = [0x3F80, 0xC020, 0x7F7F, 0x0001]
        file.add("brain", "BF16", [2, 2], brains.withUnsafeBytes { Data($0) })
        // At an odd byte, as headers of some writers leave it.
        file.header += " "
        let tensors = try SafeTensors(path: try file.write())
        #expect(try tensors.floats(try #require(tensors["half"])) == halves.map { Float($0) })
        let brain = try #require(tensors["brain"])
        #expect(brain.shape == [2, 2])
        #expect(try tensors.floats(brain) == brains.map { Float(bitPattern: UInt32($0) << 16) })
        #expect(Set(tensors.names) == ["half", "brain"])
    }

    @Test("A scalar has one number and a tensor may be empty")
    func readsEdges() throws {
        var file = TensorFile()
        file.add("scalar", [], floats: [3.5])
        file.add("empty", [0, 4], floats: [])
        let tensors = try SafeTensors(path: try file.write())
        #expect(try tensors.floats(try #require(tensors["scalar"])) == [3.5])
        #expect(try tensors.floats(try #require(tensors["empty"])) == [])
    }

    @Test("A file that is cut short anywhere is refused")
    func refusesTruncation() throws {
        var file = TensorFile()
        file.add("a", [2], floats: [1, 2])
        file.add("b", [1], floats: [3])
        let bytes = file.bytes
        for length in 1..<bytes.count {
            #expect(try failure(bytes.prefix(length)) != "no error", "\(length) bytes")
        }
        #expect(try failure(bytes.dropLast()).hasPrefix("cut short: its tensors end at byte \(bytes.count)"))
        #expect(try failure(bytes + [0]) == "1 bytes follow its last tensor")
        #expect(try failure(Data()) == "the file is empty")
    }

    @Test("A file that is cut short while it is open is an error and not the process's end")
    func cutWhileOpen() throws {
        var file = TensorFile()
        file.add("a", [4096], floats: [Float](repeating: 1, count: 4096))
        let path = try file.write()
        let tensors = try SafeTensors(path: path)
        #expect(truncate(path, 4096) == 0)
        let tensor = try #require(tensors["a"])
        #expect(throws: EngineError(.malformed, path, "cut short while it was read")) { try tensors.floats(tensor) }
    }

    @Test("A header that claims more than there is, or more than any model needs, is refused before it is read")
    func refusesHeaders() throws {
        let huge = withUnsafeBytes(of: UInt64.max.littleEndian) { Data($0) } + Data("{}".utf8)
        #expect(try failure(huge).hasPrefix("its header claims 18446744073709551615 bytes in a file of 10"))
        #expect(try failure(file(header: "[1]")) == "its header is not a JSON object")
        #expect(try failure(file(header: "{\"a\": ")).hasPrefix("its header is not JSON"))
        #expect(try failure(Data("version https://git-lfs".utf8)).hasPrefix("its header claims"))
    }

    @Test(
        "A tensor whose description does not fit is named",
        arguments: [
            (#""F32", "shape": [2], "data_offsets": [0, 4]"#, "4 bytes for [2] of F32, which takes 8"),
            (#""F33", "shape": [1], "data_offsets": [0, 4]"#, "unknown dtype \"F33\""),
            (#""F32", "shape": [-1], "data_offsets": [0, 4]"#, "a shape of something else than sizes"),
            (#""F32", "shape": [1], "data_offsets": [4, 0]"#, "data_offsets must be two rising numbers"),
            (#""F32", "shape": [1], "data_offsets": [0]"#, "data_offsets must be two rising numbers"),
            (#""F32", "shape": [4611686018427387904, 4], "data_offsets": [0, 4]"#, "its shape overflows"),
            (#""F32", "shape": 1, "data_offsets": [0, 4]"#, "dtype, shape and data_offsets are needed"),
        ]
    )
    func namesTensors(description: String, message: String) throws {
        let header = #"{"layer.weight": {"dtype": \#(description)}}"#
        #expect(try failure(file(header: header, data: Data(count: 8))) == "tensor \"layer.weight\": \(message)")
    }

    @Test("Tensors that overlap or leave a gap are refused")
    func refusesOverlap() throws {
        func entry(_ name: String, _ start: Int) -> String {
            #""\#(name)": {"dtype": "F32", "shape": [2], "data_offsets": [\#(start), \#(start + 8)]}"#
        }
        let overlap = file(header: "{\(entry("a", 0)), \(entry("b", 4))}", data: Data(count: 12))
        #expect(try failure(overlap) == "tensor \"b\" overlaps the tensor before it")
        let gap = file(header: "{\(entry("a", 0)), \(entry("b", 12))}", data: Data(count: 20))
        #expect(try failure(gap) == "tensor \"b\" leaves a gap before it")
        let twice = file(header: "{\(entry("a", 0)), \(entry("a", 8))}", data: Data(count: 16))
        #expect(try failure(twice) == "tensor \"a\" is there twice")
    }

    @Test("Integers are not taken for weights")
    func refusesTypes() throws {
        var file = TensorFile()
        file.add("steps", [1], integers: [4])
        let path = try file.write()
        let tensors = try SafeTensors(path: path)
        let tensor = try #require(tensors["steps"])
        let expected = EngineError(
            .unsupported,
            path,
            "tensor \"steps\" is of type I64; what can be read: F32, F16, BF16"
        )
        #expect(throws: expected) { try tensors.floats(tensor) }
    }

    @Test("A file that is not there says so", arguments: ["/nonexistent/model.safetensors", "/tmp"])
    func missing(path: String) {
        #expect(throws: EngineError.self) { try SafeTensors(path: path) }
    }
}
