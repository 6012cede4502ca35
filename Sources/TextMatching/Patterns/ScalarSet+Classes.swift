extension ScalarSet {
    /// `\d`, `\s` and `\w`, which are ASCII in RE2. The names of their complements are upper case.
    static func perl(_ name: UInt8) -> ScalarSet? {
        switch name {
        case UInt8(ascii: "d"): posix("digit")
        case UInt8(ascii: "s"): ScalarSet(pairs: [0x09, 0x0A, 0x0C, 0x0D, 0x20, 0x20])
        case UInt8(ascii: "w"): posix("word")
        default: nil
        }
    }

    /// The class that `[:name:]` means.
    static func posix(_ name: String) -> ScalarSet? {
        switch name {
        case "alnum": ScalarSet(pairs: [0x30, 0x39, 0x41, 0x5A, 0x61, 0x7A])
        case "alpha": ScalarSet(pairs: [0x41, 0x5A, 0x61, 0x7A])
        case "ascii": ScalarSet(0, 0x7F)
        case "blank": ScalarSet(pairs: [0x09, 0x09, 0x20, 0x20])
        case "cntrl": ScalarSet(pairs: [0x00, 0x1F, 0x7F, 0x7F])
        case "digit": ScalarSet(0x30, 0x39)
        case "graph": ScalarSet(0x21, 0x7E)
        case "lower": ScalarSet(0x61, 0x7A)
        case "print": ScalarSet(0x20, 0x7E)
        case "punct": ScalarSet(pairs: [0x21, 0x2F, 0x3A, 0x40, 0x5B, 0x60, 0x7B, 0x7E])
        case "space": ScalarSet(pairs: [0x09, 0x0D, 0x20, 0x20])
        case "upper": ScalarSet(0x41, 0x5A)
        case "word": ScalarSet(pairs: [0x30, 0x39, 0x41, 0x5A, 0x5F, 0x5F, 0x61, 0x7A])
        case "xdigit": ScalarSet(pairs: [0x30, 0x39, 0x41, 0x46, 0x61, 0x66])
        default: nil
        }
    }

    /// The class that `\p{name}` means: `Any`, a general category, its first letter, or a script.
    static func property(_ name: String) -> ScalarSet? {
        if name == "Any" { return .all }
        if let script = UnicodeScripts.ranges[name] { return ScalarSet(pairs: script) }
        let categories = GeneralCategories.names.filter { $0.key == name || $0.key.prefix(1) == name && $0.key != "Cn" }
        guard !categories.isEmpty else { return nil }
        let wanted = Set(categories.values)
        return ScalarSet(GeneralCategories.runs.filter { wanted.contains($0.category) }.map(\.range))
    }
}

/// Which general category each scalar has.
enum GeneralCategories {
    struct Run: Sendable {
        var range: ScalarSet.Range
        var category: Unicode.GeneralCategory
    }

    static let names: [String: Unicode.GeneralCategory] = [
        "Lu": .uppercaseLetter, "Ll": .lowercaseLetter, "Lt": .titlecaseLetter, "Lm": .modifierLetter,
        "Lo": .otherLetter, "Mn": .nonspacingMark, "Mc": .spacingMark, "Me": .enclosingMark, "Nd": .decimalNumber,
        "Nl": .letterNumber, "No": .otherNumber, "Pc": .connectorPunctuation, "Pd": .dashPunctuation,
        "Ps": .openPunctuation, "Pe": .closePunctuation, "Pi": .initialPunctuation, "Pf": .finalPunctuation,
        "Po": .otherPunctuation, "Sm": .mathSymbol, "Sc": .currencySymbol, "Sk": .modifierSymbol, "So": .otherSymbol,
        "Zs": .spaceSeparator, "Zl": .lineSeparator, "Zp": .paragraphSeparator, "Cc": .control, "Cf": .format,
        "Cs": .surrogate, "Co": .privateUse, "Cn": .unassigned,
    ]

    /// All scalars in order, about 3300 runs. Made from the runtime's tables by the first pattern that needs it.
    static let runs: [Run] = {
        var runs: [Run] = []
        for value in 0...ScalarSet.last {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let category = scalar.properties.generalCategory
            if let run = runs.last, run.category == category, run.range.high + 1 == value {
                runs[runs.count - 1].range.high = value
            } else {
                runs.append(Run(range: ScalarSet.Range(low: value, high: value), category: category))
            }
        }
        return runs
    }()
}
