/// The way from a document's root to a value: `routing.decisions[2].model`.
///
/// Every node of a tree holds its path, so paths share their beginnings: appending a step is O(1) and copies nothing.
package indirect enum ConfigPath: Hashable, Sendable {
    case root
    case key(String, in: ConfigPath)
    case index(Int, in: ConfigPath)

    /// One step of a path. Literals of text and whole numbers are steps.
    package enum Step: Hashable, Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
        case key(String)
        case index(Int)

        package init(stringLiteral value: String) {
            self = .key(value)
        }

        package init(integerLiteral value: Int) {
            self = .index(value)
        }
    }

    package func appending(_ step: Step) -> ConfigPath {
        switch step {
        case .key(let key): .key(key, in: self)
        case .index(let index): .index(index, in: self)
        }
    }

    package func appending(_ steps: [Step]) -> ConfigPath {
        steps.reduce(self) { $0.appending($1) }
    }

    /// The steps from the root, outermost first. O(depth).
    package var steps: [Step] {
        var steps: [Step] = []
        var path = self
        while true {
            switch path {
            case .root:
                return steps.reversed()
            case .key(let key, in: let parent):
                steps.append(.key(key))
                path = parent
            case .index(let index, in: let parent):
                steps.append(.index(index))
                path = parent
            }
        }
    }
}

extension ConfigPath: CustomStringConvertible {
    /// `a.b[2].c`; a key that is not a plain word is quoted, as in `domains["computer science"]`. Empty for the root.
    package var description: String {
        var text = ""
        for step in steps {
            switch step {
            case .index(let index):
                text += "[\(index)]"
            case .key(let key) where key.isPlainKey:
                text += text.isEmpty ? key : ".\(key)"
            case .key(let key):
                text += "[\"\(key)\"]"
            }
        }
        return text
    }
}

extension String {
    /// True for a key that reads as one word in a path: letters, digits, `_`, `-`, `/`.
    fileprivate var isPlainKey: Bool {
        !isEmpty
            && unicodeScalars.allSatisfy {
                $0.properties.isAlphabetic || ("0"..."9").contains($0) || $0 == "_" || $0 == "-" || $0 == "/"
            }
    }
}
