/// Reads the arguments of a command into values by flag; every mistake is noted and the rest read on.
struct FlagScanner {
    enum Request: Sendable {
        case help
        case version
    }

    let table: FlagTable
    /// Whether `-name` is `--name`, as in Go's programs.
    let acceptsSingleDash: Bool
    private(set) var request: Request?
    private(set) var diagnostics: [Diagnostic] = []
    /// What was written for each flag, in order, and where it stood first.
    private var texts: [[String]: (flag: Flag, texts: [String], index: Int)] = [:]

    init(table: FlagTable, acceptsSingleDash: Bool = false) {
        self.table = table
        self.acceptsSingleDash = acceptsSingleDash
    }

    var layer: Layer {
        texts.mapValues { written in
            Leaf(written.flag.node(written.texts, position: position(written.flag.label, written.index)))
        }
    }

    mutating func scan(_ arguments: [String]) {
        var index = 0
        var lastSwitch: Flag?
        var flagsEnded = false
        while index < arguments.count {
            let argument = withTwoDashes(arguments[index])
            index += 1
            let previousSwitch = lastSwitch
            lastSwitch = nil
            if argument == "--", !flagsEnded {
                flagsEnded = true
            } else if argument == "-h", !flagsEnded {
                ask(.help)
            } else if argument.hasPrefix("--"), !flagsEnded {
                let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                let name = parts.first.map(String.init) ?? ""
                let inline = parts.count == 2 ? String(parts[1]) : nil
                guard let match = match(name, at: index) else { continue }
                switch match {
                case .request(let request):
                    ask(request)
                case .flag(let flag, let spelled, let isNegated):
                    if flag.formerNames.contains(spelled) {
                        report("is now called \(flag.label)", "--\(spelled)", index, severity: .warning)
                    }
                    if flag.isSwitch {
                        take(flag, switchText(inline, isNegated: isNegated), at: index)
                        lastSwitch = inline == nil && !isNegated ? flag : nil
                    } else if let inline {
                        take(flag, inline, at: index)
                    } else if index < arguments.count, Self.isValue(arguments[index]) {
                        take(flag, arguments[index], at: index)
                        index += 1
                    } else {
                        report("needs a value, as in \(flag.label)=\(flag.placeholder)", flag.label, index)
                    }
                }
            } else {
                reportStray(argument, after: previousSwitch, at: index)
            }
        }
    }

    private func withTwoDashes(_ argument: String) -> String {
        guard acceptsSingleDash, argument.count > 2, argument.hasPrefix("-"),
            argument.dropFirst().first?.isLetter == true
        else { return argument }
        return "-" + argument
    }

    private enum Match {
        case flag(Flag, spelled: String, isNegated: Bool)
        case request(Request)
    }

    /// The flag that `name` is or begins; nil after reporting that there is none, or more than one.
    private mutating func match(_ name: String, at index: Int) -> Match? {
        let wanted = FlagTable.spelled(name)
        if let exact = exactly(wanted) { return exact }
        let names = table.names + ["help", "version"]
        // argparse's rule: a beginning that only one flag has stands for it.
        let candidates = wanted.isEmpty ? [] : names.filter { $0.hasPrefix(wanted) }
        let matches = candidates.compactMap { exactly($0) }
        if let first = matches.first, matches.allSatisfy({ isSame($0, first) }) {
            return first
        }
        guard candidates.isEmpty else {
            let labels = candidates.map { "--\($0)" }
            report("is ambiguous: it could be \(labels.shortList)", "--\(name)", index)
            return nil
        }
        let closest = Suggestion.closest(to: wanted, among: names)
        report(
            "is not a known flag" + (closest.map { "; did you mean --\($0)?" } ?? "; --help lists them"),
            "--\(name)",
            index
        )
        return nil
    }

    private func exactly(_ name: String) -> Match? {
        if let flag = table[name] { return .flag(flag, spelled: name, isNegated: false) }
        if name.hasPrefix("no-"), let flag = table[String(name.dropFirst(3))], flag.isSwitch {
            return .flag(flag, spelled: String(name.dropFirst(3)), isNegated: true)
        }
        switch name {
        case "help": return .request(.help)
        case "version": return .request(.version)
        default: return nil
        }
    }

    private func isSame(_ left: Match, _ right: Match) -> Bool {
        switch (left, right) {
        case (.flag(let left, _, let leftNegated), .flag(let right, _, let rightNegated)):
            left.keys == right.keys && leftNegated == rightNegated
        case (.request(let left), .request(let right)): left == right
        case (.flag, .request), (.request, .flag): false
        }
    }

    /// `--no-name=true` is `false`, and `--no-name=false` is `true`.
    private func switchText(_ inline: String?, isNegated: Bool) -> String {
        guard let inline else { return isNegated ? "false" : "true" }
        guard isNegated, let value = try? Bool.parse(inline, traits: FieldTraits()) else { return inline }
        return value ? "false" : "true"
    }

    private mutating func take(_ flag: Flag, _ text: String, at index: Int) {
        texts[flag.keys, default: (flag, [], index)].texts.append(text)
    }

    private mutating func ask(_ request: Request) {
        self.request = self.request ?? request
    }

    /// Whatever does not look like a flag: `x`, `-`, `-5`.
    private static func isValue(_ argument: String) -> Bool {
        !argument.hasPrefix("-") || argument == "-" || NumberText.number(argument) != nil
    }

    private mutating func reportStray(_ argument: String, after flag: Flag?, at index: Int) {
        let shown = "\"\(argument.shortened)\""
        if let flag, (try? Bool.parse(argument, traits: FieldTraits())) != nil {
            report("is followed by \(shown); write \(flag.label)=\(argument)", flag.label, index)
        } else {
            report("is not a flag; settings are written --name value", shown, index)
        }
    }

    private mutating func report(
        _ message: String,
        _ label: String,
        _ index: Int,
        severity: Diagnostic.Severity = .error
    ) {
        diagnostics.append(Diagnostic(severity, message, at: position(label, index)))
    }

    private func position(_ label: String, _ index: Int) -> SourcePosition {
        SourcePosition(.flag(label), line: index)
    }
}
