import AdminAPI
import Credentials
import NIOHTTP1
import OpenAIWire
import Testing

@Suite("Who may use the management API")
struct ManagementAccessTests {
    /// `printf %s TOKEN | sha256sum` of `tok-viewer`, `tok-operator` and `tok-admin`.
    private static let hashes: [(Role, String)] = [
        (.viewer, "fb29d1e1a6ef02aa40e1130f0f7909ead137992db3c6c095d447c48c50f8fc37"),
        (.operator, "9df2f80c889b2850e67becd789c1f15b01ffe30b2c0e1c6a545f3a44ff291230"),
        (.admin, "df6adb0b23fa33235f4aee6a0d62c118b00d71c07c81be87067b4f5892e66dbc"),
    ]

    private func tokens() throws -> ManagementAccess {
        .tokens(
            CredentialStore(
                try Self.hashes.map { role, hash in
                    try #require(Credential(name: "\(role)", sha256: hash, owner: role))
                }
            )
        )
    }

    private func refusal(_ access: ManagementAccess, _ headers: HTTPHeaders, for permission: Permission?) -> RouterError
        .Code?
    {
        let head = HTTPRequestHead(version: .http1_1, method: .POST, uri: "/", headers: headers)
        do throws(RouterError) {
            try access.check(head, for: permission)
            return nil
        } catch {
            return error.code
        }
    }

    @Test(
        "A role grants what upstream's does",
        arguments: [
            (Role.viewer, Permission.allCases.filter { $0 != .writeConfiguration }), (.operator, Permission.allCases),
            (.admin, Permission.allCases),
        ]
    )
    func roles(role: Role, granted: [Permission]) throws {
        #expect(Permission.allCases.filter { role.grants($0) } == granted)
        let access = try tokens()
        for permission in Permission.allCases {
            let code = refusal(access, ["authorization": "Bearer tok-\(role.rawValue)"], for: permission)
            #expect(code == (granted.contains(permission) ? nil : .forbidden), "\(permission)")
        }
    }

    @Test("Permissions and roles have upstream's names")
    func names() {
        #expect(Role.allCases.map(\.rawValue) == ["viewer", "operator", "admin"])
        #expect(
            Permission.allCases.map(\.rawValue) == [
                "health.read", "ready.read", "docs.read", "metrics.read", "classify.invoke", "config.read",
                "config.write",
            ]
        )
    }

    @Test(
        "Without a known token nothing but probes is answered",
        arguments: [
            [:], ["authorization": "Bearer"], ["authorization": "Bearer tok-admi"],
            ["authorization": "Bearer tok-adminn"],
            ["authorization": "Basic tok-admin"], ["authorization": "tok-admin"], ["x-api-key": "tok-admin"],
        ] as [[String: String]]
    )
    func unknownToken(headers: [String: String]) throws {
        let fields = HTTPHeaders(headers.map { ($0.key, $0.value) })
        for permission in Permission.allCases {
            let code = refusal(try tokens(), fields, for: permission)
            #expect(code == (permission.isAskedOfNobody ? nil : .invalidAPIKey), "\(permission)")
        }
        // What does not exist is not told either.
        #expect(refusal(try tokens(), fields, for: nil) == .invalidAPIKey)
        #expect(refusal(try tokens(), ["authorization": "Bearer tok-viewer"], for: nil) == nil)
    }

    @Test("Only probes come without a token")
    func probes() {
        #expect(Permission.allCases.filter(\.isAskedOfNobody) == [.readHealth, .readReadiness])
    }

    @Test(
        "On this machine's own address a program is answered",
        arguments: [
            nil, "localhost", "LOCALHOST:8081", "localhost:8081", "127.0.0.1", "127.0.0.1:8081", "127.8.9.10:1",
            "[::1]",
            "[::1]:8081",
        ] as [String?]
    )
    func localHosts(host: String?) {
        let headers = HTTPHeaders(host.map { [("host", $0)] } ?? [])
        #expect(refusal(.thisMachine, headers, for: .readConfiguration) == nil)
    }

    @Test(
        "A name that somebody pointed to this machine is not",
        arguments: [
            "evil.example", "evil.example:8081", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.1evil",
            "127.1",
            "127.0.0.256", "128.0.0.1", "10.0.0.1:8081", "0.0.0.0", "", ":8081", "localhost:", "localhost:x", "[::1",
            "[::2]",
            "[::1]x", "[localhost]", "::1", "user@localhost", "localhost.",
        ]
    )
    func otherHosts(host: String) {
        #expect(refusal(.thisMachine, ["host": host], for: .readConfiguration) == .forbidden)
        #expect(refusal(.thisMachine, ["host": host], for: nil) == .forbidden)
        #expect(refusal(.thisMachine, ["host": host], for: .readHealth) == nil)
        // Where tokens are asked for, a proxy may call us what it likes; so it may where everybody is welcome.
        #expect(refusal(.everyone, ["host": host], for: .readConfiguration) == nil)
    }

    @Test(
        "A page of another site may not ask, even under our own name",
        arguments: [
            ("https://evil.example", false), ("null", false), ("", false), ("http://localhost.evil.example", false),
            ("http://localhost:3000", true), ("http://127.0.0.1:8081", true), ("https://[::1]", true),
            ("http://localhost/path", false),
        ]
    )
    func origins(origin: String, isAnswered: Bool) {
        let code = refusal(.thisMachine, ["host": "127.0.0.1:8081", "origin": origin], for: .invokeClassification)
        #expect(code == (isAnswered ? nil : .forbidden))
    }

    @Test(
        "Addresses that no other machine reaches",
        arguments: [
            ("127.0.0.1", true), ("127.255.0.1", true), ("::1", true), ("localhost", true), ("0.0.0.0", false),
            ("::", false),
            ("192.168.1.1", false), ("", false), ("example.com", false), ("::ffff:127.0.0.1", false),
        ]
    )
    func loopback(host: String, isOwn: Bool) {
        #expect(Loopback.isHost(host) == isOwn)
    }
}
