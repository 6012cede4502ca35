import OpenAIWire
import SemanticRouter
import Testing

@Suite struct RequestParamsEditTests {
    private func edited(
        _ settings: RequestParamsSettings,
        _ body: String,
        _ endpoint: TextEndpoint = .chatCompletions
    ) throws -> String {
        let request = try textRequest(body, endpoint)
        return try request.applying(RequestParamsEdit.edits(settings, for: request))
    }

    @Test("Blocked parameters go by their exact name, all of it, and never what the request is about")
    func blocks() throws {
        let settings = RequestParamsSettings(blocked: ["logprobs", "seed", "model", "messages", "prompt", "input"])
        let body =
            #"{"model":"m","logprobs":1,"Logprobs":2,"messages":[{"seed":1}],"s\u0065ed":3,"seed":[],"prompt":1,"input":2}"#
        #expect(
            try edited(settings, body)
                == #"{"model":"m","Logprobs":2,"messages":[{"seed":1}],"prompt":1,"input":2}"#
        )
        #expect(try edited(settings, "{}") == "{}")
    }

    @Test(
        "Numbers above the limit are lowered to it",
        arguments: [
            ("1000", "50"), ("51", "50"), ("50", "50"), ("1", "1"), ("0", "0"), ("-7", "-7"), ("50.0", "50.0"),
            ("50.5", "50"), ("10.5", "10.5"), ("1e9", "50"), ("1e999", "50"), ("99999999999999999999999", "50"),
            ("5E1", "5E1"), ("\"1000\"", "50"), ("\" 1_000 \"", "50"), ("\"9\"", "\"9\""), ("\"x\"", "\"x\""),
            ("null", "null"), ("[1000]", "[1000]"), ("true", "true"),
        ]
    )
    func caps(value: String, expected: String) throws {
        let settings = RequestParamsSettings(maxTokens: 50, maxN: 50)
        for key in ["max_tokens", "max_completion_tokens", "max_output_tokens", "n"] {
            #expect(try edited(settings, #"{ "\#(key)" : \#(value) }"#) == #"{ "\#(key)" : \#(expected) }"#)
        }
    }

    @Test("Every name of the limit is capped, and an absent one stays absent")
    func capsAll() throws {
        let settings = RequestParamsSettings(maxTokens: 50)
        #expect(
            try edited(settings, #"{"max_tokens":60,"n":70,"max_completion_tokens":80}"#)
                == #"{"max_tokens":50,"n":70,"max_completion_tokens":50}"#
        )
        #expect(try edited(settings, #"{"n":70}"#) == #"{"n":70}"#)
    }

    @Test("Where answers are chosen from several, these are capped too")
    func bestOf() throws {
        let settings = RequestParamsSettings(maxN: 2)
        #expect(try edited(settings, #"{"n":3,"best_of":9}"#, .completions) == #"{"n":2,"best_of":2}"#)
        #expect(try edited(settings, #"{"n":3,"best_of":9}"#) == #"{"n":2,"best_of":9}"#)
    }

    @Test("Blocking, limits and stripping act together, blocking first")
    func together() throws {
        let settings = RequestParamsSettings(blocked: ["max_tokens"], maxTokens: 50, maxN: 1, stripsUnknown: true)
        #expect(
            try edited(settings, #"{"max_tokens":1000,"max_completion_tokens":1000,"n":3,"x_unknown":1,"":2}"#)
                == #"{"max_completion_tokens":50,"n":1}"#
        )
    }

    @Test(
        "Stripping keeps what each API documents",
        arguments: [
            (
                TextEndpoint.chatCompletions,
                #""messages":[],"stream_options":{},"chat_template_kwargs":{},"top_k":1,"guided_json":{},"verbosity":1"#
            ),
            (.completions, #""prompt":"p","suffix":"s","best_of":1,"min_p":0,"prompt_embeds":"e""#),
            (.responses, #""input":"i","instructions":"s","reasoning":{},"text":{},"cache_salt":"c""#),
            (.messages, #""messages":[],"system":"s","thinking":{},"stop_sequences":[],"max_tokens":1"#),
            (.embeddings, #""input":"i","dimensions":2,"encoding_format":"float","truncate_prompt_tokens":1"#),
            (.rerank, #""query":"q","documents":[],"top_n":1"#),
            (.score, #""text_1":"a","text_2":"b""#),
            (.tokenize, #""prompt":"p","return_token_strs":true"#),
            (.detokenize, #""tokens":[1]"#),
            (.classify, #""input":"i","use_activation":true"#),
            (.pooling, #""input":"i","task":"embed""#),
        ]
    )
    func strips(endpoint: TextEndpoint, members: String) throws {
        let settings = RequestParamsSettings(stripsUnknown: true)
        let kept = #"{"model":"m",\#(members)}"#
        #expect(try edited(settings, kept, endpoint) == kept)
        #expect(try edited(settings, #"{"made_up":{"a":1},"model":"m",\#(members),"Model":1}"#, endpoint) == kept)
    }

    @Test("A body of very many unknown members is stripped in one pass")
    func manyMembers() throws {
        let members = (0..<4_000).map { #""k\#($0)":0"# }.joined(separator: ",")
        #expect(try edited(RequestParamsSettings(stripsUnknown: true), "{\(members),\"n\":1}") == #"{"n":1}"#)
    }
}
