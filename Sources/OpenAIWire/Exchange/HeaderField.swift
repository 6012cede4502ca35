package import NIOHTTP1

/// The rules of header fields (RFC 9110 section 5).
package enum HeaderField {
    /// Whether a name is one: a token.
    package static func isName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.allSatisfy(isToken)
    }

    /// Whether a value can be sent: without control characters, which would begin another field. Bytes above ASCII pass.
    package static func isValue(_ value: String) -> Bool {
        value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }
    }

    private static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}

extension HTTPHeaders {
    /// All fields of a name as one, in their order; nil without any. For fields whose values are lists.
    package func combined(_ name: String) -> String? {
        let fields = self[name]
        return fields.isEmpty ? nil : fields.joined(separator: ",")
    }
}
