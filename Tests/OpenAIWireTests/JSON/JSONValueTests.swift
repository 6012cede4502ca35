import NIOCore
import OpenAIWire
import Testing

@Suite struct JSONValueTests {
    @Test(
        "A member is found however its key is escaped, and the last of several counts",
        arguments: [
            (#"{"model": 1}"#, 1), (#"{"mod\u0065l": 2}"#, 2), (#"{"\u006D\u006f\u0064\u0065\u006c": 3}"#, 3),
            (#"{"model": 1, "model": 2}"#, 2), (#"{"model": 1, "mod\u0065l": 2}"#, 2),
            (#"{"mod\u0065l": 1, "model": 2, "models": 3, "mode": 4}"#, 2), (#"{"a": {"model": 9}, "model": 5}"#, 5),
        ]
    )
    func lookup(text: String, expected: Int) throws {
        #expect(try document(text).root["model"]?.int == expected)
    }

    @Test("Keys match by scalars: no prefixes, no NULs cut off, no canonical equivalence")
    func keyIdentity() throws {
        let root = try document("{\"a\\u0000\": 1, \"\u{E9}\": 2, \"\": 3, \"\\ud83d\\ude00\": 4}").root
        #expect(root["a"] == nil)
        #expect(root["a\u{0}"]?.int == 1)
        #expect(root["\u{E9}"]?.int == 2)
        #expect(root["e\u{301}"] == nil)
        #expect(root[""]?.int == 3)
        #expect(root["😀"]?.int == 4)
        #expect(root["nothing"] == nil)
    }

    @Test("Members and elements come in order, duplicates and all")
    func iteration() throws {
        let root = try document(#"{"b": 1, "a": [1, {"x": 2}, []], "b": "y"}"#).root
        #expect(root.members.map { $0.key.string } == ["b", "a", "b"])
        #expect(root.members.map { $0.value.kind } == [.number, .array, .string])
        let array = try #require(root["a"])
        #expect(array.elements.map(\.kind) == [.number, .object, .array])
        #expect(array[1]?["x"]?.int == 2)
        #expect(array[3] == nil)
        #expect(array[-1] == nil)
        #expect(root["b"]?.string == "y")
    }

    @Test("Asking a value for what it is not answers nil")
    func otherKinds() throws {
        let root = try document(#"{"n": null, "t": true, "f": false, "s": "1", "i": 1, "a": [], "o": {}}"#).root
        #expect(root["n"]?.isNull == true)
        #expect(root["t"]?.bool == true)
        #expect(root["f"]?.bool == false)
        #expect(root["i"]?.bool == nil)
        #expect(root["s"]?.int == nil)
        #expect(root["s"]?.double == nil)
        #expect(root["i"]?.string == nil)
        #expect(root["i"]?.isString(equalTo: "1") == false)
        #expect(root["s"]?["x"] == nil)
        #expect(root["a"]?["x"] == nil)
        #expect(root["o"]?[0] == nil)
        #expect(root["s"]?.elements.contains { _ in true } == false)
        #expect(root["a"]?.members.contains { _ in true } == false)
    }

    @Test(
        "Whole numbers are exact or nil",
        arguments: [
            ("0", 0), ("-0", 0), ("7", 7), ("-7", -7), ("9007199254740993", 9_007_199_254_740_993),
            ("9223372036854775807", .max), ("-9223372036854775808", .min), ("9223372036854775808", nil),
            ("-9223372036854775809", nil), ("99999999999999999999999", nil), ("7.0", 7), ("70e-1", 7), ("7E2", 700),
            ("7.5", nil), ("1e308", nil), ("1e999", nil), ("6479060472479060.3842", nil),
            ("0.99999999999999999999", nil),
        ] as [(String, Int?)]
    )
    func integers(text: String, expected: Int?) throws {
        #expect(try document(text).root.int == expected)
    }

    @Test(
        "Fractions are rounded correctly, and numbers beyond Double are nil",
        arguments: [
            ("0.1", 0.1), ("-0.0", -0.0), ("1e23", 1e23), ("5e-324", .leastNonzeroMagnitude), ("1e-999", 0),
            ("1e999", nil),
            ("1.7976931348623157e308", .greatestFiniteMagnitude), ("-2e308", nil), ("123", 123),
        ] as [(String, Double?)]
    )
    func doubles(text: String, expected: Double?) throws {
        let value = try document(text).root.double
        #expect(value == expected)
        #expect(value?.sign == expected?.sign)
    }

    @Test(
        "Strings are decoded to their exact scalars",
        arguments: [
            (#""""#, ""), (#""plain""#, "plain"), (#""a\nb""#, "a\nb"), (#""\u0000x""#, "\u{0}x"),
            (#""\ud83d\ude00\/\\\"""#, "😀/\\\""), (#""e\u0301""#, "e\u{301}"), (#""中\u6587""#, "中文"),
            (#""\uffff\u07ff\u0080""#, "\u{FFFF}\u{7FF}\u{80}"),
        ]
    )
    func strings(text: String, expected: String) throws {
        let value = try document(text).root
        #expect(value.string?.unicodeScalars.elementsEqual(expected.unicodeScalars) == true)
        #expect(value.isString(equalTo: expected))
        #expect(!value.isString(equalTo: expected + "x"))
        #expect(value.isEmptyString == expected.isEmpty)
        var buffer = ByteBuffer(string: ">")
        value.appendText(to: &buffer)
        #expect(String(buffer: buffer).utf8.elementsEqual((">" + expected).utf8))
    }

    @Test("Canonically equivalent strings differ")
    func scalarEquality() throws {
        let value = try document("\"\u{E9}\"").root
        #expect(value.isString(equalTo: "\u{E9}"))
        #expect(!value.isString(equalTo: "e\u{301}"))
    }

    @Test("What is written as a JSON string is read back the same")
    func roundTrip() throws {
        let everything = String(String.UnicodeScalarView((0...0x2FF).compactMap(Unicode.Scalar.init))) + "中😀\u{2028}"
        var buffer = ByteBuffer()
        buffer.writeJSONString(everything)
        let value = try JSONDocument(buffer).root
        #expect(value.string?.unicodeScalars.elementsEqual(everything.unicodeScalars) == true)
    }

    @Test("A value knows the path that leads to it")
    func path() throws {
        let root = try document(#"{"a": 0, "messages": [{"role": "x"}, {"c\u006fntent": [1, "found"]}]}"#).root
        let value = try #require(root["messages"]?[1]?["content"]?[1])
        #expect(value.path == ["messages", 1, "content", 1])
        #expect(value.path.description == "messages[1].content[1]")
        #expect(root.path == [])
        #expect(root.path.description == "")
        let key = try #require(root["messages"]?[0]?.members.first { _ in true }?.key)
        #expect(key.path == ["messages", 0, "role"])
    }
}
