import NIOCore
import OpenAIWire
import Testing

@Suite struct JSONDocumentTests {
    @Test(
        "Documents of every kind are taken",
        arguments: [
            (#"{}"#, JSONValue.Kind.object), ("[]", .array), (#""""#, .string), ("0", .number), ("true", .bool),
            ("false", .bool), ("null", .null), (" \t\r\n{ } \n", .object), ("-0.0e-0", .number), ("1E+2", .number),
            (#"{"a":{"b":[1,2,{"c":null}]},"":""}"#, .object), (#""\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00""#, .string),
            ("[[],[[]],{},[{}]]", .array), ("[\n                  1 ]", .array),
        ]
    )
    func takes(text: String, kind: JSONValue.Kind) throws {
        #expect(try document(text).root.kind == kind)
    }

    @Test(
        "What the grammar does not allow is refused, with reason and place",
        arguments: [
            ("", JSONError.Reason.unexpectedEnd, 0), (" ", .unexpectedEnd, 1), ("[", .unexpectedEnd, 1),
            ("[1", .unexpectedEnd, 2), (#"{"a""#, .unexpectedEnd, 4), (#"{"a":"#, .unexpectedEnd, 5),
            (#"{"a":1"#, .unexpectedEnd, 6), (#""a"#, .unexpectedEnd, 2), (#""a\"#, .unexpectedEnd, 3),
            (#""\u12"#, .unexpectedEnd, 5), ("-", .unexpectedEnd, 1), ("1.", .unexpectedEnd, 2),
            ("1e", .unexpectedEnd, 2), ("1e+", .unexpectedEnd, 3),
            ("[1,]", .unexpectedCharacter, 3), (#"{"a":1,}"#, .unexpectedCharacter, 7),
            ("[,1]", .unexpectedCharacter, 1),
            ("[1 2]", .unexpectedCharacter, 3), (#"{"a" 1}"#, .unexpectedCharacter, 5),
            ("{1:2}", .unexpectedCharacter, 1),
            (#"{"a":1]"#, .unexpectedCharacter, 6), ("[1}", .unexpectedCharacter, 2), ("+1", .unexpectedCharacter, 0),
            (".5", .unexpectedCharacter, 0), ("'a'", .unexpectedCharacter, 0), ("NaN", .unexpectedCharacter, 0),
            ("\u{FEFF}1", .unexpectedCharacter, 0), ("\u{0C}1", .unexpectedCharacter, 0),
            ("\u{0}", .unexpectedCharacter, 0),
            ("/**/1", .unexpectedCharacter, 0), ("]", .unexpectedCharacter, 0),
            ("1 2", .trailingContent, 2), ("{}{}", .trailingContent, 2), ("null,", .trailingContent, 4),
            ("1\u{0}", .trailingContent, 1), ("0x10", .trailingContent, 1), ("1.5.2", .trailingContent, 3),
            ("tru", .invalidLiteral, 0), ("[nul1]", .invalidLiteral, 1), ("True", .unexpectedCharacter, 0),
            ("01", .invalidNumber, 1), ("-01", .invalidNumber, 2), ("-a", .invalidNumber, 1),
            ("1.e5", .invalidNumber, 2),
            ("1eE", .invalidNumber, 2),
            (#""\x41""#, .invalidEscape, 1), (#""\U0041""#, .invalidEscape, 1), (#""\u00g0""#, .invalidEscape, 1),
            (#""\ud800""#, .loneSurrogate, 1), (#""\udc00\ud800""#, .loneSurrogate, 1),
            (#""\udc00\udc00""#, .loneSurrogate, 1),
            (#""\ud800\ud800""#, .loneSurrogate, 1), (#""\ud800x\udc00""#, .loneSurrogate, 1),
            ("\"a\nb\"", .controlCharacter, 2), ("\"\t\"", .controlCharacter, 1), ("\"\u{0}\"", .controlCharacter, 1),
            ("\"0123456789abcde\u{1F}\"", .controlCharacter, 16),
        ]
    )
    func refuses(text: String, reason: JSONError.Reason, offset: Int) {
        #expect(throws: JSONError(reason, at: offset)) { try document(text) }
    }

    @Test("Every proper beginning of an object is refused")
    func truncation() throws {
        let text = Array(#"{"model": "a\u00e9", "n": [-1.5e+3, true, null, {"x": "中😀"}], "s": false}"#.utf8)
        _ = try JSONDocument(ByteBuffer(bytes: text))
        for length in 0..<text.count {
            #expect(throws: JSONError.self, "\(length) bytes") { try JSONDocument(ByteBuffer(bytes: text[..<length])) }
        }
    }

    @Test(
        "Bytes that are no UTF-8 are refused wherever they stand in a string",
        arguments: [
            [0x80], [0xBF], [0xC0, 0x80], [0xC1, 0xBF], [0xC3], [0xC3, 0x28], [0xC3, 0xC3], [0xE0, 0x80, 0x80],
            [0xE0, 0x9F, 0xBF], [0xE2, 0x82], [0xE2, 0x28, 0xA1], [0xE2, 0x82, 0x28], [0xED, 0xA0, 0x80],
            [0xED, 0xBF, 0xBF], [0xEF, 0xBF], [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x8F, 0xBF, 0xBF], [0xF0, 0x9F, 0x98],
            [0xF0, 0x9F, 0x98, 0x28], [0xF0, 0x28, 0x8C, 0xBC], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80],
            [0xF8, 0x88, 0x80, 0x80, 0x80], [0xFE], [0xFF],
        ] as [[UInt8]]
    )
    func invalidUTF8(bytes: [UInt8]) {
        // Around the places where the scanner changes from words to bytes.
        for before in [0, 1, 7, 8, 15, 16, 33] {
            for after in [0, 1, 2, 20] {
                let prefix = "\"" + String(repeating: "x", count: before)
                let text = Array(prefix.utf8) + bytes + Array(repeating: UInt8(ascii: "y"), count: after) + [0x22]
                #expect(throws: JSONError(.invalidUTF8, at: before + 1), "\(before), \(after)") {
                    try JSONDocument(ByteBuffer(bytes: text))
                }
            }
        }
    }

    @Test("Every Unicode scalar passes, raw and escaped, and comes out again")
    func everyScalar() throws {
        for value in stride(from: UInt32(0x20), through: 0x10FFFF, by: 1) {
            guard let scalar = Unicode.Scalar(value), scalar != "\"", scalar != "\\" else { continue }
            // Every one would take long; around the ends of the encoded lengths, and some of the rest.
            guard value < 0x900 || value & 0x7FF > 0x7F0 || value % 61 == 0 else { continue }
            let text = String(Character(scalar))
            #expect(try document("\"\(text)\"").root.string?.unicodeScalars.elementsEqual([scalar]) == true)
            let escaped = text.utf16.map { unit in
                "\\u" + String(repeating: "0", count: 4 - String(unit, radix: 16).count) + String(unit, radix: 16)
            }
            let value = try document("\"\(escaped.joined())\"").root
            #expect(value.string?.unicodeScalars.elementsEqual([scalar]) == true)
            #expect(value.isString(equalTo: text))
        }
    }

    @Test("Depth is limited, and never costs stack")
    func depth() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: #"[{"a":"#, count: depth / 2) + "1" + String(repeating: "}]", count: depth / 2)
        }
        _ = try document(nested(512))
        #expect(throws: JSONError(.tooDeep, at: 512 / 2 * 6)) { try document(nested(514)) }
        #expect(throws: JSONError(.tooDeep, at: 512)) { try document(String(repeating: "[", count: 1_000_000)) }

        let deep = JSONLimits(maxDepth: 1_000_000)
        let brackets = String(repeating: "[", count: 1_000_000) + String(repeating: "]", count: 1_000_000)
        _ = try JSONDocument(ByteBuffer(string: brackets), limits: deep)
        #expect(throws: JSONError(.tooDeep, at: 0)) {
            try JSONDocument(ByteBuffer(string: "[]"), limits: .init(maxDepth: 0))
        }
        _ = try JSONDocument(ByteBuffer(string: "1"), limits: .init(maxDepth: 0))
    }

    @Test("Size is limited")
    func size() throws {
        let limits = JSONLimits(maxBytes: 4)
        _ = try JSONDocument(ByteBuffer(string: "1234"), limits: limits)
        #expect(throws: JSONError(.tooLarge, at: 4)) { try JSONDocument(ByteBuffer(string: "12345"), limits: limits) }
    }

    @Test("An index that outgrows its first room keeps every value", arguments: [10, 17, 1_000, 50_000])
    func growth(count: Int) throws {
        let text = "[" + (0..<count).map { #"{"k":[\#($0)]}"# }.joined(separator: ",") + "]"
        let root = try document(text).root
        var expected = 0
        for element in root.elements {
            let inner = try #require(element["k"])
            #expect(inner[0]?.int == expected)
            expected += 1
        }
        #expect(expected == count)
    }

    @Test("A document begins where its buffer's readable bytes begin")
    func readerIndex() throws {
        var buffer = ByteBuffer(string: #"xyz{"a": "b"}"#)
        buffer.moveReaderIndex(forwardBy: 3)
        let value = try #require(try JSONDocument(buffer).root["a"])
        #expect(value.byteRange == 6..<9)
        #expect(String(buffer: value.rawBytes) == #""b""#)
        #expect(value.string == "b")
    }

    @Test("Views share the document's storage")
    func sharing() throws {
        let buffer = ByteBuffer(string: #"{"a": ["long enough to need storage of its own"]}"#)
        let value = try #require(try JSONDocument(buffer).root["a"])
        let whole = buffer.withUnsafeReadableBytes { $0.baseAddress }
        let part = value.rawBytes.withUnsafeReadableBytes { $0.baseAddress }
        #expect(part == whole.map { $0 + value.byteRange.lowerBound })
    }

    @Test("An error's description tells the place and nothing of the content")
    func description() {
        let error = #expect(throws: JSONError.self) { try document(#"{"secret": sesame}"#) }
        #expect(error?.description == "unexpected character at byte 11")
    }
}
