import NIOCore
import OpenAIWire
import Testing

@Suite("What is seen of an answer that goes by")
struct AnswerMeterTests {
    private static let stream = """
        : a comment

        event: message
        data: {"choices":[{"delta":{"role":"assistant"}}]}

        data:{"choices":[{"delta":{"content":"data: {"}}],"usage":null}

        data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":4}}}

        data: [DONE]


        """

    @Test(
        "Events that carry JSON are counted, and the usage found, however the bytes are cut",
        arguments: [1, 2, 3, 7, 64, 4096]
    )
    func events(size: Int) {
        var meter = AnswerMeter(contentType: "text/event-stream; charset=utf-8")
        var arrivals = 0
        var rest = ByteBuffer(string: Self.stream)
        while rest.readableBytes > 0, let piece = rest.readSlice(length: min(size, rest.readableBytes)) {
            if meter.receive(piece) { arrivals += 1 }
        }
        #expect(meter.events == 3)
        #expect(size > 4000 ? arrivals == 1 : arrivals >= 2)
        #expect(meter.usage == Usage(promptTokens: 7, completionTokens: 3, cachedTokens: 4))
    }

    @Test("An answer that is no stream begins once")
    func whole() {
        var meter = AnswerMeter(contentType: "application/json")
        let pieces = [
            "", #"{"choices":[{"message":{"content":"\"usage\":{\"prompt_tokens\":9}"}}],"#,
            #""usage" : {"prompt_tokens":1,"completion_tokens":2},"x":null}"#,
        ]
        let begins = pieces.map { meter.receive(ByteBuffer(string: $0)) }
        #expect(begins == [false, true, false])
        #expect(meter.events == 0)
        #expect(meter.usage == Usage(promptTokens: 1, completionTokens: 2))
    }

    @Test("The usage is found at the end of a long answer, whose bytes are not kept")
    func long() {
        var meter = AnswerMeter(contentType: nil)
        for _ in 0..<1000 { _ = meter.receive(ByteBuffer(repeating: UInt8(ascii: "x"), count: 999)) }
        _ = meter.receive(ByteBuffer(string: #"","usage":{"input_tokens":5,"#))
        _ = meter.receive(ByteBuffer(string: #""output_tokens":6}}"#))
        #expect(meter.usage == Usage(promptTokens: 5, completionTokens: 6))
    }

    @Test(
        "What is no usage is none",
        arguments: [
            "", "{}", #"{"usage":null}"#, #"{"usage":"#, #"{"usage":{"prompt_tokens":"#, #"{"usage":{"nothing":1}}"#,
            #"{"text":"\"usage\":{\"prompt_tokens\":1}"}"#, #"{"usage":{}}}}"#, #""usage"{"prompt_tokens":1}"#,
        ]
    )
    func none(text: String) {
        var meter = AnswerMeter(contentType: "application/json")
        _ = meter.receive(ByteBuffer(string: text))
        #expect(meter.usage == nil)
    }

    @Test("Of a usage that is said with every event, the last counts")
    func last() {
        var meter = AnswerMeter(contentType: "text/event-stream")
        for count in 1...40 {
            let piece = "data: {\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":\(count)}}\n\n"
            _ = meter.receive(ByteBuffer(string: piece))
        }
        #expect(meter.events == 40)
        #expect(meter.usage?.completionTokens == 40)
    }
}
