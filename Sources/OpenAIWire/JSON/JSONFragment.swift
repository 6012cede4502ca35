package import NIOCore

/// One JSON value in its encoded form, known to be valid: what an edit puts into a document.
///
/// Built from literals (`["role": "system", "content": "Be brief."]`), from Swift values, or from bytes that are
/// checked. Two fragments are equal when their bytes are.
package struct JSONFragment: Hashable, Sendable {
    package let bytes: ByteBuffer

    /// The caller vouches for the bytes.
    private init(valid bytes: ByteBuffer) { self.bytes = bytes }

    private init(writing write: (inout ByteBuffer) -> Void) {
        var bytes = ByteBuffer()
        write(&bytes)
        self.init(valid: bytes)
    }

    /// A value that is already encoded.
    package init(json bytes: ByteBuffer, limits: JSONLimits = .standard) throws(JSONError) {
        _ = try JSONDocument(bytes, limits: limits)
        self.init(valid: bytes)
    }

    /// A value of a document, as it is written there; shares its storage.
    package init(_ value: JSONValue) { self.init(valid: value.rawBytes) }

    package init(_ text: String) { self.init { $0.writeJSONString(text) } }

    package init(_ flag: Bool) { self.init { $0.writeStaticString(flag ? "true" : "false") } }

    package init(_ number: Int) { self.init { $0.writeString(String(number)) } }

    /// The shortest spelling that reads back as the same number. Infinities and NaN, which JSON lacks, become `null`,
    /// as in JavaScript.
    package init(_ number: Double) { self.init { $0.writeString(number.isFinite ? "\(number)" : "null") } }

    package static let null = JSONFragment { $0.writeStaticString("null") }

    package static func array(_ elements: some Sequence<JSONFragment>) -> JSONFragment {
        JSONFragment { bytes in
            bytes.writeStaticString("[")
            for (index, element) in elements.enumerated() {
                if index > 0 { bytes.writeStaticString(",") }
                bytes.writeImmutableBuffer(element.bytes)
            }
            bytes.writeStaticString("]")
        }
    }

    /// An object whose members stand in the order given.
    package static func object(_ members: some Sequence<(String, JSONFragment)>) -> JSONFragment {
        JSONFragment { bytes in
            bytes.writeStaticString("{")
            for (index, member) in members.enumerated() {
                if index > 0 { bytes.writeStaticString(",") }
                bytes.writeJSONString(member.0)
                bytes.writeStaticString(":")
                bytes.writeImmutableBuffer(member.1.bytes)
            }
            bytes.writeStaticString("}")
        }
    }
}

extension JSONFragment: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByNilLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    package init(stringLiteral text: String) { self.init(text) }
    package init(booleanLiteral flag: Bool) { self.init(flag) }
    package init(integerLiteral number: Int) { self.init(number) }
    package init(floatLiteral number: Double) { self.init(number) }
    package init(nilLiteral: ()) { self = .null }
    package init(arrayLiteral elements: JSONFragment...) { self = .array(elements) }
    package init(dictionaryLiteral members: (String, JSONFragment)...) { self = .object(members) }
}

extension JSONFragment: CustomStringConvertible {
    /// The kind and size only: a fragment may hold a user's text, and descriptions reach logs.
    package var description: String { "JSON fragment of \(bytes.readableBytes) bytes" }
}
