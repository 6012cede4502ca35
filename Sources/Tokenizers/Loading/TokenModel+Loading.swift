import OpenAIWire

extension TokenModel {
    init(_ object: FileObject) throws(TokenizerError) {
        var object = object
        var type = try object.optionalString("type") ?? ""
        if type.isEmpty { type = try Self.type(ofOldFile: object) }
        switch type {
        case "WordPiece":
            let vocabulary = try Self.vocabulary(&object)
            self = .wordPieces(
                WordPieceModel(
                    vocabulary: vocabulary,
                    unknown: try Self.token("unk_token", &object, vocabulary),
                    continuationPrefix: try object.string("continuing_subword_prefix"),
                    longestWord: try object.optionalInt("max_input_chars_per_word") ?? 100
                )
            )
        case "BPE":
            self = .bytePairs(try Self.bytePairs(&object))
        case "Unigram":
            self = .unigrams(try Self.unigrams(&object))
        case "WordLevel":
            let vocabulary = try Self.vocabulary(&object)
            self = .words(
                WordModel(vocabulary: vocabulary, unknown: try Self.token("unk_token", &object, vocabulary))
            )
        default:
            throw object.unknownType(type)
        }
        try object.finish()
    }

    /// Before version 0.10 files did not name the model: its members tell.
    private static func type(ofOldFile object: FileObject) throws(TokenizerError) -> String {
        let keys = object.keys
        if keys.contains("merges") { return "BPE" }
        if keys.contains("unk_id") { return "Unigram" }
        if keys.contains("max_input_chars_per_word") { return "WordPiece" }
        throw object.error("type", "is missing")
    }

    private static func vocabulary(_ object: inout FileObject) throws(TokenizerError) -> Vocabulary {
        let found = try object.required("vocab")
        guard found.isObject else { throw object.error("vocab", "is not an object") }
        let count = found.members.reduce(0) { count, _ in count + 1 }
        var vocabulary = Vocabulary(capacity: count)
        for member in found.members {
            guard let id = FileObject.tokenID(member.value, tokens: count) else {
                throw object.error("vocab", "gives \"\(member.key.string ?? "")\" what is no token's number")
            }
            guard vocabulary.add(id, { member.key.appendText(to: &$0) }) else {
                throw object.error(
                    "vocab",
                    "has a second token \"\(member.key.string ?? "")\" or a second number \(id)"
                )
            }
        }
        guard vocabulary.count > 0 else { throw object.error("vocab", "is empty") }
        return vocabulary
    }

    /// About how many entries a list has, so that tables are rarely made anew: one takes some 24 bytes.
    private static func entries(in list: JSONValue) -> Int { list.byteRange.count / 24 }

    /// A token that is named by its text.
    private static func token(
        _ key: String,
        _ object: inout FileObject,
        _ vocabulary: Vocabulary
    ) throws(TokenizerError) -> Int32 {
        let text = try object.string(key)
        guard let id = vocabulary.id(of: text) else {
            throw object.error(key, "is \"\(text)\", which the vocabulary does not have")
        }
        return id
    }

    // MARK: Byte pairs

    private static func bytePairs(_ object: inout FileObject) throws(TokenizerError) -> BytePairModel {
        let vocabulary = try Self.vocabulary(&object)
        if let dropout = object.optional("dropout"), dropout.double != 0 {
            throw object.error("dropout", "is for training: it must be null")
        }
        var options = BytePairModel.Options()
        options.fusesUnknown = try object.optionalBool("fuse_unk") ?? false
        options.byteFallback = try object.optionalBool("byte_fallback") ?? false
        options.ignoresMerges = try object.optionalBool("ignore_merges") ?? false
        options.continuationPrefix = try object.optionalString("continuing_subword_prefix") ?? ""
        options.wordSuffix = try object.optionalString("end_of_word_suffix") ?? ""
        let hasUnknown = object.optional("unk_token") != nil
        let unknown = hasUnknown ? try token("unk_token", &object, vocabulary) : nil
        let merges = try Self.merges(&object, vocabulary, options.continuationPrefix)
        return BytePairModel(vocabulary: vocabulary, merges: merges, unknown: unknown, options: options)
    }

