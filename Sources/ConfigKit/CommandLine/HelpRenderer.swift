/// The `--help` text: flags under their headings, wrapped to a terminal's width.
struct HelpRenderer {
    private let command: String
    private let summary: String
    private let environmentPrefix: String?
    private let flags: [Flag]
    /// Where the explanations start; wider flags have theirs on the next line.
    private static let textColumn = 34

    init<Settings>(reader: CommandLineReader<Settings>) {
        command = reader.command
        summary = Settings.schema.summary
        environmentPrefix = reader.environmentPrefix
        flags = reader.table.flags
    }

    func text(width: Int = 100) -> String {
        var lines = ["usage: \(command) [--flag value]...", ""]
        lines += summary.wrapped(to: width)
        for group in FlagGroup.groups(of: flags) {
            lines += ["", "\(group.title ?? "Settings"):"]
            for flag in group.flags {
                lines += entry(flag.usage, flag.explanation, width: width)
            }
        }
        lines += ["", "Other:"]
        lines += entry("-h, --help", "Prints this text.", width: width)
        lines += entry("--version", "Prints the version.", width: width)
        if let environmentPrefix, let flag = flags.first {
            let variable = environmentPrefix + FlagTable.variable(flag.name)
            lines.append("")
            lines +=
                "Every flag is also an environment variable: \(variable) is \(flag.label). A flag beats a variable."
                .wrapped(to: width)
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func entry(_ usage: String, _ explanation: String, width: Int) -> [String] {
        let margin = String(repeating: " ", count: Self.textColumn)
        let text = explanation.wrapped(to: max(20, width - Self.textColumn)).map { margin + $0 }
        let head = "  " + usage
        guard head.count <= Self.textColumn - 2, let first = text.first else { return [head] + text }
        return [head + first.dropFirst(head.count)] + text.dropFirst()
    }
}

/// The flags under one heading.
struct FlagGroup {
    let title: String?
    var flags: [Flag]

    /// In the order of each heading's first flag, those without one first.
    static func groups(of flags: [Flag]) -> [FlagGroup] {
        var groups = [FlagGroup(title: nil, flags: [])]
        for flag in flags {
            if let index = groups.firstIndex(where: { $0.title == flag.field.traits.group }) {
                groups[index].flags.append(flag)
            } else {
                groups.append(FlagGroup(title: flag.field.traits.group, flags: [flag]))
            }
        }
        return groups.filter { !$0.flags.isEmpty }
    }
}

extension Flag {
    /// `--port PORT`; `--log-stats, --no-log-stats`.
    var usage: String {
        isSwitch ? "\(label), --no-\(name)" : "\(label) \(placeholder)"
    }

    /// The word for the value.
    var placeholder: String {
        field.traits.placeholder ?? field.type.placeholder
    }

    var explanation: String {
        let traits = field.traits
        var sentences = [traits.summary.ended]
        if let choices = field.type.choices {
            let list = isList ? "Each one of" : "One of"
            sentences.append("\(list) \(choices.joined(separator: ", ")).")
        }
        if let bounds = traits.bounds { sentences.append("\(bounds.words.capitalizedFirst).") }
        if isList { sentences.append("Separate values with commas, or repeat the flag.") }
        if traits.isRequired {
            sentences.append("Required.")
        } else if let text = defaultText {
            sentences.append("Default: \(text).")
        }
        if let instead = traits.notSupported { sentences.append("Not supported: \(instead).") }
        return sentences.filter { !$0.isEmpty }.joined(separator: " ")
    }

    /// The default as it would be written; nil where there is none.
    var defaultText: String? { field.defaultText }
}

extension FieldDescription {
    /// The default as it would be written; nil where there is none.
    var defaultText: String? {
        guard let defaultValue else { return nil }
        switch defaultValue.content {
        case .null, .unexpanded, .unreadable: return nil
        case .list(let elements) where elements.isEmpty: return nil
        case .mapping(let entries) where entries.isEmpty: return nil
        case .scalar(let scalar) where scalar.text.isEmpty: return nil
        case .scalar, .list, .mapping: return defaultValue.flowText
        }
    }
}

extension ConfigType {
    fileprivate var placeholder: String {
        switch self {
        case .scalar(let kind):
            switch kind.name {
            case "whole number": "N"
            case "number": "X"
            case "host:port": "HOST:PORT"
            default: kind.name.uppercased()
            }
        case .choice: "WORD"
        case .list(let element): element.placeholder + ",..."
        case .map(let element): "KEY=\(element.placeholder),..."
        case .union(let types): types.first { $0.isScalar }?.placeholder ?? "VALUE"
        case .section, .tagged, .anything: "VALUE"
        }
    }
}

extension String {
    /// With a full stop at the end, unless it is empty or has one.
    var ended: String {
        isEmpty || hasSuffix(".") ? self : self + "."
    }

    var capitalizedFirst: String {
        prefix(1).uppercased() + dropFirst()
    }

    /// Lines of at most `width` characters, broken at spaces; a longer word stands on its own line.
    func wrapped(to width: Int) -> [String] {
        var lines: [String] = []
        var line = ""
        for word in split(separator: " ") {
            if !line.isEmpty, line.count + 1 + word.count > width {
                lines.append(line)
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        return line.isEmpty ? lines : lines + [line]
    }
}
