import OpenAIWire

/// Reads what workers answer about one text. Takes nothing on trust.
enum RemoteAnswer {
    /// The vector of an answer of `/v1/embeddings`: `{"data": [{"embedding": …}]}`, with a list of numbers or with base64 of
    /// Float32, little-endian. Workers that do not know `encoding_format` answer with a list.
    static func embedding(_ root: JSONValue, dimensions: Int) throws(RemoteFailure) -> [Float] {
        guard let embedding = try only(root)["embedding"] else {
            throw .malformed("the worker's answer holds no embedding")
        }
        let vector: [Float]?
        switch embedding.kind {
        case .string: vector = floats(base64: embedding)
        case .array: vector = floats(embedding)
        default: vector = nil
        }
        guard let vector else { throw .malformed("the worker's embedding is neither a list of numbers nor base64") }
        guard vector.count == dimensions else {
            throw .malformed("the worker's embedding has \(vector.count) numbers instead of \(dimensions)")
        }
        guard vector.allSatisfy(\.isFinite) else {
            throw .malformed("the worker's embedding holds numbers that are not finite")
        }
        return vector
    }

    /// The classes of an answer of vLLM's `/classify`: `{"data": [{"label": …, "probs": […]}]}`, where `label` names the
    /// best class, or is null for a model without names.
    static func classification(_ root: JSONValue, labels: [String]) throws(RemoteFailure) -> Classification {
        let item = try only(root)
        guard let list = item["probs"], list.isArray, let probabilities = floats(list) else {
            throw .malformed("the worker's answer holds no probabilities")
        }
        guard probabilities.count == labels.count else {
            throw .malformed("the worker's answer is about \(probabilities.count) classes instead of \(labels.count)")
        }
        guard probabilities.allSatisfy({ $0 >= 0 && $0 <= 1 }) else {
            throw .malformed("the worker's answer holds probabilities that are not in 0…1")
        }
        if let label = item["label"], !label.isNull {
            // Labels in another order than the model's would make every answer wrong, and none look so.
            guard let named = labels.firstIndex(where: { label.isString(equalTo: $0) }),
                probabilities.allSatisfy({ $0 <= probabilities[named] })
            else { throw .malformed("the worker's best class is not the one that the labels name") }
        }
        return Classification(labels: labels, probabilities: probabilities)
    }

    /// The answer about the one text that was sent.
    private static func only(_ root: JSONValue) throws(RemoteFailure) -> JSONValue {
        guard let data = root["data"], data.isArray, let item = data[0], data[1] == nil, item.isObject else {
            throw .malformed("the worker's answer is not about one text")
        }
        return item
    }

    /// Nil when something else than a number is among them. A number beyond Float32 becomes an infinity.
    private static func floats(_ list: JSONValue) -> [Float]? {
        var values: [Float] = []
        for element in list.elements {
            guard let value = element.double else { return nil }
            values.append(Float(value))
        }
        return values
    }

    // MARK: Base64

    /// The Float32s, little-endian, that a text is the base64 of (RFC 4648 section 4); nil when it is not whole groups of
    /// four digits, padded at the end, or does not hold whole numbers.
    private static func floats(base64 text: JSONValue) -> [Float]? {
        var digits: [UInt8] = []
        digits.reserveCapacity(text.decodedByteCount)
        text.appendText(to: &digits)
        guard digits.count % 4 == 0 else { return nil }
        for _ in 0..<2 where digits.last == UInt8(ascii: "=") { digits.removeLast() }
        let byteCount = digits.count * 3 / 4
        guard byteCount % 4 == 0 else { return nil }
        var values: [Float] = []
        values.reserveCapacity(byteCount / 4)
        // Bits come in from the left of a group; the bytes of a number come in from its low end.
        var held: UInt32 = 0
        var bits = 0
        var number: UInt32 = 0
        var numberBits: UInt32 = 0
        for digit in digits {
            let value = digitValues[Int(digit)]
            guard value < 64 else { return nil }
            held = held << 6 | UInt32(value)
            bits += 6
            guard bits >= 8 else { continue }
            bits -= 8
            number |= (held >> UInt32(bits) & 0xFF) << numberBits
            numberBits += 8
            if numberBits == 32 {
                values.append(Float(bitPattern: number))
                number = 0
                numberBits = 0
            }
        }
        return values
    }

    /// The value of each digit; 255 for other bytes.
    private static let digitValues: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 256)
        let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        for (value, digit) in digits.utf8.enumerated() { values[Int(digit)] = UInt8(value) }
        return values
    }()
}