    private static func merges(
        _ object: inout FileObject,
        _ vocabulary: Vocabulary,
        _ continuationPrefix: String
    ) throws(TokenizerError) -> MergeTable {
        let found = try object.required("merges")
        guard found.isArray else { throw object.error("merges", "is not an array") }
        var merges = MergeTable(capacity: entries(in: found))
        let prefix = continuationPrefix.utf8.count
        var rank = 0
        var text: [UInt8] = []
        for element in found.elements {
            text.removeAll(keepingCapacity: true)
            let middle: Int
            if element.isString {
                // `a b`; no token of such a file holds a space.
                element.appendText(to: &text)
                if rank == 0, text.starts(with: "#version".utf8) { continue }
                guard let space = text.firstIndex(of: 0x20), !text[(space + 1)...].contains(0x20) else {
                    throw object.error(
                        "merges",
                        "has at \(rank) what is no pair: \"\(String(decoding: text, as: UTF8.self))\""
                    )
                }
                text.remove(at: space)
                middle = space
            } else {
                var parts = element.elements
                guard element.isArray, let left = parts.next(), let right = parts.next(), parts.next() == nil,
                    left.isString, right.isString
                else { throw object.error("merges", "has at \(rank) what is no pair") }
                left.appendText(to: &text)
                middle = text.count
                right.appendText(to: &text)
            }
            guard let left = vocabulary.id(of: text, 0..<middle),
                let right = vocabulary.id(of: text, middle..<text.count)
            else {
                throw object.error(
                    "merges",
                    "has at \(rank) a token that the vocabulary does not have: \"\(Self.shown(text, middle))\""
                )
            }
            guard text.count - middle >= prefix else {
                throw object.error("merges", "has at \(rank) a token without prefix")
            }
            text.removeSubrange(middle..<(middle + prefix))
            guard let token = vocabulary.id(of: text, 0..<text.count) else {
                throw object.error(
                    "merges",
                    "has at \(rank) a pair whose sum the vocabulary does not have: \"\(Self.shown(text, middle))\""
                )
            }
            merges.add(left, right, token: token, rank: rank)
            rank += 1
        }
        return merges
    }

    private static func shown(_ text: [UInt8], _ middle: Int) -> String {
        "\(String(decoding: text[..<middle], as: UTF8.self)) \(String(decoding: text[middle...], as: UTF8.self))"
    }

    // MARK: Unigrams

    private static func unigrams(_ object: inout FileObject) throws(TokenizerError) -> UnigramModel {
        let found = try object.required("vocab")
        guard found.isArray else { throw object.error("vocab", "is not an array") }
        var vocabulary = Vocabulary(capacity: entries(in: found))
        var scores: [Double] = []
        for element in found.elements {
            var parts = element.elements
            guard let text = parts.next(), text.isString, let score = parts.next().flatMap(ReferenceNumber.read),
                parts.next() == nil
            else {
                throw object.error("vocab", "has at \(scores.count) what is no token with its score")
            }
            guard scores.count < FileObject.mostTokens,
                vocabulary.add(Int32(scores.count), { text.appendText(to: &$0) })
            else { throw object.error("vocab", "has a second token \"\(text.string ?? "")\"") }
            scores.append(score)
        }
        guard let unknown = try object.optionalInt("unk_id") else {
            throw object.error("unk_id", "is missing: a text may hold what the vocabulary does not have")
        }
        guard unknown < scores.count else { throw object.error("unk_id", "is \(unknown), which is no token's number") }
        return UnigramModel(
            vocabulary: vocabulary,
            scores: scores,
            unknown: Int32(unknown),
            byteFallback: try object.optionalBool("byte_fallback") ?? false
        )
    }
}
