import Gateway
import Testing

@Suite("Request ids")
struct RequestIDTests {
    private let ids: RequestIDs

    init() {
        var random = SystemRandomNumberGenerator()
        ids = RequestIDs(using: &random)
    }

    @Test(
        "A client's id is kept when it is printable and short",
        arguments: ["rid-1", "a", String(repeating: "x", count: 128)]
    )
    func kept(id: String) {
        #expect(ids.id(for: id) == id)
    }

    @Test(
        "Any other is replaced",
        arguments: [nil, "", "two words", "tab\t", "ünïcode", "line\nbreak", String(repeating: "x", count: 129)]
            as [String?]
    )
    func replaced(id: String?) {
        let made = ids.id(for: id)
        #expect(made != id && made.utf8.count == 36)
    }

    @Test("Ids have a version 4 UUID's shape and do not repeat")
    func unique() {
        let made = (0..<10_000).map { _ in ids.id(for: nil) }
        #expect(Set(made).count == made.count)
        for id in made {
            let parts = id.split(separator: "-")
            #expect(parts.map(\.count) == [8, 4, 4, 4, 12])
            #expect(parts[2].first == "4" && "89ab".contains(parts[3].first ?? "x"))
        }
    }
}
