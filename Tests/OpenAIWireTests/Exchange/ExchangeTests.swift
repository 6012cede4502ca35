import NIOHTTP1
import OpenAIWire
import Testing

@Suite("Headers and errors")
struct ExchangeTests {
    @Test("A hop's own fields, and those that Connection names, do not travel; order and spelling of the rest stay")
    func hopByHop() {
        let headers: HTTPHeaders = [
            "Host": "a", "X-First": "1", "Connection": "close, X-Named", "x-named": "2", "Transfer-Encoding": "chunked",
            "TE": "trailers", "Keep-Alive": "5", "Upgrade": "h2c", "Expect": "100-continue", "Content-Length": "3",
            "Cookie": "c", "x-first": "3",
        ]
        let kept = HopByHop.forwardable(headers) { $0 == "host" }
        #expect(kept.map { "\($0.name)=\($0.value)" } == ["X-First=1", "Cookie=c", "x-first=3"])
    }

    @Test(
        "Identity and routing are reserved, wishes are not",
        arguments: [
            ("x-vsr-selected-model", true), ("x-vsr-anything", true), ("x-authz-user-id", true), ("x-authz-", true),
            ("x-selected-model", true), ("x-vsr-debug", false), ("x-vsr-cache-control", false), ("x-request-id", false),
            ("authorization", false), ("x-vsrx", false), ("", false),
        ]
    )
    func reserved(name: String, isReserved: Bool) {
        #expect(RoutingHeaders.isReserved(name) == isReserved)
    }

    @Test(
        "Every code has a status of its own kind and a body that OpenAI's clients read",
        arguments: RouterError.Code.allCases
    )
    func errors(code: RouterError.Code) throws {
        let error = RouterError(code, origin: .client, "a \"quoted\"\nmessage", parameter: "model", retryable: true)
        let response = ErrorResponder.respond(to: error)
        #expect((400..<600).contains(response.status.code))
        guard case .whole(let body) = response.body else {
            Issue.record("errors are whole")
            return
        }
        let object = try #require(try JSONDocument(body).root["error"])
        #expect(object["message"]?.string == error.message)
        #expect(object["code"]?.string == code.rawValue)
        #expect(object["param"]?.string == "model")
        #expect(object["type"]?.string?.isEmpty == false)
        #expect(response.headers.contains(name: "retry-after") == (response.status == .serviceUnavailable))
        #expect(response.headers.contains(name: "www-authenticate") == (code == .invalidAPIKey))
    }
}
