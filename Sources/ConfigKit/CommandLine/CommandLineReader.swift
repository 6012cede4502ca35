/// Reads settings from flags, environment variables and a file, all by the one schema.
///
/// A flag beats a variable, a variable beats the file, the file beats the default; a list is replaced, not extended.
/// Each value knows which of them it came from. Flags follow Python's argparse, whose users' start scripts must keep
/// working: `--name value`, `--name=value`, unambiguous beginnings of names, the last of several values wins, `--` ends
/// flags. Beyond it, `_` may stand for `-`, a switch can be turned off (`--no-name`, `--name=false`), and lists take
/// commas or repetition.
package struct CommandLineReader<Settings: Configurable>: Sendable {
    package let command: String
    package let version: String
    /// `SEXTANT_` makes `--port` the variable `SEXTANT_PORT`; nil reads no variables.
    package let environmentPrefix: String?
    private let acceptsSingleDash: Bool
    let table: FlagTable

    /// - Parameter acceptsSingleDash: whether `-name` is `--name`, as in Go's programs.
    package init(
        command: String,
        version: String,
        environmentPrefix: String? = nil,
        acceptsSingleDash: Bool = false
    ) {
        self.acceptsSingleDash = acceptsSingleDash
        self.command = command
        self.version = version
        self.environmentPrefix = environmentPrefix
        table = FlagTable(Settings.self)
    }

    package enum Outcome: Sendable {
        /// `--help` was asked for: print the text and exit with 0.
        case help(String)
        /// `--version` was asked for: print the text and exit with 0.
        case version(String)
        case settings(ConfigResult<Settings>)

        /// The settings that were read, if nothing else was asked for.
        package var settings: ConfigResult<Settings>? {
            guard case .settings(let result) = self else { return nil }
            return result
        }
    }

    /// Reads `arguments` (without the program's and the subcommand's name), the environment in `options`, and the file
    /// that a `settingsFile()` field names. Every mistake in any of them is in the result.
    package func read(_ arguments: [String], options: DecodingOptions = .init()) -> Outcome {
        var scanner = FlagScanner(table: table, acceptsSingleDash: acceptsSingleDash)
        scanner.scan(arguments)
        switch scanner.request {
        case .help: return .help(HelpRenderer(reader: self).text())
        case .version: return .version("\(command) \(version)")
        case nil: break
        }
        var diagnostics = scanner.diagnostics
        let flags = scanner.layer
        let variables = environmentLayer(options.environment, into: &diagnostics)
        let file = fileLayer(flags: flags, variables: variables, options.environment, into: &diagnostics)
        let leaves = file.merging(variables) { $1 }.merging(flags) { $1 }
        return .settings(decode(leaves, diagnostics: diagnostics, options: options))
    }

    /// The help text, wrapped at `width` columns.
    package func help(width: Int = 100) -> String {
        HelpRenderer(reader: self).text(width: width)
    }

    private func decode(
        _ leaves: Layer,
        diagnostics: [Diagnostic],
        options: DecodingOptions
    ) -> ConfigResult<Settings> {
        var decoder = ConfigDecoder(options: options, diagnostics: diagnostics)
        let value = Settings.decode(Self.tree(leaves, at: .root), with: &decoder)
        let labels = Dictionary(
            table.flags.map { (ConfigPath.root.appending($0.keys.map { .key($0) }), $0.label) },
            uniquingKeysWith: { first, _ in first }
        )
        // What nobody wrote is best named by the flag that would write it.
        let named = decoder.allDiagnostics.map { diagnostic in
            guard diagnostic.position.source == .unset, let label = labels[diagnostic.path] else { return diagnostic }
            return Diagnostic(
                diagnostic.severity,
                diagnostic.message,
                at: SourcePosition(.flag(label)),
                path: diagnostic.path
            )
        }
        return ConfigResult(
            value,
            diagnostics: named.sortedByPosition(),
            files: decoder.files,
            origins: decoder.origins
        )
    }
}

// MARK: - Layers

/// Values by their keys from the root.
typealias Layer = [[String]: Leaf]

/// A value, and where its key or flag stands.
struct Leaf: Sendable {
    let keyPosition: SourcePosition
    let value: ConfigNode

    init(_ value: ConfigNode, keyPosition: SourcePosition? = nil) {
        self.value = value
        self.keyPosition = keyPosition ?? value.position
    }
}

extension CommandLineReader {
    private func environmentLayer(
        _ environment: ProcessEnvironment,
        into diagnostics: inout [Diagnostic]
    ) -> Layer {
        guard let environmentPrefix else { return [:] }
        var layer = Layer()
        for flag in table.flags {
            for flagName in flag.otherNames.reversed() + [flag.name] {
                let name = environmentPrefix + FlagTable.variable(flagName)
                guard let text = environment[name], !text.isEmpty else { continue }
                let position = SourcePosition(.environment(name))
                // Kubernetes sets NAME_PORT=tcp://… for every service called "name" in the namespace.
                if text.hasPrefix("tcp://"), name.hasSuffix("_PORT") {
                    diagnostics.append(
                        Diagnostic(
                            .warning,
                            "is ignored: \"\(text.shortened)\" is a Kubernetes service link, not a setting; "
                                + "set enableServiceLinks: false in the pod",
                            at: position
                        )
                    )
                    continue
                }
                layer[flag.keys] = Leaf(flag.node([text], position: position))
            }
        }
        return layer
    }

