import NIOCore
import OpenAIWire
import SemanticRouter

/// A request from its JSON.
func textRequest(_ body: String, _ endpoint: TextEndpoint = .chatCompletions) throws -> TextRequest {
    try TextRequest(endpoint: endpoint, body: ByteBuffer(string: body))
}

extension TextRequest {
    /// The body with the edits made.
    func applying(_ edits: [JSONEdit]) throws -> String {
        String(buffer: try edits.applied(to: document))
    }
}

extension SystemPromptSettings {
    init(_ prompt: String, _ mode: Mode = .insert, isEnabled: Bool? = nil) {
        self.init()
        systemPrompt = prompt
        self.mode = mode
        self.isEnabled = isEnabled
    }
}

extension RequestParamsSettings {
    init(blocked: [String] = [], maxTokens: Int? = nil, maxN: Int? = nil, stripsUnknown: Bool = false) {
        self.init()
        blockedParams = blocked
        maxTokensLimit = maxTokens
        self.maxN = maxN
        self.stripsUnknown = stripsUnknown
    }
}

extension ToolsSettings {
    init(_ mode: Mode, allow: [String] = [], block: [String] = [], history: Bool = false, isEnabled: Bool = true) {
        self.init()
        self.isEnabled = isEnabled
        self.mode = mode
        self.allow = allow
        self.block = block
        stripsHistory = history
    }
}

extension FastResponseSettings {
    init(_ message: String) {
        self.init()
        self.message = message
    }
}

extension HeaderMutationSettings {
    init(add: [(String, String)] = [], update: [(String, String)] = [], delete: [String] = []) {
        func header(_ pair: (String, String)) -> Header {
            var header = Header()
            (header.name, header.value) = pair
            return header
        }
        self.init()
        self.add = add.map(header)
        self.update = update.map(header)
        self.delete = delete
    }
}
