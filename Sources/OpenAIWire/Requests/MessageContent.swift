/// The `content` of a message: nothing, one text, or parts of several kinds.
package enum MessageContent: Sendable {
    case none
    case text(JSONValue)
    case parts([ContentPart])

    /// Reads a content field; nil and null are none.
    init(_ value: JSONValue?) throws(RouterError) {
        guard let value, !value.isNull else {
            self = .none
            return
        }
        switch value.kind {
        case .string:
            self = .text(value)
        case .array:
            var parts: [ContentPart] = []
            for element in value.elements { parts.append(try ContentPart(element)) }
            self = .parts(parts)
        default:
            throw value.mustBe("a string or a list of content parts")
        }
    }

    /// The texts in order.
    package var texts: [JSONValue] {
        switch self {
        case .none: []
        case .text(let text): [text]
        case .parts(let parts):
            parts.compactMap { part in if case .text(let text) = part.kind { text } else { nil } }
        }
    }
}

/// One part of a message's content, in OpenAI's, Anthropic's or vLLM's spelling.
package struct ContentPart: Sendable {
    package enum Kind: Sendable {
        /// A string value.
        case text(JSONValue)
        /// A model's thoughts, sent back to it.
        case reasoning(JSONValue)
        case unreadable(Unreadable)
        /// A type that we do not know; kept as it is.
        case unknown
    }

    package let value: JSONValue
    package let kind: Kind

    /// A bare string counts as a text part, as it does for vLLM.
    init(_ value: JSONValue) throws(RouterError) {
        self.value = value
        guard !value.isString else {
            kind = .text(value)
            return
        }
        guard value.isObject else { throw value.mustBe("a content part") }
        guard let type = try value.optional("type", .string) else {
            // vLLM guesses a part without type by its fields; a text alone is clear.
            kind = value.given("text").map { $0.isString ? .text($0) : .unknown } ?? .unknown
            return
        }
        guard let form = type.string.flatMap({ ContentPart.forms[$0] }) else {
            kind = .unknown
            return
        }
        switch form {
        case .text(let key): kind = .text(try value.required(key, .string))
        case .reasoning(let key): kind = .reasoning(try value.required(key, .string))
        case .unreadable(let what): kind = .unreadable(what)
        }
    }

    private enum Form {
        case text(String)
        case reasoning(String)
        case unreadable(Unreadable)
    }

    /// By `type`: the field that holds the text, or what the part is instead. From OpenAI's chat and responses APIs,
    /// Anthropic's messages API, and vLLM's chat_utils.py.
    private static let forms: [String: Form] = [
        "text": .text("text"),
        "input_text": .text("text"),
        "output_text": .text("text"),
        "refusal": .text("refusal"),
        "thinking": .reasoning("thinking"),
        "reasoning_text": .reasoning("text"),
        "summary_text": .reasoning("text"),
        "image": .unreadable(.image),
        "image_url": .unreadable(.image),
        "input_image": .unreadable(.image),
        "image_pil": .unreadable(.image),
        "audio": .unreadable(.audio),
        "audio_url": .unreadable(.audio),
        "input_audio": .unreadable(.audio),
        "video": .unreadable(.video),
        "video_url": .unreadable(.video),
        "input_video": .unreadable(.video),
        "file": .unreadable(.file),
        "input_file": .unreadable(.file),
        "image_embeds": .unreadable(.encoded),
        "audio_embeds": .unreadable(.encoded),
        "video_embeds": .unreadable(.encoded),
        "prompt_embeds": .unreadable(.encoded),
        "redacted_thinking": .unreadable(.encoded),
    ]
}
