import OpenAIWire

extension Normalizer {
    static func read(_ object: FileObject) throws(TokenizerError) -> Normalizer {
        var object = object
        let type = try object.type()
        let normalizer: Normalizer
        switch type {
        case "BertNormalizer":
            let lowercases = try object.bool("lowercase")
            normalizer = .bert(
                BertNormalizer(
                    cleansText: try object.bool("clean_text"),
                    separatesIdeographs: try object.bool("handle_chinese_chars"),
                    // Without a word about accents they go with the case.
                    stripsAccents: try object.optionalBool("strip_accents") ?? lowercases,
                    lowercases: lowercases
                )
            )
        case "NFC": normalizer = .form(.canonicalComposition)
        case "NFD": normalizer = .form(.canonicalDecomposition)
        case "NFKC": normalizer = .form(.compatibilityComposition)
        case "NFKD": normalizer = .form(.compatibilityDecomposition)
        case "Lowercase": normalizer = .lowercase
        case "StripAccents": normalizer = .stripAccents
        case "Nmt": normalizer = .nmt
        case "ByteLevel": normalizer = .byteLevel
        case "Strip":
            normalizer = .strip(left: try object.bool("strip_left"), right: try object.bool("strip_right"))
        case "Replace":
            let content = try object.string("content")
            normalizer = .replace(try object.pattern("pattern"), by: content.unicodeScalars.map(\.value))
        case "Prepend":
            normalizer = .prepend(try object.string("prepend").unicodeScalars.map(\.value))
        case "Precompiled":
            normalizer = .precompiled(try map(&object))
        case "Sequence":
            var steps: [Normalizer] = []
            for step in try object.objects("normalizers") { steps.append(try read(step)) }
            normalizer = .sequence(steps)
        default:
            throw object.unknownType(type)
        }
        try object.finish()
        return normalizer
    }

    private static func map(_ object: inout FileObject) throws(TokenizerError) -> CharacterMap {
        let key = "precompiled_charsmap"
        let text = try object.string(key)
        guard let bytes = Array(text.utf8).withUnsafeBufferPointer(Base64.decode) else {
            throw object.error(key, "is not Base64")
        }
        do throws(CharacterMap.Broken) {
            return try CharacterMap(bytes)
        } catch {
            throw object.error(key, error.problem)
        }
    }
}

extension PreTokenizer {
    static func read(_ object: FileObject) throws(TokenizerError) -> PreTokenizer {
        var object = object
        let type = try object.type()
        let preTokenizer: PreTokenizer
        switch type {
        case "BertPreTokenizer": preTokenizer = .bert
        case "Whitespace": preTokenizer = .words
        case "WhitespaceSplit": preTokenizer = .whiteSpace
        case "ByteLevel":
            // Offsets are the processors' matter.
            object.ignore("trim_offsets")
            preTokenizer = .byteLevel(
                addsPrefixSpace: try object.bool("add_prefix_space"),
                splits: try object.optionalBool("use_regex") ?? true
            )
        case "Metaspace": preTokenizer = .metaspace(try metaspace(&object))
        case "Punctuation":
            let isSaid = object.optional("behavior") != nil
            preTokenizer = .punctuation(isSaid ? try object.choice("behavior") : .isolated)
        case "Digits": preTokenizer = .digits(individually: try object.bool("individual_digits"))
        case "Split":
            preTokenizer = .split(
                try object.pattern("pattern"),
                try object.choice("behavior"),
                isInverted: try object.optionalBool("invert") ?? false
            )
        case "Sequence":
            var steps: [PreTokenizer] = []
            for step in try object.objects("pretokenizers") { steps.append(try read(step)) }
            preTokenizer = .sequence(steps)
        default:
            throw object.unknownType(type)
        }
        try object.finish()
        return preTokenizer
    }

    private static func metaspace(_ object: inout FileObject) throws(TokenizerError) -> Metaspace {
        // An old spelling of the replacement.
        object.ignore("str_rep")
        let replacement = try object.string("replacement")
        guard let mark = replacement.unicodeScalars.first, replacement.unicodeScalars.count == 1 else {
            throw object.error("replacement", "is not one character")
        }
        // Files from before there were schemes only say whether there is a space.
        let addsPrefixSpace = try object.optionalBool("add_prefix_space")
        let prepending: Metaspace.Prepending
        if object.optional("prepend_scheme") != nil {
            prepending = try object.choice("prepend_scheme")
            if addsPrefixSpace == false, prepending != .never {
                throw object.error("add_prefix_space", "is false, but the prepend_scheme is \(prepending)")
            }
        } else {
            prepending = addsPrefixSpace ?? true ? .always : .never
        }
        return Metaspace(
            replacement: mark,
            prepending: prepending,
            splits: try object.optionalBool("split") ?? true
        )
    }
}

