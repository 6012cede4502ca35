import OpenAIWire
import SemanticRouter
import Testing

@Suite struct MetadataSignalTests {
    private func prompt(_ metadata: String) throws -> Prompt {
        try Prompt(body: #"{"messages": [{"role": "user", "content": "x"}], "metadata": \#(metadata)}"#)
    }

    private func isPresent(_ predicate: String, _ metadata: String) throws -> Bool {
        let rules = try SignalRules("metadata: [{name: it, key: cohort, predicate: \(predicate)}]")
        let reading = try rules.reading(.metadata, "it", prompt(metadata))
        #expect(reading == (reading.isPresent ? .present(1) : .absent))
        return reading.isPresent
    }

    /// The first three are upstream's.
    @Test(
        "A value is compared whole, its key exactly",
        arguments: [
            ("{equals: denied}", #"{"cohort": "denied"}"#, true),
            ("{exists: true}", #"{"cohort": "a"}"#, true),
            ("{exists: true}", "{}", false),
            ("{exists: false}", "{}", true),
            ("{exists: false}", #"{"cohort": "a"}"#, false),
            ("{equals: denied}", #"{"cohort": "Denied"}"#, false),
            ("{equals: denied}", #"{"cohort": "denied "}"#, false),
            ("{equals: denied}", #"{"Cohort": "denied"}"#, false),
            ("{equals: denied}", #"{"a": {"cohort": "denied"}}"#, false),
            ("{equals: denied}", #"{"cohort": "\u0064enied"}"#, true),
            (#"{equals: ""}"#, #"{"cohort": ""}"#, true),
            (#"{equals: ""}"#, "{}", false),
            ("{equals: 数据}", #"{"cohort": "数据"}"#, true),
            ("{in: [a, b]}", #"{"cohort": "b"}"#, true),
            ("{in: [a, b]}", #"{"cohort": "c"}"#, false),
            ("{in: [a, b]}", #"{"cohort": "a,b"}"#, false),
            ("{in: []}", #"{"cohort": ""}"#, false),
            ("{in: [a]}", "{}", false),
        ]
    )
    func predicates(predicate: String, metadata: String, isPresent: Bool) throws {
        #expect(try self.isPresent(predicate, metadata) == isPresent)
    }

    @Test(
        "What is no text equals no text, but is there",
        arguments: ["1", "true", "[\"1\"]", "{\"1\": \"1\"}", "0.5"]
    )
    func otherTypes(value: String) throws {
        let metadata = #"{"cohort": \#(value)}"#
        #expect(try !isPresent("{equals: '1'}", metadata))
        #expect(try !isPresent("{in: ['1', 'true', '']}", metadata))
        #expect(try isPresent("{exists: true}", metadata))
        #expect(try !isPresent("{exists: false}", metadata))
    }

    @Test(
        "Metadata that is no object has no keys",
        arguments: ["null", "7", "\"cohort\"", "[\"cohort\"]", "[{\"cohort\": \"a\"}]"]
    )
    func noObject(metadata: String) throws {
        #expect(try !isPresent("{exists: true}", metadata))
        #expect(try isPresent("{exists: false}", metadata))
        #expect(try !isPresent("{equals: a}", metadata))
    }

    @Test("Every endpoint's metadata is read")
    func endpoints() throws {
        let rules = try SignalRules("metadata: [{name: it, key: cohort, predicate: {equals: a}}]")
        let metadata = #""metadata": {"cohort": "a"}"#
        #expect(rules.present(try Prompt(body: #"{"input": "x", \#(metadata)}"#, .responses)) == ["it"])
        #expect(rules.present(try Prompt(body: #"{"prompt": "x", \#(metadata)}"#, .completions)) == ["it"])
        #expect(rules.present(try Prompt(body: #"{"messages": [], \#(metadata)}"#, .messages)) == ["it"])
        #expect(rules.present(try Prompt(body: #"{"messages": []}"#, .messages)) == [])
    }
}
