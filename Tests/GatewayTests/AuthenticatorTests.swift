import Credentials
import Gateway
import NIOCore
import NIOHTTP1
import OpenAIWire
import Testing

@Suite("Who asks")
struct AuthenticatorTests {
    private func authenticator(_ keys: [Authenticator.StoredKey]?, trusted: String? = nil) -> Authenticator {
        Authenticator(keys: keys) { $0.ipAddress == trusted }
    }

    private let client = try? SocketAddress(ipAddress: "192.0.2.1", port: 5000)
    private let hop = try? SocketAddress(ipAddress: "10.0.0.7", port: 5000)

    /// The key `sk-alpha`, hashed by `printf %s sk-alpha | sha256sum`.
    private func key() throws -> Authenticator.StoredKey {
        try #require(
            Authenticator.StoredKey(
                name: "team-a",
                sha256: "2179e632e89277f18aa600491b68ad55121fd6caa045e047fdeb426088a5a5f1",
                owner: Identity(tenant: "a", user: "ann", groups: ["admin"])
            )
        )
    }

    @Test("Without keys everybody is anonymous, whatever key is shown")
    func openDoor() throws {
        let identity = try authenticator(nil).identify(["authorization": "Bearer sk-other"], from: client)
        #expect(identity == .anonymous)
    }

    @Test(
        "A known key gives its owner's identity",
        arguments: [
            ("authorization", "Bearer sk-alpha"), ("Authorization", "bearer sk-alpha"), ("x-api-key", "sk-alpha"),
        ]
    )
    func knownKey(name: String, value: String) throws {
        let identity = try authenticator([key()]).identify([name: value], from: client)
        #expect(identity == Identity(tenant: "a", user: "ann", groups: ["admin"]))
    }

    @Test(
        "Everything else is turned away",
        arguments: [
            [:], ["authorization": ""], ["authorization": "Bearer"], ["authorization": "Bearer "],
            ["authorization": "Bearer sk-alph"], ["authorization": "Bearer sk-alphaa"], ["authorization": "sk-alpha"],
            ["authorization": "Basic sk-alpha"], ["x-api-key": ""], ["x-authz-user-id": "ann"],
        ] as [[String: String]]
    )
    func unknownKey(headers: [String: String]) throws {
        let authenticator = authenticator([try key()])
        let error = #expect(throws: RouterError.self) {
            _ = try authenticator.identify(HTTPHeaders(headers.map { ($0.key, $0.value) }), from: client)
        }
        #expect(error?.code == .invalidAPIKey)
    }

    @Test(
        "A hop that passes an empty or a doubled claim on has said nothing",
        arguments: [[("x-authz-user-id", "")], [("x-authz-user-id", "forged"), ("x-authz-user-id", "bob")]]
    )
    func doubtfulClaims(fields: [(String, String)]) throws {
        let authenticator = authenticator([try key()], trusted: "10.0.0.7")
        let error = #expect(throws: RouterError.self) {
            _ = try authenticator.identify(HTTPHeaders(fields), from: hop)
        }
        #expect(error?.code == .invalidAPIKey)
    }

    @Test("With an empty list of keys nobody is let in")
    func noKeys() throws {
        let authenticator = authenticator([])
        #expect(throws: RouterError.self) {
            _ = try authenticator.identify(["authorization": "Bearer sk-alpha"], from: client)
        }
    }

    @Test("A trusted hop's word is taken, with and without keys; a client's is not")
    func forwardedIdentity() throws {
        let headers: HTTPHeaders = [
            "x-authz-user-id": "bob", "x-authz-user-groups": "eng, ops", "x-authz-tenant-id": "t1",
        ]
        let expected = Identity(tenant: "t1", user: "bob", groups: ["eng", "ops"])
        #expect(try authenticator(nil, trusted: "10.0.0.7").identify(headers, from: hop) == expected)
        #expect(try authenticator([key()], trusted: "10.0.0.7").identify(headers, from: hop) == expected)
        #expect(try authenticator(nil, trusted: "10.0.0.7").identify(headers, from: client) == .anonymous)
        #expect(throws: RouterError.self) {
            _ = try authenticator([try key()], trusted: "10.0.0.7").identify(headers, from: client)
        }
    }

    @Test(
        "A hash that is none is no key",
        arguments: ["", "abc", String(repeating: "g", count: 64), String(repeating: "a", count: 66)]
    )
    func badHash(text: String) {
        #expect(Authenticator.StoredKey(name: "x", sha256: text, owner: .anonymous) == nil)
    }
}
