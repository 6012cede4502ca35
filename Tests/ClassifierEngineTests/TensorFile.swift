import Foundation

/// Writes safetensors files for tests, right ones and wrong ones.
struct TensorFile {
    var header = ""
    var data = Data()

    mutating func add(_ name: String, _ shape: [Int], floats values: [Float]) {
        add(name, "F32", shape, values.withUnsafeBytes { Data($0) })
    }

    mutating func add(_ name: String, _ shape: [Int], integers values: [Int64]) {
        add(name, "I64", shape, values.withUnsafeBytes { Data($0) })
    }

    mutating func add(_ name: String, _ type: String, _ shape: [Int], _ bytes: Data) {
        let range = "[\(data.count), \(data.count + bytes.count)]"
        header += header.isEmpty ? "{" : ", "
        header += #""\#(name)": {"dtype": "\#(type)", "shape": \#(shape), "data_offsets": \#(range)}"#
        data += bytes
    }

    var bytes: Data {
        let text = Data(((header.isEmpty ? "{" : header) + "}").utf8)
        return withUnsafeBytes(of: UInt64(text.count).littleEndian) { Data($0) } + text + data
    }

    func write(to path: String) throws { try bytes.write(to: URL(filePath: path)) }

    func write() throws -> String { try TemporaryFiles.write(bytes) }
}
