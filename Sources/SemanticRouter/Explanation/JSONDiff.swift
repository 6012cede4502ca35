import NIOCore
import OpenAIWire

/// What edits change in a document, value by value.
struct JSONDiff {
    let lines: [String]

    /// - Parameter edits: fit the document and do not overlap.
    init(_ document: JSONDocument, _ edits: [JSONEdit]) {
        lines = edits.map { edit in
            let path = edit.path.description
            switch edit {
            case .set(let at, let value):
                guard let old = document.root.value(at: at) else { return "+ \(path): \(Self.short(value.bytes))" }
                return "~ \(path): \(Self.short(old.rawBytes)) -> \(Self.short(value.bytes))"
            case .remove(let at):
                let old = document.root.value(at: at).map { Self.short($0.rawBytes) } ?? ""
                return "- \(path): \(old)"
            case .insert(_, let index, let value):
                return "+ \(path)[\(index == JSONEdit.end ? "end" : String(index))]: \(Self.short(value.bytes))"
            }
        }
    }

    /// At most 200 characters of a value.
    private static func short(_ bytes: ByteBuffer) -> String {
        let text = String(buffer: bytes)
        return text.count > 200 ? "\(text.prefix(197))..." : text
    }
}

extension JSONValue {
    /// The value at the path, if there is one.
    fileprivate func value(at path: JSONPath) -> JSONValue? {
        var value = self
        for step in path.steps {
            let next: JSONValue? =
                switch step {
                case .key(let key): value[key]
                case .index(let index): value[index]
                }
            guard let next else { return nil }
            value = next
        }
        return value
    }
}
