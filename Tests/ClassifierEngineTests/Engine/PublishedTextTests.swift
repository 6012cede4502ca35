import ClassifierEngine
import Instruments
import Resilience
import Testing

/// Published models, from texts to answers.
@Suite(
    "Published models and their tokenizers",
    .enabled(if: Library.path != nil, Library.why),
    .enabled(if: Models.folder != nil, Models.why),
    .timeLimit(.minutes(2))
)
struct PublishedTextTests {
    private var soon: MonotonicTime { .now() + .seconds(60) }

    private func models(_ encoders: [String], statics: [String] = []) throws -> ClassifierModels {
        var settings = ClassifierModels.Settings()
        settings.library = Library.path
        settings.encoders = try encoders.map { .init(name: $0, folder: try Models.path($0)) }
        settings.staticModels = try statics.map { ($0, try Models.path($0)) }
        return ClassifierModels(settings, registry: MetricRegistry()) { Issue.record("\($0): \($1)") }
    }

    @Test(
        "Sentences that mean the same are closer than others, by either tier",
        arguments: ["all-MiniLM-L6-v2", "potion-base-8M"]
    )
    func similarity(name: String) async throws {
        let models = name.hasPrefix("potion") ? try models([], statics: [name]) : try models([name])
        func vector(_ text: String) async throws -> [Float] {
            try await models.embed([text], with: name, by: soon).vectors[0]
        }
        let question = try await vector("How do I reset my password?")
        let same = try await vector("I forgot my password and want a new one")
        let other = try await vector("The recipe needs two eggs and some flour")
        #expect(cosine(question, same) > cosine(question, other) + 0.2)
        await models.shutdown()
    }

    @Test("Rampart finds personal data at its place, also behind letters of several bytes")
    func rampart() async throws {
        let models = try models(["rampart"])
        let text = "Grüße – my name is Jane Miller, write to jane.miller@example.org please"
        let spans = try await models.tag(text, with: "rampart", by: soon)
        func found(_ label: String) -> [String] {
            spans.filter { $0.label == label }.compactMap { span in
                String(text.utf8.dropFirst(span.range.lowerBound).prefix(span.range.count))
            }
        }
        #expect(found("GIVEN_NAME") == ["Jane"])
        #expect(found("SURNAME") == ["Miller"])
        #expect(found("EMAIL") == ["jane.miller@example.org"])
        await models.shutdown()
    }
}
