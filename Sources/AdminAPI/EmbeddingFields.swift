import NIOCore
import NIOHTTP1
import OpenAIWire

/// Reads the bodies of the endpoints that ask embedding models. A member that is null counts as not given; what upstream
/// does not know is passed over.
struct EmbeddingFields {
    /// Upstream takes 100; it asks its models for one text at a time.
    static let maxTexts = 256
    /// 128 KiB, upstream's: more than any of its models reads.
    static let maxTextBytes = 128 << 10

    private let request: JSONRequest
    private var root: JSONValue { request.document.root }

    init(_ body: ByteBuffer) throws(ManagementError) {
        do throws(RouterError) {
            request = try JSONRequest(body: body)
        } catch {
            throw ManagementError(error)
        }
    }

    /// What all of the endpoints take.
    func demand() throws(ManagementError) -> EmbeddingDemand {
        for key in ["images", "audios"] where root.given(key)?[0] != nil {
            throw ManagementError("UNSUPPORTED_CAPABILITY", .badRequest, "\(key) are not supported: give texts.")
        }
        guard try wholeNumber("target_layer") ?? 0 == 0 else {
            throw ManagementError("INVALID_LAYER", .badRequest, "target_layer is not supported: leave it out.")
        }
        let model = request.model ?? ""
        let dimension = try wholeNumber("dimension") ?? 0
        return EmbeddingDemand(
            // Upstream takes an empty name and 0 for not given.
            model: model.isEmpty || model == "auto" ? nil : model,
            dimension: dimension == 0 ? nil : dimension,
            qualityPriority: try priority("quality_priority"),
            latencyPriority: try priority("latency_priority")
        )
    }

    /// A text that must be given.
    func text(_ key: String) throws(ManagementError) -> String {
        guard let value = root.given(key) else { throw .invalidInput("\(key) must be given.") }
        return try text(value, name: key)
    }

    /// Texts of which one must be given at least.
    func texts(_ key: String) throws(ManagementError) -> [String] {
        guard let list = root.given(key) else { throw .invalidInput("\(key) must be given.") }
        guard list.isArray else { throw .invalidInput("\(key) must be a list of strings.") }
        var texts: [String] = []
        for value in list.elements {
            guard texts.count < Self.maxTexts else {
                throw .invalidInput("\(key) must not hold more than \(Self.maxTexts) texts.")
            }
            texts.append(try text(value, name: "\(key)[\(texts.count)]"))
        }
        guard !texts.isEmpty else { throw .invalidInput("\(key) must hold a text at least.") }
        return texts
    }

    /// How many there should be at most; nil where that is not said, which in upstream's shape is 0 too.
    func limit(_ key: String) throws(ManagementError) -> Int? {
        let limit = try wholeNumber(key) ?? 0
        guard limit >= 0 else { throw .invalidInput("\(key) must not be negative.") }
        return limit == 0 ? nil : limit
    }

    private func text(_ value: JSONValue, name: String) throws(ManagementError) -> String {
        // The size before the text is copied.
        guard value.decodedByteCount <= Self.maxTextBytes else {
            throw .invalidInput("\(name) must not be longer than \(Self.maxTextBytes) bytes.")
        }
        guard let text = value.string else { throw .invalidInput("\(name) must be a string.") }
        guard text.contains(where: { !$0.isWhitespace }) else { throw .invalidInput("\(name) must not be blank.") }
        guard !text.utf8.contains(0) else { throw .invalidInput("\(name) must not hold a NUL character.") }
        return text
    }

    private func wholeNumber(_ key: String) throws(ManagementError) -> Int? {
        guard let value = root.given(key) else { return nil }
        guard let number = value.int else { throw .invalidInput("\(key) must be a whole number.") }
        return number
    }

    private func priority(_ key: String) throws(ManagementError) -> Double {
        guard let value = root.given(key) else { return 0 }
        guard value.kind == .number else { throw .invalidInput("\(key) must be a number.") }
        guard let number = value.double, (0...1).contains(number) else {
            throw ManagementError("INVALID_PARAMETER", .badRequest, "\(key) must be between 0 and 1.")
        }
        return number
    }
}
