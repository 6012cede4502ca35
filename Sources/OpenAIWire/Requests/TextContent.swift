/// Whose words a text is.
package enum TextRole: String, Hashable, Sendable, CaseIterable {
    case system, developer, user, assistant, tool
    /// A document to be ranked, scored, or drawn on for an answer.
    case document
    /// Part of a tool's definition.
    case toolDefinition
    /// A role, or a part of a request, that we do not know. Guards had better treat it as the user's.
    case other

    /// The role of a message's `role` field.
    init(message role: JSONValue) {
        self =
            if role.isString(equalTo: "user") { .user } else if role.isString(equalTo: "assistant") {
                .assistant
            } else if role.isString(equalTo: "system") { .system } else if role.isString(equalTo: "tool") {
                .tool
            } else if role.isString(equalTo: "developer") { .developer } else if role.isString(equalTo: "function") {
                .tool
            } else { .other }
    }
}

/// One text of a request.
package struct TextPart: Sendable {
    package let role: TextRole
    /// The text's place in the document, a string. Decoded when asked for.
    package let text: JSONValue
    /// The number of the turn (message, prompt, document) in the request that it belongs to.
    package let turn: Int
    /// Whether the role's author wrote it as their message; false for what stands around messages: names, arguments of
    /// calls, thoughts, definitions.
    package let isContent: Bool
    /// Whether the text is the name of an object's member rather than a value: an edit cannot replace it.
    package let isKey: Bool

    /// Where the text stands, for an edit.
    package var path: JSONPath { text.path }
}

/// What parts of a request carry meaning for a model without being text that can be read here.
package struct Unreadable: OptionSet, Hashable, Sendable, CustomStringConvertible {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// A prompt given as numbers of tokens.
    package static let tokenIDs = Unreadable(rawValue: 1 << 0)
    package static let image = Unreadable(rawValue: 1 << 1)
    package static let audio = Unreadable(rawValue: 1 << 2)
    package static let video = Unreadable(rawValue: 1 << 3)
    /// A file, in the request or named by it.
    package static let file = Unreadable(rawValue: 1 << 4)
    /// Embeddings or ciphertext in place of text.
    package static let encoded = Unreadable(rawValue: 1 << 5)
    /// Text that the worker already has and the request only names.
    package static let stored = Unreadable(rawValue: 1 << 6)
    /// A form that we do not know. Whatever strings it has are among the texts.
    package static let unknown = Unreadable(rawValue: 1 << 7)

    private static let names: [(Unreadable, String)] = [
        (.tokenIDs, "tokenIDs"), (.image, "image"), (.audio, "audio"), (.video, "video"), (.file, "file"),
        (.encoded, "encoded"), (.stored, "stored"), (.unknown, "unknown"),
    ]

    package var description: String {
        "[\(Unreadable.names.filter { contains($0.0) }.map(\.1).joined(separator: ", "))]"
    }
}

/// All text of a request that a model may get to see.
package struct TextContent: Sendable {
    /// In the order in which the conversation goes: instructions first, then turn by turn, definitions last.
    package fileprivate(set) var texts: [TextPart] = []
    package fileprivate(set) var unreadable: Unreadable = []

    /// What the user said last, as parts: a turn without any text is passed over.
    package var lastUserParts: [TextPart] {
        let last = texts.last { $0.role == .user && $0.isContent && !$0.text.isEmptyString }
        guard let last else { return [] }
        return texts.filter { $0.turn == last.turn && $0.role == .user && $0.isContent }
    }

    /// What the user said last, in UTF-8; its parts are joined by line breaks, as vLLM's chat templates do. Empty where they
    /// said nothing.
    package var lastUserBytes: [UInt8] {
        var bytes: [UInt8] = []
        for (index, part) in lastUserParts.enumerated() {
            if index > 0 { bytes.append(0x0A) }
            part.text.appendText(to: &bytes)
        }
        return bytes
    }
}

/// Gathers a request's texts, turn by turn.
struct TextCollector {
    private(set) var content = TextContent()
    private var turn = -1

    /// Starts the next turn.
    mutating func nextTurn() { turn += 1 }

    mutating func note(_ unreadable: Unreadable) { content.unreadable.formUnion(unreadable) }

    /// A string; other kinds are left out.
    mutating func text(_ value: JSONValue?, _ role: TextRole, isContent: Bool = true) {
        guard let value, value.isString else { return }
        content.texts.append(
            TextPart(role: role, text: value, turn: max(turn, 0), isContent: isContent, isKey: false)
        )
    }

    /// Every string inside a value of free form, with the keys of its objects if `keys`.
    mutating func strings(in value: JSONValue?, _ role: TextRole, keys: Bool = true) {
        guard let value else { return }
        // Flat, not recursive: keys and values lie next to each other in the index. `keyEnds` holds the open objects.
        var objects: [(end: Int, next: Int)] = []
        let end = Int(value.node.next)
        for index in value.index..<end {
            while let object = objects.last, object.end <= index { objects.removeLast() }
            let node = value.storage.nodes[index]
            let isKey = objects.last?.next == index
            if isKey {
                objects[objects.count - 1].next = Int(value.storage.nodes[index + 1].next)
            }
            if node.kind == .object {
                objects.append((end: Int(node.next), next: index + 1))
            } else if node.kind == .string, keys || !isKey {
                let text = JSONValue(storage: value.storage, index: index)
                content.texts.append(
                    TextPart(role: role, text: text, turn: max(turn, 0), isContent: false, isKey: isKey)
                )
            }
        }
    }

    mutating func content(_ message: MessageContent, _ role: TextRole) {
        switch message {
        case .none: break
        case .text(let text): self.text(text, role)
        case .parts(let parts): for part in parts { self.part(part, role) }
        }
    }

    mutating func part(_ part: ContentPart, _ role: TextRole) {
        switch part.kind {
        case .text(let text):
            self.text(text, role)
        case .reasoning(let text):
            self.text(text, role, isContent: false)
        case .unreadable(let kind):
            note(kind)
        case .unknown:
            note(.unknown)
            strings(in: part.value, role)
        }
    }

    mutating func tools(_ tools: [ToolDefinition]) {
        for tool in tools { strings(in: tool.value, .toolDefinition, keys: false) }
    }

    mutating func prompt(_ input: PromptInput, _ role: TextRole = .user) {
        switch input {
        case .text(let text):
            nextTurn()
            self.text(text, role)
        case .texts(let texts):
            for text in texts {
                nextTurn()
                self.text(text, role)
            }
        case .tokenIDs, .tokenIDLists:
            note(.tokenIDs)
        }
    }

    mutating func scored(_ inputs: [ScoreInput], _ role: TextRole) {
        for input in inputs {
            nextTurn()
            switch input {
            case .text(let text): self.text(text, role)
            case .parts(let parts): for part in parts { self.part(part, role) }
            }
        }
    }
}
