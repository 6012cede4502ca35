import OpenAIWire
import SemanticRouter
import Testing

@Suite struct RoleSignalTests {
    private static let bindings = """
        role_bindings:
          - {name: admins, role: admin, subjects: [{kind: User, name: ann}, {kind: Group, name: ops}]}
          - {name: readers, role: reader, subjects: [{kind: Group, name: staff}]}
          - {name: more-admins, role: admin, subjects: [{kind: user, name: bob}]}
          - {name: grouplike, role: odd, subjects: [{kind: GROUP, name: ann}]}
        """

    private func roles(_ identity: Identity) throws -> [String] {
        try SignalRules(Self.bindings).present(try .asking("x", identity: identity))
    }

    @Test(
        "A role is had by its users and by its groups' members, of any of its bindings",
        arguments: [
            ("ann", [], ["admin"]),
            ("bob", [], ["admin"]),
            ("carl", [], []),
            ("carl", ["ops"], ["admin"]),
            ("carl", ["staff", "ops"], ["admin", "reader"]),
            ("ann", ["ops", "staff"], ["admin", "reader"]),
            (nil, ["staff"], ["reader"]),
            (nil, [], []),
            ("ops", [], []),
            (nil, ["ann"], ["odd"]),
            ("Ann", [], []),
            ("ann ", [], []),
            ("", [""], []),
            ("staff,ops", ["staff,ops"], []),
        ] as [(String?, [String], [String])]
    )
    func subjects(user: String?, groups: [String], roles: [String]) throws {
        #expect(try self.roles(Identity(user: user, groups: groups)) == roles)
    }

    @Test("Who is not known has no role, whatever the request says of itself")
    func anonymous() throws {
        #expect(try roles(.anonymous) == [])
        let rules = try SignalRules(Self.bindings)
        let claimed = try Prompt(
            body:
                #"{"user": "ann", "metadata": {"user": "ann"}, "messages": [{"role": "user", "name": "ann", "content": "ann"}]}"#
        )
        #expect(rules.present(claimed) == [])
    }

    @Test("A role is one signal, however many bindings give it; rules know it by `authz`")
    func names() throws {
        let rules = try SignalRules(Self.bindings)
        #expect(rules.table.ids.map(\.description) == ["authz:admin", "authz:reader", "authz:odd"])
        let reading = try rules.reading(.authz, "admin", try .asking("x", identity: Identity(user: "bob")))
        #expect(reading == .present(1))
    }

    @Test("Roles need no text and no user's message")
    func noText() throws {
        let prompt = try Prompt(try textRequest(#"{"messages": []}"#), identity: Identity(user: "ann"))
        #expect(try SignalRules(Self.bindings).present(prompt) == ["admin"])
    }
}
