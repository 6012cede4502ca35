import NIOCore
import OpenAIWire

/// A model's JSON file, whose mistakes are told with its name and the key.
struct JSONFile {
    let path: String
    private let root: JSONValue

    /// 64 MiB: far more than any model's configuration takes; a buffer holds no 4 GiB.
    private static let largest = 64 << 20

    init(path: String) throws(EngineError) {
        let file = try ModelFile(path: path)
        guard file.size <= Self.largest else {
            throw EngineError(.malformed, path, "\(file.size) bytes; a model's JSON file has at most \(Self.largest)")
        }
        let bytes = try file.read(file.size, of: UInt8.self, at: 0)
        do throws(JSONError) {
            // Names of tokens and labels nest a few levels; a deep document is none of a model's.
            root = try JSONDocument(ByteBuffer(bytes: bytes), limits: JSONLimits(maxDepth: 32)).root
        } catch {
            throw EngineError(.malformed, path, "not JSON: \(error)")
        }
        self.path = path
    }

    /// The value at a path of keys; nil if it is absent or null.
    subscript(_ keys: String...) -> JSONValue? {
        var value: JSONValue? = root
        for key in keys {
            guard let object = value, object.isObject else { return nil }
            value = object[key]
        }
        return value.flatMap { $0.isNull ? nil : $0 }
    }

    var elements: [JSONValue] { root.isArray ? Array(root.elements) : [] }

    func int(_ key: String, default fallback: Int? = nil) throws(EngineError) -> Int {
        guard let value = self[key] else {
            guard let fallback else { throw EngineError(.malformed, path, "\"\(key)\" is missing") }
            return fallback
        }
        guard let number = value.int else { throw wrong(key, "an integer") }
        return number
    }

    /// A number within bounds.
    ///
    /// - Parameter largest: by default more than any model has that fits into ONNX's 2 GiB, and little enough that products
    ///   of two do not overflow.
    func size(
        _ key: String,
        default fallback: Int? = nil,
        from smallest: Int = 1,
        upTo largest: Int = 1 << 30
    ) throws(EngineError) -> Int {
        let number = try int(key, default: fallback)
        guard (smallest...largest).contains(number) else { throw wrong(key, "from \(smallest) to \(largest)") }
        return number
    }

    func double(_ key: String, default fallback: Double? = nil) throws(EngineError) -> Double {
        guard let value = self[key] else {
            guard let fallback else { throw EngineError(.malformed, path, "\"\(key)\" is missing") }
            return fallback
        }
        guard let number = value.double else { throw wrong(key, "a number") }
        return number
    }

    func string(_ key: String, default fallback: String? = nil) throws(EngineError) -> String {
        guard let value = self[key] else {
            guard let fallback else { throw EngineError(.malformed, path, "\"\(key)\" is missing") }
            return fallback
        }
        guard let text = value.string else { throw wrong(key, "a string") }
        return text
    }

    func bool(_ key: String, default fallback: Bool) throws(EngineError) -> Bool {
        guard let value = self[key] else { return fallback }
        guard let flag = value.bool else { throw wrong(key, "true or false") }
        return flag
    }

    func wrong(_ key: String, _ expected: String) -> EngineError {
        EngineError(.malformed, path, "\"\(key)\" must be \(expected)")
    }
}
