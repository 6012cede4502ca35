package import NIOCore
import OpenAIWire

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

extension Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// Truncation, padding and the decoder of the file are passed over: callers say what they want. Everything else that is
    /// not known is an error, and nothing is guessed.
    ///
    /// - Parameters:
    ///   - json: the file's bytes.
    ///   - name: what errors call the file.
    /// - Complexity: O(n log n) for n bytes; some 20 ms a megabyte.
    package init(json: ByteBuffer, name: String = "tokenizer.json") throws(TokenizerError) {
        let document: JSONDocument
        do {
            document = try JSONDocument(json)
        } catch {
            throw TokenizerError(file: name, problem: "the file is not JSON: \(error)")
        }
        var file = try FileObject(document.root, path: "", file: name)
        file.ignore("version", "truncation", "padding", "decoder")
        let model = try TokenModel(file.object("model"))
        let normalizer = try file.optionalObject("normalizer").map(Normalizer.read)
        let preTokenizer = try file.optionalObject("pre_tokenizer").map(PreTokenizer.read)
        let added = try Self.readAddedTokens(&file, model.vocabulary, normalizer)
        var postProcessor = PostProcessor()
        if let object = try file.optionalObject("post_processor") {
            let known = Set(added.map(\.id))
            try postProcessor.read(object) { known.contains($0) || model.vocabulary.bytes(of: $0) != nil }
        }
        try file.finish()
        self.init(
            added: added,
            normalizer: normalizer,
            preTokenizer: preTokenizer,
            model: model,
            postProcessor: postProcessor
        )
    }

    /// Reads a `tokenizer.json` from disk.
    package init(path: String) throws(TokenizerError) {
        guard let file = fopen(path, "rb") else {
            throw TokenizerError(file: path, problem: "the file cannot be opened: \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        var bytes = ByteBuffer()
        // 4 MiB a step: the largest vocabularies take some eight.
        let step = 4 << 20
        while true {
            let count = bytes.writeWithUnsafeMutableBytes(minimumWritableBytes: step) {
                fread($0.baseAddress, 1, step, file)
            }
            guard count > 0 else { break }
            guard bytes.readableBytes <= JSONLimits.largestDocument else {
                throw TokenizerError(file: path, problem: "the file is larger than 1 GiB")
            }
        }
        guard ferror(file) == 0 else { throw TokenizerError(file: path, problem: "the file cannot be read") }
        try self.init(json: bytes, name: path)
    }

    private static func readAddedTokens(
        _ file: inout FileObject,
        _ vocabulary: Vocabulary,
        _ normalizer: Normalizer?
    ) throws(TokenizerError) -> [AddedToken] {
        guard file.optional("added_tokens") != nil else { return [] }
        var tokens: [AddedToken] = []
        var contents: [Int32: String] = [:]
        let objects = try file.objects("added_tokens")
        for var object in objects {
            let id = FileObject.tokenID(try object.required("id"), tokens: vocabulary.count + objects.count)
            guard let id else {
                throw object.error("id", "is no token's number")
            }
            let token = AddedToken(
                id: id,
                content: try object.string("content"),
                isSingleWord: try object.optionalBool("single_word") ?? false,
                stripsLeft: try object.optionalBool("lstrip") ?? false,
                stripsRight: try object.optionalBool("rstrip") ?? false,
                isNormalized: try object.optionalBool("normalized") ?? true,
                isSpecial: try object.optionalBool("special") ?? false
            )
            try object.finish()
            guard !token.content.isEmpty else { throw object.error("content", "is empty") }
            if token.isNormalized, normalize(token.content, with: normalizer).isEmpty {
                throw object.error("content", "\"\(token.content)\" is nothing after normalisation")
            }
            if let known = vocabulary.id(of: token.content), known != id {
                throw object.error("id", "is \(id), but \"\(token.content)\" is token \(known) of the model")
            }
            if let other = vocabulary.token(of: id) ?? contents[id], other != token.content {
                throw object.error("id", "is \(id), which is the token \"\(other)\"")
            }
            contents[id] = token.content
            tokens.append(token)
        }
        // The reference looks for special tokens first where two are written alike.
        return tokens.filter(\.isSpecial) + tokens.filter { !$0.isSpecial }
    }
}

extension FileObject {
    /// What component this is: its `type`.
    mutating func type() throws(TokenizerError) -> String { try string("type") }

    func unknownType(_ type: String) -> TokenizerError { error("of type \(type) is not known") }

    /// A text or expression to look for.
    mutating func pattern(_ key: String) throws(TokenizerError) -> ScalarPattern {
        var object = try self.object(key)
        let text = try object.optionalString("String")
        let expression = try object.optionalString("Regex")
        try object.finish()
        do throws(ScalarPattern.Unsupported) {
            switch (text, expression) {
            case (let text?, nil): return try ScalarPattern(text: text)
            case (nil, let expression?): return try ScalarPattern(expression: expression)
            default: throw ScalarPattern.Unsupported(problem: "is neither a String nor a Regex")
            }
        } catch {
            throw object.error(error.problem)
        }
    }

    /// A member whose value is one of an enumeration's.
    mutating func choice<Choice: RawRepresentable<String>>(_ key: String) throws(TokenizerError) -> Choice {
        let text = try string(key)
        guard let choice = Choice(rawValue: text) else { throw error(key, "is \"\(text)\", which is not known") }
        return choice
    }
}
