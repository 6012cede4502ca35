package import OpenAIWire

/// What signals read of a request: the text, decoded once.
package struct Prompt: Sendable {
    /// The last thing the user said, as UTF-8. Of a longer text the first and the last `windowBytes`, with a line break
    /// between them.
    package let userText: [UInt8]
    /// The same in lower case (Unicode's, not only ASCII's).
    package let lowercasedUserText: [UInt8]

    /// 32 KiB from either end: what is asked stands at the beginning or the end of a long prompt, and the event loop must
    /// not be held by a text that someone chose to be long.
    package static let windowBytes = 32 * 1024

    package init(userText: String) {
        let bytes = Array(userText.utf8)
        let isWhole = bytes.count <= 2 * Self.windowBytes
        self.userText = isWhole ? bytes : bytes.prefix(Self.windowBytes) + [0x0A] + bytes.suffix(Self.windowBytes)
        if self.userText.allSatisfy({ $0 < 0x80 }) {
            lowercasedUserText = self.userText.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
        } else {
            lowercasedUserText = Array(String(decoding: self.userText, as: UTF8.self).lowercased().utf8)
        }
    }

    package init(_ request: TextRequest) throws(RouterError) {
        self.init(userText: try request.content().lastUserText ?? "")
    }
}
