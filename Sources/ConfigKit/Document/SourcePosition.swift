/// Where a setting was written: a place in a file, a flag, an environment variable, or nowhere (a default).
package struct SourcePosition: Hashable, Sendable {
    package enum Source: Hashable, Sendable {
        /// A file, by the name that diagnostics print.
        case file(String)
        /// A command-line flag, as the settings name it: `--port`.
        case flag(String)
        /// An environment variable: `SEXTANT_PORT`.
        case environment(String)
        /// Nobody wrote the value: the settings type's own default holds.
        case unset
    }

    package let source: Source
    /// Line from 1; for a flag, its place on the command line. 0 where neither exists.
    package let line: Int
    /// Column from 1, counted in Unicode scalars; 0 where no column exists.
    package let column: Int

    package init(_ source: Source, line: Int = 0, column: Int = 0) {
        self.source = source
        self.line = line
        self.column = column
    }

    /// The position of a value that nobody wrote.
    package static let unset = SourcePosition(.unset)
}

extension SourcePosition: CustomStringConvertible {
    /// `semantic.yaml:14:3`, `--port`, `SEXTANT_PORT` or `default`.
    package var description: String {
        switch source {
        case .file(let name): line == 0 ? name : "\(name):\(line):\(column)"
        case .flag(let name), .environment(let name): name
        case .unset: "default"
        }
    }
}

extension SourcePosition: Comparable {
    /// Files first and in reading order, then environment variables by name, then flags in the order they were given.
    package static func < (left: SourcePosition, right: SourcePosition) -> Bool {
        (left.rank, left.orderingName, left.line, left.column)
            < (right.rank, right.orderingName, right.line, right.column)
    }

    private var rank: Int {
        switch source {
        case .file: 0
        case .environment: 1
        case .flag: 2
        case .unset: 3
        }
    }

    private var orderingName: String {
        switch source {
        case .file(let name), .environment(let name): name
        case .flag, .unset: ""
        }
    }
}
