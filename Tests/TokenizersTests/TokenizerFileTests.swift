import NIOCore
import OpenAIWire
import TestRandom
import Testing
import Tokenizers

/// A `tokenizer.json` with the smallest of models, and components to be set in.
private func file(
    model: String = #"{"type":"WordLevel","vocab":{"a":0,"b":1,"?":2},"unk_token":"?"}"#,
    normalizer: String = "null",
    preTokenizer: String = "null",
    postProcessor: String = "null",
    added: String = "[]",
    more: String = ""
) -> String {
    """
    {"version":"1.0","truncation":null,"padding":null,"added_tokens":\(added),"normalizer":\(normalizer),\
    "pre_tokenizer":\(preTokenizer),"post_processor":\(postProcessor),"decoder":null,"model":\(model)\(more)}
    """
}

private func problem(of json: String) -> String? {
    do {
        _ = try Tokenizer(json: ByteBuffer(string: json), name: "t.json")
        return nil
    } catch {
        return error.description
    }
}

private func bpe(_ members: String) -> String {
    file(model: #"{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},\#(members)}"#)
}

@Suite("A file that cannot be used")
struct TokenizerFileTests {
    @Test(
        "is refused with the component's name",
        arguments: [
            (file(normalizer: #"{"type":"Fancy"}"#), "t.json: normalizer of type Fancy is not known"),
            (
                file(normalizer: #"{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Fancy"}]}"#),
                "t.json: normalizer.normalizers[1] of type Fancy is not known"
            ),
            (file(preTokenizer: #"{"type":"X"}"#), "t.json: pre_tokenizer of type X is not known"),
            (file(postProcessor: #"{"type":"X"}"#), "t.json: post_processor of type X is not known"),
            (file(model: #"{"type":"X"}"#), "t.json: model of type X is not known"),
            (file(model: #"{"vocab":{}}"#), "t.json: model.type is missing"),
            (file(more: #","extra":1"#), "t.json: extra is not known"),
            (file(normalizer: #"{"type":"NFC","speed":1}"#), "t.json: normalizer.speed is not known"),
            (file(normalizer: "[]"), "t.json: normalizer is not an object"),
            ("[]", "t.json: the file is not an object"),
            ("{}", "t.json: model is missing"),
            (#"{"model":"#, "t.json: the file is not JSON: unexpected end at byte 9"),
        ]
    )
    func unknownComponent(json: String, message: String) {
        #expect(problem(of: json) == message)
    }

    @Test(
        "is refused with what is wrong in it",
        arguments: [
            (file(normalizer: #"{"type":"Strip","strip_left":1,"strip_right":true}"#), "strip_left is neither"),
            (file(normalizer: #"{"type":"Replace","pattern":{"String":""},"content":"x"}"#), "is empty"),
            (file(normalizer: #"{"type":"Replace","pattern":{},"content":"x"}"#), "neither a String nor a Regex"),
            (
                file(normalizer: #"{"type":"Replace","pattern":{"Regex":"a(?<!b)"},"content":"x"}"#),
                "a group of a kind that is not supported"
            ),
            (file(normalizer: #"{"type":"Replace","pattern":{"Regex":"a+?"},"content":"x"}"#), "not greedy"),
            (
                file(normalizer: #"{"type":"Replace","pattern":{"Regex":"(?i:é)"},"content":"-"}"#),
                "folds letters outside ASCII"
            ),
            (
                file(normalizer: #"{"type":"Replace","pattern":{"Regex":"(?i:[aß])"},"content":"-"}"#),
                "folds letters outside ASCII"
            ),
            (file(normalizer: #"{"type":"Replace","pattern":{"Regex":"[\\w-é]"},"content":"-"}"#), "a broken range"),
            (file(normalizer: #"{"type":"Replace","pattern":{"Regex":"a*"},"content":"-"}"#), "may match nothing"),
            (file(normalizer: #"{"type":"Replace","pattern":{"Regex":"b|(?!c)"},"content":"-"}"#), "may match nothing"),
            (
                file(
                    preTokenizer:
                        #"{"type":"Split","pattern":{"Regex":"(?:a?|b)c{0,2}"},"behavior":"Isolated","invert":false}"#
                ), "may match nothing"
            ),
            (file(normalizer: #"{"type":"Replace","pattern":{"Regex":"(a"},"content":"x"}"#), "a ( too many"),
            (file(normalizer: #"{"type":"Replace","pattern":{"Regex":"a)"},"content":"x"}"#), "a ) too many"),
            (file(normalizer: #"{"type":"Replace","pattern":{"Regex":"[a"},"content":"x"}"#), "a [ too many"),
            (
                file(
                    normalizer:
                        #"{"type":"Replace","pattern":{"Regex":"(?:a{99}){1,16}(?:b{99}){1,16}c{999}"},"content":"x"}"#
                ),
                "repeats something too often"
            ),
            (
                file(normalizer: #"{"type":"Replace","pattern":{"Regex":"\\p{Quick}"},"content":"x"}"#),
                "class that is not"
            ),
            (
                file(normalizer: #"{"type":"Replace","pattern":{"Regex":"^a"},"content":"x"}"#),
                "a ^ that is not supported"
            ),
            (file(normalizer: #"{"type":"Precompiled","precompiled_charsmap":"??"}"#), "is not Base64"),
            (file(normalizer: #"{"type":"Precompiled","precompiled_charsmap":"AAA="}"#), "is too short"),
            (file(normalizer: #"{"type":"Precompiled","precompiled_charsmap":"/////w=="}"#), "shorter than it says"),
            (
                file(preTokenizer: #"{"type":"Split","pattern":{"String":"a"},"behavior":"Eaten","invert":false}"#),
                #"behavior is "Eaten", which is not known"#
            ),
            (file(preTokenizer: #"{"type":"Metaspace","replacement":"ab"}"#), "is not one character"),
            (
                file(preTokenizer: #"{"type":"Metaspace","replacement":"_","prepend_scheme":"often"}"#),
                #"prepend_scheme is "often""#
            ),
            (file(postProcessor: #"{"type":"BertProcessing","sep":["a",7],"cls":["b",1]}"#), "sep is 7, which is no"),
            (
                file(postProcessor: #"{"type":"BertProcessing","sep":["a"],"cls":["b",1]}"#),
                "not a token and its number"
            ),
            (
                file(
                    postProcessor:
                        #"{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"z","type_id":0}}],"pair":null,"special_tokens":{}}"#
                ), #"is "z", which special_tokens does not have"#
            ),
            (
                file(postProcessor: #"{"type":"TemplateProcessing","single":[],"pair":[],"special_tokens":{}}"#),
                "does not hold the text A once"
            ),
            (file(added: #"[{"id":9,"content":""}]"#), "content is empty"),
            (file(added: #"[{"id":-1,"content":"x"}]"#), "id is no token's number"),
            (file(added: #"[{"id":99999999,"content":"x"}]"#), "id is no token's number"),
            (file(added: #"[{"id":65552,"content":"x"}]"#), "id is no token's number"),
            (file(added: #"[{"id":1,"content":"a"}]"#), #"id is 1, but "a" is token 0 of the model"#),
            (file(added: #"[{"id":1,"content":"x"}]"#), #"id is 1, which is the token "b""#),
            (
                file(
                    normalizer: #"{"type":"Strip","strip_left":true,"strip_right":true}"#,
                    added: #"[{"id":5,"content":" "}]"#
                ),
                "is nothing after normalisation"
            ),
            (file(model: #"{"type":"WordLevel","vocab":{},"unk_token":"?"}"#), "vocab is empty"),
            (file(model: #"{"type":"WordLevel","vocab":[],"unk_token":"?"}"#), "vocab is not an object"),
            (
                file(model: #"{"type":"WordLevel","vocab":{"a":0},"unk_token":"?"}"#),
                "which the vocabulary does not have"
            ),
            (file(model: #"{"type":"WordLevel","vocab":{"a":0.5},"unk_token":"a"}"#), "what is no token's number"),
            (file(model: #"{"type":"WordLevel","vocab":{"a":65540},"unk_token":"a"}"#), "what is no token's number"),
            (file(model: #"{"type":"WordLevel","vocab":{"a":0,"b":0},"unk_token":"a"}"#), "a second number 0"),
            (file(model: #"{"type":"WordLevel","vocab":{"a":0,"a":1},"unk_token":"a"}"#), #"a second token "a""#),
            (bpe(#""merges":["a b"],"dropout":0.1"#), "dropout is for training"),
            (bpe(#""merges":["a c"]"#), #"merges has at 0 a token that the vocabulary does not have: "a c""#),
            (bpe(#""merges":["a b","b a"]"#), #"merges has at 1 a pair whose sum the vocabulary does not have: "b a""#),
            (bpe(#""merges":["a b b"]"#), "merges has at 0 what is no pair"),
            (bpe(#""merges":[["a"]]"#), "merges has at 0 what is no pair"),
            (bpe(#""merges":{}"#), "merges is not an array"),
            (bpe(#""merges":[],"unk_token":"?""#), "which the vocabulary does not have"),
            (
                file(model: #"{"type":"Unigram","vocab":[["a",0]],"unk_id":1}"#),
                "unk_id is 1, which is no token's number"
            ),
            (file(model: #"{"type":"Unigram","vocab":[["a",0]],"unk_id":null}"#), "unk_id is missing"),
            (file(model: #"{"type":"Unigram","vocab":[["a","b"]],"unk_id":0}"#), "no token with its score"),
            (file(model: #"{"type":"Unigram","vocab":[["a",1e999]],"unk_id":0}"#), "no token with its score"),
            (file(model: #"{"type":"Unigram","vocab":[["a",0],["a",1]],"unk_id":0}"#), #"a second token "a""#),
        ]
    )
    func brokenComponent(json: String, part: String) throws {
        let message = try #require(problem(of: json))
        #expect(message.contains(part), "\(message)")
    }

    @Test("is refused wherever it is cut off", arguments: ["bert-uncased", "xlm-roberta", "gemma"])
    func truncated(family: String) throws {
        let bytes = try Fixture.bytes(Fixture.path("\(family).json"))
        for count in stride(from: 0, to: bytes.count - 1, by: max(1, bytes.count / 60)) {
            #expect(throws: TokenizerError.self) { try Tokenizer(json: ByteBuffer(bytes: bytes[..<count])) }
        }
    }

    @Test("never crashes the reader, whatever byte is changed", arguments: TokenizerGoldenTests.families)
    func mutated(family: String) throws {
        let bytes = try Fixture.bytes(Fixture.path("\(family).json"))
        let document = try JSONDocument(ByteBuffer(bytes: bytes))
        var random = SeededRandom.fromEnvironment()
        var refused = 0
        for _ in 0..<60 {
            var changed = flippingStrips(bytes, &random)
            for _ in 0..<(1 + random.below(3)) {
                changed[random.below(changed.count)] = UInt8(random.pick(Array("0123456789\"[]{},:aA/-.".utf8)))
            }
            guard let tokenizer = try? Tokenizer(json: ByteBuffer(bytes: changed)) else {
                refused += 1
                continue
            }
            let texts = (0..<20).map { Corpus.standard.randomText($0) }
            for text in texts + (0..<20).map({ _ in addedTokens(of: document, &random) }) {
                #expect(tokenizer.encode(text).offsets.allSatisfy { $0.upperBound <= text.utf8.count })
            }
        }
        #expect(refused > 0)
    }

    /// Sets some of the flags of added tokens that take white space along.
    private func flippingStrips(_ bytes: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
        var bytes = bytes
        let flag = Array("strip\":false".utf8)
        for index in bytes.indices.dropLast(flag.count) where bytes[index...].starts(with: flag) && random.once(in: 2) {
            bytes.replaceSubrange((index + flag.count - 5)..<(index + flag.count), with: "true ".utf8)
        }
        return bytes
    }

    /// Some of a file's added tokens with white space between them.
    private func addedTokens(of document: JSONDocument, _ random: inout SeededRandom) -> String {
        let contents = document.root["added_tokens"]?.elements.compactMap { $0["content"]?.string } ?? []
        return (0..<8).map { _ in
            random.pick(contents + ["a"]) + String(repeating: random.pick([" ", "\n"]), count: random.below(5))
        }.joined()
    }

    @Test("may have tokens that take the same white space along")
    func competingStrips() throws {
        for normalized in [true, false] {
            let tokens = """
                [{"id":0,"content":"a","rstrip":true,"normalized":\(normalized)},\
                {"id":8,"content":" ","lstrip":true,"normalized":\(normalized)},\
                {"id":9,"content":" b","normalized":\(normalized)}]
                """
            let tokenizer = try Tokenizer(json: ByteBuffer(string: file(added: tokens)))
            #expect(tokenizer.encode("a   ").offsets == [0..<4])
            #expect(tokenizer.encode("  a  ").offsets == [0..<1, 1..<2, 2..<5])
            // What does not strip is found in what has been stripped, as in tokenizers 0.23.3.
            #expect(tokenizer.encode("a   b").ids == [0, 9])
            #expect(tokenizer.encode("a   b").offsets == [0..<4, 3..<5])
        }
    }

    @Test("with many special tokens is read once", arguments: [5_000])
    func manySpecialTokens(count: Int) throws {
        func json(_ count: Int) -> ByteBuffer {
            let tokens = (0..<count).map { #""t\#($0)":{"id":"t\#($0)","ids":[0],"tokens":["a"]}"# }
            let template = #""single":[{"Sequence":{"id":"A","type_id":0}}],"pair":null"#
            return ByteBuffer(
                string: file(
                    postProcessor:
                        #"{"type":"TemplateProcessing",\#(template),"special_tokens":{\#(tokens.joined(separator: ","))}}"#
                )
            )
        }
        let (few, many) = (json(count), json(count * 8))
        #expect(throws: Never.self) { try Tokenizer(json: many) }
        let ratio = WorkRatio.measure(below: 24, { _ = try? Tokenizer(json: few) }, { _ = try? Tokenizer(json: many) })
        #expect(ratio < 24)
    }

    /// Recorded from tokenizers 0.23.3.
    @Test(
        "may trim offsets twice",
        arguments: [
            (true, true, true, "a", [0..<1]), (true, true, false, "a", [1..<1]), (true, true, true, "  a", [3..<3]),
            (true, true, true, " ", [0..<0]), (true, false, true, " ", [1..<1]), (true, true, true, " a", [0..<2]),
            (true, true, true, "a  ", [0..<0, 0..<1, 2..<2, 3..<3]), (true, false, false, " a", [2..<2]),
            (false, true, true, "a ", [0..<0]), (false, true, true, "a  ", [0..<1]),
            (false, true, false, " a", [1..<2]), (false, false, true, "  ", [2..<2]),
        ] as [(Bool, Bool, Bool, String, [Range<Int>])]
    )
    func trimsTwice(prefix: Bool, first: Bool, second: Bool, text: String, offsets: [Range<Int>]) throws {
        func step(_ prefix: Bool, more: String = "") -> String {
            #"{"type":"ByteLevel","add_prefix_space":\#(prefix),"trim_offsets":true\#(more)}"#
        }
        let vocabulary = #"{"Ġ":0,"a":1,"ĠĠ":2,"ĠĠa":3,"Ġa":4,"aĠ":5,"aĠĠ":6}"#
        let json = file(
            model: #"{"type":"BPE","vocab":\#(vocabulary),"merges":[],"ignore_merges":true}"#,
            preTokenizer: step(prefix, more: #","use_regex":false"#),
            postProcessor: #"{"type":"Sequence","processors":[\#(step(first)),\#(step(second))]}"#
        )
        #expect(try Tokenizer(json: ByteBuffer(string: json)).encode(text).offsets == offsets)
    }

    @Test("that does not exist is an error")
    func missing() {
        #expect(throws: TokenizerError.self) { try Tokenizer(path: "/nonexistent/tokenizer.json") }
    }

    @Test("from before version 0.10 is told by its members")
    func oldFile() throws {
        let json = file(model: ##"{"vocab":{"a":0,"b":1,"ab":2},"merges":["#version: 0.2","a b"]}"##)
        let tokenizer = try Tokenizer(json: ByteBuffer(string: json))
        #expect(tokenizer.encode("aba").ids == [2, 0])
    }
}
