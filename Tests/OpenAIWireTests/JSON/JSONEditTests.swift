import NIOCore
import OpenAIWire
import Testing

@Suite struct JSONEditTests {
    private func edit(_ text: String, _ edits: [JSONEdit]) throws -> String {
        String(buffer: try edits.applied(to: document(text)))
    }

    @Test(
        "A value is set in place, and everything else stays byte for byte",
        arguments: [
            (#"{ "a" : 1.0,"model":"x" , "u":"\/\u00e9" }"#, "model", #"{ "a" : 1.0,"model":7 , "u":"\/\u00e9" }"#),
            (#"{"model":{"deep":[1,2]},"b":1e2}"#, "model", #"{"model":7,"b":1e2}"#),
            (#"{"mod\u0065l": 1}"#, "model", #"{"mod\u0065l": 7}"#),
            (#"{"model":1,"b":2,"mod\u0065l":3}"#, "model", #"{"model":7,"b":2,"mod\u0065l":7}"#),
            ("{ }", "model", #"{"model":7 }"#),
            (#"{"a":1 }"#, "model", #"{"a":1,"model":7 }"#),
            (#"{"a":{"b":[1,{"c":2}]}}"#, ["a", "b", 1, "c"], #"{"a":{"b":[1,{"c":7}]}}"#),
            (#"[1, 2 ,3]"#, [1], "[1, 7 ,3]"),
            (" [1] ", [], " 7 "),
        ] as [(String, JSONPath, String)]
    )
    func set(text: String, path: JSONPath, expected: String) throws {
        #expect(try edit(text, [.set(path, 7)]) == expected)
    }

    @Test(
        "A value goes with its comma",
        arguments: [
            (#"{"a":1, "b":2, "c":3}"#, "a", #"{"b":2, "c":3}"#), (#"{"a":1, "b":2, "c":3}"#, "b", #"{"a":1, "c":3}"#),
            (#"{"a":1, "b":2, "c":3}"#, "c", #"{"a":1, "b":2}"#), (#"{ "a":1 }"#, "a", "{  }"),
            (#"{"a":1,"b":2,"\u0061":3}"#, "a", #"{"b":2}"#), (#"{"a":1,"a":2}"#, "a", "{}"),
            (#"{"a":1}"#, "missing", #"{"a":1}"#), ("[1, 2, 3]", [0], "[2, 3]"), ("[1, 2, 3]", [2], "[1, 2]"),
            (#"{"a":[ {"b":1} ]}"#, ["a", 0, "b"], #"{"a":[ {} ]}"#), ("[[]]", [0], "[]"),
        ] as [(String, JSONPath, String)]
    )
    func remove(text: String, path: JSONPath, expected: String) throws {
        #expect(try edit(text, [.remove(path)]) == expected)
    }

    @Test(
        "A value is put in front of an element, or at the end",
        arguments: [
            ("[]", 0, "[7]"), ("[ ]", JSONEdit.end, "[7 ]"), ("[1, 2]", 0, "[7,1, 2]"), ("[1, 2]", 1, "[1, 7,2]"),
            ("[1, 2 ]", 2, "[1, 2,7 ]"), ("[1, 2 ]", JSONEdit.end, "[1, 2,7 ]"),
        ]
    )
    func insert(text: String, index: Int, expected: String) throws {
        #expect(try edit(text, [.insert([], index: index, 7)]) == expected)
    }

    @Test("The two edits of every routed request")
    func modelAndSystemMessage() throws {
        let text = #"{"model": "auto", "messages": [{"role": "user", "content": "hi"}], "temperature": 1.0}"#
        let edits: [JSONEdit] = [
            .set("model", "qwen3"), .insert("messages", index: 0, ["role": "system", "content": "Be \"brief\"."]),
        ]
        let expected =
            #"{"model": "qwen3", "messages": [{"role":"system","content":"Be \"brief\"."},{"role": "user", "#
            + #""content": "hi"}], "temperature": 1.0}"#
        #expect(try edit(text, edits) == expected)
        #expect(try edit(text, edits.reversed()) == expected)
    }

    @Test("Inserts at one place keep their order, and may stand beside removals and replacements")
    func combined() throws {
        let end = JSONEdit.end
        #expect(try edit("[1,2,3]", [.insert([], index: 1, "a"), .insert([], index: 1, "b")]) == #"[1,"a","b",2,3]"#)
        #expect(try edit("[1,2,3]", [.remove([0]), .remove([1]), .remove([2]), .insert([], index: 2, 9)]) == "[9]")
        #expect(try edit("[1,2,3]", [.remove([0]), .insert([], index: 0, 9), .insert([], index: 1, 8)]) == "[9,8,2,3]")
        #expect(
            try edit("[1,2,3]", [.remove([2]), .insert([], index: end, 9), .insert([], index: 2, 8)]) == "[1,2,8,9]"
        )
        #expect(try edit("[1,2,3]", [.set([1], 5), .insert([], index: 1, 9), .remove([0])]) == "[9,5,3]")
        #expect(try edit(#"{"a":1}"#, [.set("b", 2), .set("c", 3), .remove("a")]) == #"{"b":2,"c":3}"#)
        #expect(try edit("[[1],[2]]", [.insert([0], index: 0, 0), .insert([], index: 1, 9)]) == "[[0,1],9,[2]]")
    }

    @Test("A shadowed duplicate on the way to an edit is dropped, so that no reader finds it unedited")
    func shadowedParents() throws {
        let text = #"{"messages":["secret"],"a":1,"mess\u0061ges":["secret"]}"#
        #expect(try edit(text, [.set(["messages", 0], "x")]) == #"{"a":1,"mess\u0061ges":["x"]}"#)
        let twice: [JSONEdit] = [.set(["messages", 0], "x"), .insert("messages", index: 0, "y")]
        #expect(try edit(text, twice) == #"{"a":1,"mess\u0061ges":["y","x"]}"#)
    }

    @Test(
        "Edits of the same value are refused in either order",
        arguments: [
            [.set("a", 1), .set("a", 2)], [.set("a", 1), .remove("a")], [.remove("a"), .remove("a")],
            [.set("a", 1), .set(["a", "b"], 2)], [.remove("a"), .insert(["a", "c"], index: 0, 1)],
            [.set(["a", "c"], 1), .insert(["a", "c"], index: 0, 1)], [.set([], 1), .remove("a")],
            [.set("new", 1), .set("new", 2)], [.set("new", 1), .remove("new")], [.remove(["a", "b"]), .remove("a")],
            [.set([], 1), .set([], 2)],
            [.set([], 1), .set("new", 2)],
        ] as [[JSONEdit]]
    )
    func overlapping(edits: [JSONEdit]) {
        for edits in [edits, edits.reversed()] {
            #expect {
                _ = try edit(#"{"a":{"b":1,"c":[1]}}"#, edits)
            } throws: { error in
                if case JSONEditError.overlapping = error { true } else { false }
            }
        }
    }

    @Test(
        "Paths that lead nowhere are refused",
        arguments: [
            (.set(["x", "y"], 1), .notFound(["x", "y"])), (.set([0], 1), .notFound([0])),
            (.set(["a", 2], 1), .notFound(["a", 2])), (.set(["a", "k"], 1), .notFound(["a", "k"])),
            (.set(["n", "k"], 1), .notFound(["n", "k"])), (.remove(["a", 2]), .notFound(["a", 2])),
            (.remove(["x", "y"]), .notFound(["x", "y"])), (.remove([]), .removesRoot),
            (.insert("n", index: 0, 1), .notAnArray("n")), (.insert("x", index: 0, 1), .notFound("x")),
            (.insert("a", index: 3, 1), .outOfBounds("a", index: 3)),
            (.insert("a", index: -2, 1), .outOfBounds("a", index: -2)),
        ] as [(JSONEdit, JSONEditError)]
    )
    func nowhere(edit: JSONEdit, error: JSONEditError) throws {
        let document = try document(#"{"a":[1,2],"n":5}"#)
        #expect(throws: error) { try [edit].applied(to: document) }
    }

    @Test("Many edits of one object find their keys, escaped and doubled ones included")
    func manyKeys() throws {
        let text = "{" + (0..<40).map { #""k\#($0)":0"# }.joined(separator: ",") + #","\u006b7":0,"other":0}"#
        let edits = (0..<40).map { JSONEdit.set([.key("k\($0)")], JSONFragment($0)) } + [.set("new", 41)]
        let root = try JSONDocument(edits.applied(to: document(text))).root
        #expect(root.members.map { $0.value.int ?? -1 } == Array(0..<40) + [7, 0, 41])
    }

    /// With a walk per edit, or per path, this would take minutes.
    @Test("A hundred thousand texts can be found by path and replaced")
    func manyEdits() throws {
        let count = 100_000
        let texts = Array(repeating: #""secret""#, count: count).joined(separator: ",")
        let body =
            #"{"input":[\#(texts)],"tools":{\#((0..<count).map { #""\#($0)":"secret""# }.joined(separator: ","))}}"#
        let document = try document(body)
        let input = try #require(document.root["input"])
        let tools = try #require(document.root["tools"])
        let paths = input.elements.map(\.path) + tools.members.map(\.value.path)
        let result = try paths.map { JSONEdit.set($0, "x") }.applied(to: document)
        #expect(String(buffer: result) == body.replacing("secret", with: "x"))
    }

    @Test("No edits, no copy")
    func nothing() throws {
        let buffer = ByteBuffer(string: #"{"a": "long enough to need storage of its own"}"#)
        let result = try [JSONEdit]().applied(to: JSONDocument(buffer))
        let before = buffer.withUnsafeReadableBytes { $0.baseAddress }
        #expect(result.withUnsafeReadableBytes { $0.baseAddress } == before)
    }

    @Test(
        "Fragments encode literals and values",
        arguments: [
            ("a\"\n", #""a\"\n""#), (true, "true"), (-3, "-3"), (1.5, "1.5"), (nil, "null"),
            ([1, [], "x"], #"[1,[],"x"]"#),
            (["b": 1, "a": ["c": false]], #"{"b":1,"a":{"c":false}}"#), (JSONFragment(Double.nan), "null"),
            (JSONFragment(1e300), "1e+300"),
        ] as [(JSONFragment, String)]
    )
    func fragments(fragment: JSONFragment, expected: String) throws {
        #expect(String(buffer: fragment.bytes) == expected)
        #expect(try JSONFragment(json: fragment.bytes) == fragment)
        #expect(!"\(fragment)".contains(expected))
    }

    @Test("A fragment from bytes must be valid")
    func invalidFragment() {
        #expect(throws: JSONError(.unexpectedEnd, at: 1)) { try JSONFragment(json: ByteBuffer(string: "[")) }
    }
}
