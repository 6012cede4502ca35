package import OpenAIWire
import TextMatching

/// What signals read of a request: its text, decoded once, and facts about it.
package struct Prompt: Sendable {
    /// What is asked, as UTF-8: the user's last text, else all instructions and answers. Of a longer text the first and
    /// the last `windowBytes`, with a line break between them.
    package let text: [UInt8]
    /// The same in lower case (Unicode's, not only ASCII's).
    package let lowercasedText: [UInt8]
    /// The same, of a longer text only the first and the last `closeBytes`: for matchers that cost more than one pass.
    package let closeText: [UInt8]
    /// The length of the user's last text, all of it.
    package let userTextBytes: Int
    /// How many tokens the whole request may have; an estimate.
    package let tokens: Int
    package let conversation: ConversationFacts
    /// The request's `metadata` object, which a client fills as it likes.
    package let metadata: JSONValue?
    package let identity: Identity
    /// How many steps the expressions of one kind of signal may take; see `StepBudget`.
    package let patternSteps: Int

    /// A step without an automaton takes about 5 ns: 2 million are 10 ms, the design's budget for all of routing.
    package static let standardPatternSteps = 2_000_000

    /// 32 KiB from either end: what is asked stands at the beginning or the end of a long prompt, and the event loop must
    /// not be held by a text that someone chose to be long.
    package static let windowBytes = 32 * 1024

    /// 8 KiB from either end: 200 keywords with wrong letters take about 2 ms there.
    package static let closeBytes = 8 * 1024

    /// - Throws: `.invalidRequest` where the request has not the form its endpoint asks for.
    package init(
        _ request: TextRequest,
        identity: Identity = .anonymous,
        patternSteps: Int = standardPatternSteps
    ) throws(RouterError) {
        self.patternSteps = patternSteps
        let content = try request.content()
        let user = content.lastUserBytes
        conversation = ConversationFacts(request)
        tokens = TokenEstimate.tokens(of: content, conversation)
        metadata = request.root["metadata"].flatMap { $0.isObject ? $0 : nil }
        self.identity = identity
        userTextBytes = user.count
        text = Self.window(Self.windowBytes, of: user.isEmpty ? content.otherBytes : user)
        lowercasedText = Lowercasing.lowercased(text)
        closeText = Self.window(Self.closeBytes, of: lowercasedText)
    }

    /// What is longer is no word that anybody looks for.
    private static let longestWord = 64

    /// ASCII letters and digits.
    private static func isWord(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte & 0xDF)
    }

    /// Both ends, cut between characters' bytes and not inside them; all of a text that is no longer than that.
    private static func window(_ size: Int, of bytes: [UInt8]) -> [UInt8] {
        guard bytes.count > 2 * size else { return bytes }
        var head = size
        while head > 0, bytes[head] & 0xC0 == 0x80 { head -= 1 }
        var tail = bytes.count - size
        while tail < bytes.count, bytes[tail] & 0xC0 == 0x80 { tail += 1 }
        // Half a word is another word.
        let starts = (0...longestWord).lazy.map { head - $0 }
        head = starts.first { !(isWord(bytes[$0 - 1]) && isWord(bytes[$0])) } ?? head
        let ends = (0...longestWord).lazy.map { [tail] in tail + $0 }
        tail = ends.first { !(isWord(bytes[$0 - 1]) && isWord(bytes[$0])) } ?? tail
        return bytes[..<head] + [0x0A] + bytes[tail...]
    }
}

extension TextContent {
    /// Instructions and answers, for a request in which the user says nothing: upstream reads them instead.
    fileprivate var otherBytes: [UInt8] {
        var bytes: [UInt8] = []
        for part in texts where part.isContent && [.system, .developer, .assistant].contains(part.role) {
            if !bytes.isEmpty { bytes.append(0x20) }
            part.text.appendText(to: &bytes)
        }
        return bytes
    }
}

/// How many tokens a request may have, without a tokenizer.
enum TokenEstimate {
    /// Upstream's estimate: a token for four bytes of text, four for each message's frame, eight for each tool and call,
    /// 8,192 for an image. Definitions of tools count by their bytes like other text, which upstream counts as one
    /// token each.
    ///
    /// - Complexity: O(texts); lengths come from the document's index.
    static func tokens(of content: TextContent, _ conversation: ConversationFacts) -> Int {
        let bytes = content.texts.reduce(0) { $0 + $1.text.decodedByteCount }
        return (bytes + 3) / 4 + 4 * conversation.messages + 8 * (conversation.tools + conversation.toolCalls)
            + 8192 * conversation.images
    }
}
