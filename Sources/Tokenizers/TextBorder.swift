/// Whether a long text may be cut, so that its parts have the tokens that the whole has: a proof, made once for a tokenizer.
///
/// The only place in question is before a single space between two printable characters of ASCII. Each component is asked
/// whether it does the same on either side when the other is not there, and whether one of them sets a piece's border at the
/// place. A component of which this is not known counts as one that does not: the text is then looked at in one piece.
struct TextBorder {
    /// What the normalizer has made of the space. The character before it stays a printable one of ASCII; the one after it may
    /// have been put together with marks that follow, so nothing is known of it.
    private var space: Set<UInt32> = [0x20]

    private static let printable: ClosedRange<UInt8> = 0x21...0x7E

    /// Whether the place at `index`, which is neither a text's start nor its end, is one to ask for.
    @inline(__always)
    static func isCandidate(_ bytes: UnsafeBufferPointer<UInt8>, _ index: Int) -> Bool {
        bytes[index] == 0x20 && index + 1 < bytes.count && printable.contains(bytes[index - 1])
            && printable.contains(bytes[index + 1])
    }

    /// Whether texts may be cut there.
    static func isSafe(
        inOriginal: [AddedToken],
        _ normalizer: Normalizer?,
        inNormalized: [(token: AddedToken, content: [UInt8])],
        _ preTokenizer: PreTokenizer?
    ) -> Bool {
        var border = TextBorder()
        for token in inOriginal where !border.isOutside(token, Array(token.content.utf8)) { return false }
        if let normalizer, !border.passes(normalizer) { return false }
        for (token, content) in inNormalized where !border.isOutside(token, content) { return false }
        return preTokenizer.map(border.isMade) ?? false
    }

    private static func isPrintable(_ scalar: UInt32?) -> Bool { scalar.map { 0x21...0x7E ~= $0 } ?? false }

    /// Whether a token neither holds the border nor looks over it.
    private func isOutside(_ token: AddedToken, _ content: [UInt8]) -> Bool {
        let scalars = String(decoding: content, as: UTF8.self).unicodeScalars.map(\.value)
        if holdsBorder(scalars) || token.stripsRight && Self.isPrintable(scalars.last) { return false }
        return !token.isSingleWord || !space.contains(scalars[0]) && has(\.isOfNoWord)
    }

    private func holdsBorder(_ scalars: [UInt32]) -> Bool {
        zip(scalars, scalars.dropFirst()).contains { Self.isPrintable($0) && space.contains($1) }
    }

    private func has(_ property: (ScalarProperties) -> Bool) -> Bool {
        space.allSatisfy { property(UnicodeTables.standard.properties(of: $0)) }
    }

    // MARK: Normalizers

    /// Whether a step leaves the border in its place; takes account of what it makes of the space.
    private mutating func passes(_ normalizer: Normalizer) -> Bool {
        switch normalizer {
        case .bert, .form, .lowercase, .stripAccents, .nmt:
            // They work character by character, or from one character that begins a segment to the next, as all of ASCII do.
            return space == [0x20]
        case .byteLevel:
            guard space == [0x20] else { return false }
            space = [ByteAlphabet.standard.space]
            return true
        case .precompiled(let map):
            // A cluster ends before a space that a printable character follows.
            return space == [0x20] && map.keepsPrintable
        case .replace(let pattern, let content):
            guard !pattern.mayCross(from: Self.printable, to: space) else { return false }
            if pattern.mayTake(Self.printable), !Self.isPrintable(content.first) || !Self.isPrintable(content.last) {
                return false
            }
            if pattern.mayBegin(with: space) {
                guard let mark = content.first, content.count == 1 else { return false }
                space = pattern.isAlways(space) ? [mark] : space.union([mark])
            }
            return true
        case .strip, .prepend:
            return false
        case .sequence(let steps):
            return steps.allSatisfy { passes($0) }
        }
    }

    // MARK: Pre-tokenizers

    /// Whether a step begins a piece at the border, and cuts what lies on either side as if the other were not there. All
    /// steps after it see the pieces one by one.
    private func isMade(by preTokenizer: PreTokenizer) -> Bool {
        switch preTokenizer {
        case .bert, .whiteSpace, .words:
            return has { $0.has(.space) && !$0.has(.word) }
        case .byteLevel(_, let splits):
            return splits && space == [0x20]
        case .metaspace(let metaspace):
            return metaspace.splits && space.isSubset(of: [0x20, metaspace.replacement.value])
        case .split(let pattern, let behavior, let isInverted):
            let begins = behavior == .isolated || !isInverted && (behavior == .mergedWithNext || behavior == .removed)
            return begins && !pattern.mayCross(from: Self.printable, to: space) && pattern.isAlways(space)
        case .punctuation, .digits:
            return false
        case .sequence(let steps):
            return steps.first.map(isMade) ?? false
        }
    }
}

extension ScalarProperties {
    fileprivate var isOfNoWord: Bool { !has(.word) }
}
