/// What a pattern may do with a text, as its program tells.
extension ScalarPattern {
    /// Whether a match may take a character of `before` and then one of `after`, or look at one of `after` behind one of
    /// `before`. What it answers false to is certain.
    func mayCross(from before: ClosedRange<UInt8>, to after: Set<UInt32>) -> Bool {
        let before = before.map(UInt32.init)
        switch kind {
        case .text(let text):
            let scalars = String(decoding: text, as: UTF8.self).unicodeScalars.map(\.value)
            return zip(scalars, scalars.dropFirst()).contains { before.contains($0) && after.contains($1) }
        case .program(let program):
            return program.indices.contains { step in
                guard case .repeated(let set, _, let most) = program[step], set.meets(before) else { return false }
                if most > 1, set.meets(after) { return true }
                return Self.next(step + 1, in: program).contains { next in
                    switch program[next] {
                    case .repeated(let set, _, _), .lookAhead(let set, _): set.meets(after)
                    case .split, .jump, .match: false
                    }
                }
            }
        }
    }

    /// Whether a match may take one of `scalars`.
    func mayTake(_ scalars: ClosedRange<UInt8>) -> Bool {
        switch kind {
        case .text(let text): return text.contains(where: scalars.contains)
        case .program(let program):
            return program.contains {
                if case .repeated(let set, _, _) = $0 { set.meets(scalars.map(UInt32.init)) } else { false }
            }
        }
    }

    /// Whether a match may begin with one of `scalars`, whatever follows it.
    func mayBegin(with scalars: Set<UInt32>) -> Bool {
        switch kind {
        case .text(let text):
            return String(decoding: text, as: UTF8.self).unicodeScalars.first.map { scalars.contains($0.value) }
                ?? false
        case .program(let program):
            return Self.next(0, in: program).contains { step in
                if case .repeated(let set, _, _) = program[step] { set.meets(scalars) } else { false }
            }
        }
    }

    /// Whether a match may take nothing.
    static func mayBeEmpty(_ program: [Instruction]) -> Bool {
        next(0, in: program).contains { if case .match = program[$0] { true } else { false } }
    }

    /// Whether there is a match wherever one of `scalars` stands.
    func isAlways(_ scalars: Set<UInt32>) -> Bool {
        switch kind {
        case .text(let text):
            return String(decoding: text, as: UTF8.self).unicodeScalars.map(\.value) == Array(scalars)
        case .program(let program):
            func ends(_ step: Int) -> Bool {
                Self.next(step, in: program, looksAhead: false).contains {
                    if case .match = program[$0] { true } else { false }
                }
            }
            return Self.next(0, in: program, looksAhead: false).contains { step in
                guard case .repeated(let set, let least, _) = program[step], least <= 1 else { return false }
                return scalars.allSatisfy { set.meets([$0]) } && ends(step + 1)
            }
        }
    }

    /// The steps that may come at the same place as `step`, itself among them; with those after a step that looks ahead, or
    /// without them.
    private static func next(_ step: Int, in program: [Instruction], looksAhead: Bool = true) -> Set<Int> {
        var found: Set<Int> = []
        var open = [step]
        while let step = open.popLast() {
            guard found.insert(step).inserted else { continue }
            switch program[step] {
            case .match: break
            case .jump(let target): open.append(target)
            case .split(let other): open += [step + 1, other]
            case .lookAhead: if looksAhead { open.append(step + 1) }
            case .repeated(_, let least, _): if least == 0 { open.append(step + 1) }
            }
        }
        return found
    }
}

extension ScalarSet {
    fileprivate func meets(_ scalars: some Sequence<UInt32>) -> Bool {
        scalars.contains { contains($0, UnicodeTables.standard.properties(of: $0)) }
    }
}