extension PostProcessor {
    /// Reads a processor, and those in it, on top of what has been read.
    ///
    /// - Parameter isToken: whether there is a token of that number.
    mutating func read(_ object: FileObject, isToken: (Int32) -> Bool) throws(TokenizerError) {
        var object = object
        let type = try object.type()
        switch type {
        case "TemplateProcessing":
            try readTemplate(&object, isToken)
        case "BertProcessing", "RobertaProcessing":
            let start = try Self.token("cls", &object, isToken)
            let end = try Self.token("sep", &object, isToken)
            try requireNoTemplate(object)
            single = [.special(start, typeID: 0), .first(typeID: 0), .special(end, typeID: 0)]
            if type == "BertProcessing" {
                pair = single + [.second(typeID: 1), .special(end, typeID: 1)]
                break
            }
            pair = single + [.special(end, typeID: 0), .second(typeID: 0), .special(end, typeID: 0)]
            let keepsPrefix = try object.optionalBool("add_prefix_space") ?? true
            if try object.optionalBool("trim_offsets") ?? true { trims.append(keepsPrefix) }
        case "ByteLevel":
            object.ignore("use_regex")
            let keepsPrefix = try object.optionalBool("add_prefix_space") ?? true
            if try object.optionalBool("trim_offsets") ?? true { trims.append(keepsPrefix) }
        case "Sequence":
            for step in try object.objects("processors") { try read(step, isToken: isToken) }
        default:
            throw object.unknownType(type)
        }
        try object.finish()
    }

    /// Two processors that both set tokens around a text are more than the reference's users ever wrote.
    private func requireNoTemplate(_ object: FileObject) throws(TokenizerError) {
        guard !single.contains(where: \.isSpecial) else { throw object.error("sets a second set of special tokens") }
    }

    /// A token with its number: `["[CLS]", 101]`.
    private static func token(
        _ key: String,
        _ object: inout FileObject,
        _ isToken: (Int32) -> Bool
    ) throws(TokenizerError) -> Int32 {
        let found = try object.required(key)
        guard found[0]?.isString == true, let number = found[1]?.int, let id = Int32(exactly: number) else {
            throw object.error(key, "is not a token and its number")
        }
        guard isToken(id) else { throw object.error(key, "is \(id), which is no token's number") }
        return id
    }

    private mutating func readTemplate(
        _ object: inout FileObject,
        _ isToken: (Int32) -> Bool
    ) throws(TokenizerError) {
        var tokens: [String: [Int32]] = [:]
        var table = try object.object("special_tokens")
        for (name, object) in try table.objects() {
            var token = object
            token.ignore("id", "tokens")
            let ids = try token.required("ids")
            guard ids.isArray else { throw token.error("ids", "is not an array") }
            var numbers: [Int32] = []
            for element in ids.elements {
                guard let id = element.int.flatMap(Int32.init(exactly:)), isToken(id) else {
                    throw token.error("ids", "holds what is no token's number")
                }
                numbers.append(id)
            }
            try token.finish()
            // Of several members of a name the last one counts.
            tokens[name] = numbers
        }
        try requireNoTemplate(object)
        single = try Self.parts("single", &object, tokens)
        guard single.count(where: { if case .first = $0 { true } else { false } }) == 1,
            !single.contains(where: { if case .second = $0 { true } else { false } })
        else { throw object.error("single", "does not hold the text A once, and it alone") }
        if object.optional("pair") != nil {
            pair = try Self.parts("pair", &object, tokens)
            guard pair.count(where: { !$0.isSpecial }) == 2,
                pair.contains(where: { if case .first = $0 { true } else { false } }),
                pair.contains(where: { if case .second = $0 { true } else { false } })
            else { throw object.error("pair", "does not hold the texts A and B once each") }
        }
    }

    private static func parts(
        _ key: String,
        _ object: inout FileObject,
        _ tokens: [String: [Int32]]
    ) throws(TokenizerError) -> [Part] {
        var parts: [Part] = []
        for var piece in try object.objects(key) {
            let isSequence = piece.optional("Sequence") != nil
            var inner = try piece.object(isSequence ? "Sequence" : "SpecialToken")
            let name = try inner.string("id")
            let typeID = Int32(clamping: try inner.optionalInt("type_id") ?? 0)
            try inner.finish()
            try piece.finish()
            if !isSequence {
                guard let ids = tokens[name] else {
                    throw inner.error("id", "is \"\(name)\", which special_tokens does not have")
                }
                parts += ids.map { .special($0, typeID: typeID) }
            } else if name == "A" || name == "B" {
                parts.append(name == "A" ? .first(typeID: typeID) : .second(typeID: typeID))
            } else {
                throw inner.error("id", "is \"\(name)\", which is neither A nor B")
            }
        }
        return parts
    }
}
