/// What an ONNX file was made from by this engine, so that a file whose source has changed since is told from one that has not.
///
/// It stands at the file's beginning, as a property of the model's: a look at a few bytes tells whose the file is. Files of
/// other exporters have none.
struct ModelStamp: Hashable {
    /// Raised with every change of what the engine builds from the same weights.
    private static let version: UInt64 = 1
    /// ModelProto.metadata_props (onnx.proto3): a key, and a value of as many bytes as a hash has hexadecimal digits.
    private static let head: [UInt8] = {
        var writer = ProtobufWriter()
        writer.field(14) {
            $0.field(1, string: "sextant.source")
            $0.field(2, string: String(repeating: "0", count: digits))
        }
        return writer.bytes.dropLast(digits)
    }()
    private static let digits = 32
    /// 1 MiB is read and hashed at a time.
    private static let piece = 1 << 20

    private let source: [UInt8]

    /// Of a folder's files as they are now, to the last byte: neither a copy's new dates nor a new file's old ones mislead.
    ///
    /// - Complexity: O(bytes); about half a millisecond for a megabyte.
    init(folder: String, _ quantization: Quantization?) throws(EngineError) {
        var hash = KeyedHash.Value(low: Self.version, high: UInt64(quantization?.largest ?? 0))
        for name in ["config.json", "model.safetensors"] {
            let file = try ModelFile(path: "\(folder)/\(name)")
            var offset = 0
            while offset < file.size {
                let bytes = try file.read(min(Self.piece, file.size - offset), of: UInt8.self, at: offset)
                let next = KeyedHash(first: hash.low, second: hash.high)
                hash = bytes.withUnsafeBytes { next($0) }
                offset += bytes.count
            }
        }
        source = [hash.low, hash.high].flatMap { word in
            (0..<16).map { Array("0123456789abcdef".utf8)[Int(word >> (60 - 4 * UInt64($0)) & 15)] }
        }
    }

    /// Of an ONNX file; nil if another program wrote it.
    init?(file path: String) throws(EngineError) {
        let file = try ModelFile(path: path)
        let length = Self.head.count + Self.digits
        guard file.size > length else { return nil }
        let bytes = try file.read(length, of: UInt8.self, at: 0)
        guard bytes.starts(with: Self.head) else { return nil }
        source = Array(bytes.dropFirst(Self.head.count))
    }

    /// What the file begins with; the model's other fields follow.
    var bytes: [UInt8] { Self.head + source }
}