    private func fileLayer(
        flags: Layer,
        variables: Layer,
        _ environment: ProcessEnvironment,
        into diagnostics: inout [Diagnostic]
    ) -> Layer {
        let names = table.flags.filter(\.field.traits.isSettingsFile).compactMap { flag -> (Flag, ConfigNode)? in
            (flags[flag.keys] ?? variables[flag.keys]).map { (flag, $0.value) }
        }
        guard let (first, node) = names.first, let path = node.text else { return [:] }
        if names.count > 1 {
            diagnostics.append(
                Diagnostic(.error, "cannot be given together with \(first.label)", at: names[1].1.position)
            )
        }
        return fileLayer(ConfigDocument.load(path, environment: environment), into: &diagnostics)
    }

    private func fileLayer(_ document: ConfigDocument, into diagnostics: inout [Diagnostic]) -> Layer {
        diagnostics += document.diagnostics
        guard let root = document.root, !root.isNull else { return [:] }
        guard let entries = root.entries else {
            diagnostics.append(
                Diagnostic(.error, "expected a mapping of settings at the top of the file", at: root.position)
            )
            return [:]
        }
        var layer = Layer()
        addFile(entries, under: [], to: &layer, diagnostics: &diagnostics)
        return layer
    }

    /// Keys may be flag names with `_` or `-`, or stand inside their section.
    private func addFile(
        _ entries: [ConfigNode.Entry],
        under keys: [String],
        to layer: inout Layer,
        diagnostics: inout [Diagnostic]
    ) {
        for entry in entries {
            let path = keys + [entry.key]
            let flag = table[path.joined(separator: "-")]
            let spelled = path.map(FlagTable.spelled)
            if flag == nil, table.sections.contains(spelled), let inner = entry.value.entries {
                addFile(inner, under: path, to: &layer, diagnostics: &diagnostics)
                continue
            }
            let target = flag?.keys ?? path
            if let flag, flag.formerNames.contains(spelled.joined(separator: "-")) {
                diagnostics.append(
                    Diagnostic(.warning, "is now called \(flag.name)", at: entry.keyPosition, path: entry.value.path)
                )
            }
            guard layer[target] == nil else {
                diagnostics.append(
                    Diagnostic(.error, "the setting appears twice", at: entry.keyPosition, path: entry.value.path)
                )
                continue
            }
            layer[target] = Leaf(flag?.node(inFile: entry.value) ?? entry.value, keyPosition: entry.keyPosition)
        }
    }

    /// The mapping that holds `leaves`. Entries are sorted by key, so that equal input gives equal output.
    private static func tree(_ leaves: Layer, at path: ConfigPath) -> ConfigNode {
        let groups = Dictionary(grouping: leaves.filter { !$0.key.isEmpty }) { $0.key[0] }
        let entries = groups.sorted { $0.key < $1.key }.map { key, members in
            let inner = path.appending(.key(key))
            // A value where a section belongs is kept, for decoding to report.
            if let whole = members.first(where: { $0.key.count == 1 })?.value {
                return ConfigNode.Entry(key: key, keyPosition: whole.keyPosition, value: whole.value.rebased(to: inner))
            }
            let rest = Layer(members.map { (Array($0.key.dropFirst()), $0.value) }) { $1 }
            return ConfigNode.Entry(key: key, keyPosition: .unset, value: tree(rest, at: inner))
        }
        return ConfigNode(.mapping(entries), path: path)
    }
}

extension FlagTable {
    /// `STATIC_BACKENDS` for `static-backends`.
    static func variable(_ name: String) -> String {
        name.uppercased().replacingDashes
    }
}

extension String {
    fileprivate var replacingDashes: String {
        String(map { $0 == "-" ? "_" : $0 })
    }
}

// MARK: - Texts to nodes

extension Flag {
    /// The value written as `texts`: the last of them, or for lists and maps all of them, each cut at commas.
    func node(_ texts: [String], position: SourcePosition) -> ConfigNode {
        func scalar(_ text: Substring) -> ConfigNode {
            ConfigNode(.scalar(.init(String(text.trimmed))), position: position)
        }
        let parts = texts.flatMap {
            $0.trimmed.isEmpty ? [] : $0.split(separator: ",", omittingEmptySubsequences: false)
        }
        switch field.type {
        case .list:
            return ConfigNode(.list(parts.map(scalar)), position: position)
        case .map:
            let pairs = parts.map { $0.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false) }
            guard pairs.allSatisfy({ $0.count == 2 }) else { break }
            let entries = Dictionary(pairs.map { (String($0[0].trimmed), $0[1]) }) { $1 }.sorted { $0.key < $1.key }
            return ConfigNode(
                .mapping(entries.map { .init(key: $0.key, keyPosition: position, value: scalar($0.value)) }),
                position: position
            )
        case .scalar, .choice, .section, .union, .tagged, .anything:
            break
        }
        return ConfigNode(.scalar(.init(texts.last ?? "")), position: position)
    }

    /// In a file a list may also be one text with commas, as on the command line.
    func node(inFile node: ConfigNode) -> ConfigNode {
        guard isList, let text = node.text else { return node }
        return self.node([text], position: node.position)
    }
}

extension StringProtocol {
    /// Without spaces at either end.
    fileprivate var trimmed: SubSequence {
        var rest = self[...]
        while rest.first?.isWhitespace == true { rest = rest.dropFirst() }
        while rest.last?.isWhitespace == true { rest = rest.dropLast() }
        return rest
    }
}
