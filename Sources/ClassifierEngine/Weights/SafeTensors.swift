import NIOCore
import OpenAIWire

/// A file of named tensors, each of which is read when it is asked for. Format: an unsigned 64-bit length in little-endian
/// order, a JSON header of that many bytes, the tensors' bytes (the README of huggingface/safetensors).
package struct SafeTensors: Sendable {
    package struct Tensor: Hashable, Sendable {
        package let name: String
        /// The element type as the file names it: "F32", "F16", "BF16", "I64", …
        package let type: String
        /// Row-major.
        package let shape: [Int]
        /// Bytes of the file.
        let range: Range<Int>

        package var count: Int { shape.reduce(1, *) }
    }

    /// 100 MB: what the format's own reader takes.
    private static let largestHeader = 100_000_000
    /// Bytes per element of the types that the format knows.
    private static let widths = [
        "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2, "I32": 4,
        "U32": 4,
        "F32": 4, "F64": 8, "I64": 8, "U64": 8,
    ]

    private let file: ModelFile
    private let tensors: [String: Tensor]

    package init(path: String) throws(EngineError) {
        file = try ModelFile(path: path)
        tensors = try Self.readHeader(file)
    }

    package var path: String { file.path }
    package var names: Dictionary<String, Tensor>.Keys { tensors.keys }
    /// Numbers of all tensors.
    package var count: Int { tensors.values.reduce(0) { $0 + $1.count } }

    package subscript(name: String) -> Tensor? { tensors[name] }

    private static func readHeader(_ file: ModelFile) throws(EngineError) -> [String: Tensor] {
        let path = file.path
        guard file.size >= 8 else { throw EngineError(.malformed, path, "too short for a safetensors file") }
        let length = try file.read(1, of: UInt64.self, at: 0)[0]
        guard length <= UInt64(largestHeader), Int(length) <= file.size - 8 else {
            throw EngineError(
                .malformed,
                path,
                "its header claims \(length) bytes in a file of \(file.size): cut short, or not a safetensors file"
            )
        }
        let start = 8 + Int(length)
        let header = try file.read(Int(length), of: UInt8.self, at: 8)
        let root: JSONValue
        do throws(JSONError) {
            root = try JSONDocument(ByteBuffer(bytes: header), limits: JSONLimits(maxDepth: 8)).root
        } catch {
            throw EngineError(.malformed, path, "its header is not JSON: \(error)")
        }
        guard root.isObject else { throw EngineError(.malformed, path, "its header is not a JSON object") }
        var tensors: [String: Tensor] = [:]
        for member in root.members {
            let name = member.key.string ?? ""
            if name == "__metadata__" { continue }
            let tensor = try readTensor(name, member.value, at: start, path)
            guard tensors.updateValue(tensor, forKey: name) == nil else {
                throw EngineError(.malformed, path, "tensor \"\(name)\" is there twice")
            }
        }
        try checkPlaces(tensors.values, start, file)
        return tensors
    }

    private static func readTensor(
        _ name: String,
        _ value: JSONValue,
        at start: Int,
        _ path: String
    ) throws(EngineError) -> Tensor {
        func wrong(_ what: String) -> EngineError { EngineError(.malformed, path, "tensor \"\(name)\": \(what)") }
        guard value.isObject, let type = value["dtype"]?.string, let sizes = value["shape"], sizes.isArray,
            let offsets = value["data_offsets"], offsets.isArray
        else { throw wrong("dtype, shape and data_offsets are needed") }
        guard let width = widths[type] else { throw wrong("unknown dtype \"\(type)\"") }
        var shape: [Int] = []
        var size = width
        for element in sizes.elements {
            guard let extent = element.int, extent >= 0 else { throw wrong("a shape of something else than sizes") }
            let (product, isTooLarge) = size.multipliedReportingOverflow(by: extent)
            guard !isTooLarge else { throw wrong("its shape overflows") }
            size = product
            shape.append(extent)
        }
        let places = offsets.elements.compactMap(\.int)
        guard places.count == 2, places[0] >= 0, places[0] <= places[1], places[1] <= Int.max - start else {
            throw wrong("data_offsets must be two rising numbers")
        }
        guard places[1] - places[0] == size else {
            throw wrong("\(places[1] - places[0]) bytes for \(shape) of \(type), which takes \(size)")
        }
        return Tensor(name: name, type: type, shape: shape, range: start + places[0]..<start + places[1])
    }

    /// Tensors must follow each other without a gap and end with the file, as the format demands.
    private static func checkPlaces(
        _ tensors: some Collection<Tensor>,
        _ start: Int,
        _ file: ModelFile
    ) throws(EngineError) {
        var end = start
        for tensor in tensors.sorted(by: {
            ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
        }) {
            guard tensor.range.lowerBound == end else {
                let what = tensor.range.lowerBound < end ? "overlaps the tensor before it" : "leaves a gap before it"
                throw EngineError(.malformed, file.path, "tensor \"\(tensor.name)\" \(what)")
            }
            end = tensor.range.upperBound
        }
        guard end <= file.size else {
            throw EngineError(
                .malformed,
                file.path,
                "cut short: its tensors end at byte \(end), the file at \(file.size)"
            )
        }
        guard end == file.size else {
            throw EngineError(.malformed, file.path, "\(file.size - end) bytes follow its last tensor")
        }
    }

    /// A tensor's numbers as Float32.
    package func floats(_ tensor: Tensor) throws(EngineError) -> [Float] {
        let start = tensor.range.lowerBound
        switch tensor.type {
        case "F32": return try file.read(tensor.count, of: Float.self, at: start)
        case "F16": return try file.read(tensor.count, of: Float16.self, at: start).map { Float($0) }
        case "BF16":
            // The upper half of a Float32.
            return try file.read(tensor.count, of: UInt16.self, at: start).map { Float(bitPattern: UInt32($0) << 16) }
        default: throw unreadable(tensor, "what can be read: F32, F16, BF16")
        }
    }

    /// A tensor's numbers as integers.
    func integers(_ tensor: Tensor) throws(EngineError) -> [Int] {
        let start = tensor.range.lowerBound
        switch tensor.type {
        case "I64": return try file.read(tensor.count, of: Int64.self, at: start).map { Int($0) }
        case "I32": return try file.read(tensor.count, of: Int32.self, at: start).map { Int($0) }
        default: throw unreadable(tensor, "integers that can be read: I32, I64")
        }
    }

    private func unreadable(_ tensor: Tensor, _ known: String) -> EngineError {
        EngineError(.unsupported, path, "tensor \"\(tensor.name)\" is of type \(tensor.type); \(known)")
    }
}
