import ClassifierEngine
import Foundation
import NIOCore
import OpenAIWire
import Testing

/// A tiny model of Fixtures/ with what transformers answered for its inputs; scripts/models/make-fixtures wrote it.
struct Fixture {
    let folder: String
    let inputs: [TokenSequence]
    /// What the inputs are the tokens of, where the fixture tells.
    let texts: [String]
    private let expected: SafeTensors

    init(_ name: String) throws {
        let root = try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures/\(name)")
        folder = root.path
        let bytes = try Data(contentsOf: root.appendingPathComponent("inputs.json"))
        let sequences = try JSONDocument(ByteBuffer(bytes: bytes)).root.elements
        texts = sequences.compactMap { $0["text"]?.string }
        inputs = sequences.map { sequence in
            func numbers(_ key: String) -> [Int32] { sequence[key]?.elements.compactMap(\.int).map(Int32.init) ?? [] }
            return TokenSequence(ids: numbers("ids"), types: numbers("types"))
        }
        expected = try SafeTensors(path: root.appendingPathComponent("expected.safetensors").path)
    }

    /// What the reference answered for one input, run alone.
    func answer(_ index: Int) throws -> [Float] {
        try expected.floats(try #require(expected["output.\(index)"]))
    }

    /// A copy of the folder, in the test's, in which one file is different.
    func changed(_ file: String, _ change: (inout Data) throws -> Void) throws -> String {
        let copy = try TemporaryFiles.path()
        try FileManager.default.copyItem(atPath: folder, toPath: copy)
        let url = URL(filePath: copy + "/" + file)
        var bytes = try Data(contentsOf: url)
        try change(&bytes)
        try bytes.write(to: url)
        return copy
    }
}

extension Data {
    /// Puts bytes, again and again, into a tensor of a safetensors file.
    mutating func fill(tensor name: String, with bytes: [UInt8]) throws {
        let length = Int(self[0..<8].withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) })
        let header = try #require(try JSONSerialization.jsonObject(with: self[8..<8 + length]) as? [String: Any])
        let tensor = try #require(header[name] as? [String: Any])
        let offsets = try #require(tensor["data_offsets"] as? [Int])
        for index in offsets[0]..<offsets[1] { self[8 + length + index] = bytes[index % bytes.count] }
    }
}

extension Fixture {
    /// A change of one text in a file for another.
    static func replace(_ old: String, _ new: String) -> (inout Data) throws -> Void {
        { bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            try #require(text.contains(old))
            bytes = Data(text.replacing(old, with: new).utf8)
        }
    }
}

/// A variable of the environment; nil if it is empty.
private func setting(_ name: String) -> String? {
    ProcessInfo.processInfo.environment[name].flatMap { $0.isEmpty ? nil : $0 }
}

/// The inference library that tests run, if one is named.
enum Library {
    static let path = setting("SEXTANT_ONNXRUNTIME")
    static let why: Comment = "SEXTANT_ONNXRUNTIME names no libonnxruntime.so"

    static func load() throws -> OnnxRuntime { try OnnxRuntime(path: try #require(path)) }
}

/// A folder of published models, if one is named: scripts/fetch-models fills it.
enum Models {
    static let folder = setting("SEXTANT_MODELS")
    static let why: Comment = "SEXTANT_MODELS names no folder of models"

    static func path(_ name: String) throws -> String { try #require(folder) + "/" + name }
}

/// The largest difference of two vectors' numbers; infinite if they are not of one length.
func distance(_ a: [Float], _ b: [Float]) -> Float {
    guard a.count == b.count else { return .infinity }
    return zip(a, b).map { ($0 - $1).magnitude }.max() ?? 0
}

func cosine(_ a: [Float], _ b: [Float]) -> Float {
    func dot(_ a: [Float], _ b: [Float]) -> Float { zip(a, b).map(*).reduce(0, +) }
    return dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot()
}
