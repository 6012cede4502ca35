/// Replaces `${NAME}` and `${NAME:-default}` in a scalar; `$$` stands for one `$`.
///
/// As in a shell, `:-` covers a variable that is unset or empty, and a `$` that starts neither form stays as it is. A
/// replacement is not expanded again.
enum EnvironmentExpansion {
    enum Mistake: Error, Hashable {
        case unset(name: String)
        case unclosed
        case malformed(text: String)

        var message: String {
            switch self {
            case .unset(let name):
                "the environment variable \(name) is not set; set it, or write ${\(name):-default}"
            case .unclosed:
                "\"${\" has no closing \"}\"; write $${ for a literal \"${\""
            case .malformed(let text):
                "\"${\(text.shortened)}\" is neither ${NAME} nor ${NAME:-default}; write $${ for a literal \"${\""
            }
        }
    }

    /// `text` with every variable replaced. O(length).
    static func expand(_ text: String, from environment: ProcessEnvironment) throws(Mistake) -> String {
        guard text.utf8.contains(UInt8(ascii: "$")) else { return text }
        // All that matters is ASCII, so bytes will do; a String's scalars cannot be appended to without a copy.
        var result: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let dollar = rest.firstIndex(of: UInt8(ascii: "$")) {
            result += rest[..<dollar]
            rest = rest[(dollar + 1)...]
            switch rest.first {
            case UInt8(ascii: "$"):
                result.append(UInt8(ascii: "$"))
                rest.removeFirst()
            case UInt8(ascii: "{"):
                guard let end = rest.firstIndex(of: UInt8(ascii: "}")) else { throw .unclosed }
                let body = String(decoding: rest[(rest.startIndex + 1)..<end], as: UTF8.self)
                result += try value(of: body, from: environment).utf8
                rest = rest[(end + 1)...]
            default:
                result.append(UInt8(ascii: "$"))
            }
        }
        return String(decoding: result + rest, as: UTF8.self)
    }

    private static func value(of body: String, from environment: ProcessEnvironment) throws(Mistake) -> String {
        var name = body
        var fallback: String?
        if let separator = body.firstRange(of: ":-") {
            name = String(body[..<separator.lowerBound])
            fallback = String(body[separator.upperBound...])
        }
        guard isName(name) else { throw .malformed(text: body) }
        let value = environment[name]
        if let fallback, value?.isEmpty ?? true {
            return fallback
        }
        guard let value = value ?? environment.valueOrStandIn(of: name) else { throw .unset(name: name) }
        return value
    }

    /// POSIX names: letters, digits and `_`, not starting with a digit.
    static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else {
            return false
        }
        return text.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
    }
}

extension String {
    /// The first place where `needle` occurs. O(length · needle).
    func firstRange(of needle: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(needle) {
                return start..<index(start, offsetBy: needle.count)
            }
            start = index(after: start)
        }
        return nil
    }
}
