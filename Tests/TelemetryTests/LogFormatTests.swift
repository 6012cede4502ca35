import Logging
import Telemetry
import Testing

@Suite struct LogFormatTests {
    /// 2026-01-02T03:04:05.678Z.
    private let time: Int64 = 1_767_323_045_678_000_000

    private func line(_ format: LogFormat, _ message: String, _ metadata: Logger.Metadata = [:]) -> String {
        let bytes = format.line(time: time, level: .info, logger: "router.pool", message: message, metadata: metadata)
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test("A JSON record has the four keys first, then the metadata in order")
    func json() {
        let metadata: Logger.Metadata = [
            "worker": "w1", "attempt": .stringConvertible(2), "labels": ["b": "2", "a": ["x", "y"]],
        ]
        #expect(
            line(.json, "worker joined", metadata) == """
                {"timestamp":"2026-01-02T03:04:05.678Z","level":"INFO","logger":"router.pool","message":"worker joined",\
                "attempt":"2","labels":{"a":["x","y"],"b":"2"},"worker":"w1"}

                """
        )
    }

    @Test("A text record reads from left to right, with quotes only where a value needs them")
    func text() {
        #expect(
            line(.text, "worker joined", ["worker": "w1", "why": "it answered", "empty": "", "url": "http://a:1"])
                == "2026-01-02T03:04:05.678Z INFO  router.pool: worker joined empty=\"\" url=http://a:1 "
                + "why=\"it answered\" worker=w1\n"
        )
    }

    @Test("A record stays on one line whatever its parts hold", arguments: LogFormat.allCases)
    func oneLine(format: LogFormat) {
        let text = line(format, "a\nb\r\u{0}\"\\", ["k\ney": "v\nalue"])
        #expect(text.filter { $0.isNewline }.count == 1)
        #expect(text.hasSuffix("\n"))
        #expect(text.contains("a\\nb\\r\\u0000"))
        #expect(text.contains("v\\nalue"))
    }

    @Test("A JSON record escapes quotes and backslashes, and leaves other text as it is")
    func jsonEscapes() {
        #expect(line(.json, "\"\\ é 漢").contains(#""message":"\"\\ é 漢""#))
    }

    @Test("Metadata cannot shadow the record's own keys")
    func shadowing() {
        #expect(line(.json, "m", ["level": "x"]).contains(#""level":"INFO""#))
        #expect(line(.json, "m", ["level": "x"]).contains(#""metadata.level":"x""#))
    }

    @Test("Every level has its name", arguments: Logger.Level.allCases)
    func levels(level: Logger.Level) {
        let json = LogFormat.json.line(time: 0, level: level, logger: "l", message: "m", metadata: [:])
        #expect(String(decoding: json, as: UTF8.self).contains("\"level\":\"\(level.rawValue.uppercased())\""))
        let text = LogFormat.text.line(time: 0, level: level, logger: "l", message: "m", metadata: [:])
        let column = String(decoding: text, as: UTF8.self).dropFirst(25).prefix(6)
        #expect(column.hasSuffix(" ") && column.prefix(3) == level.rawValue.uppercased().prefix(3))
    }

    @Test("A value under a secret's name is not shown, nested or not", arguments: LogFormat.allCases)
    func secrets(format: LogFormat) {
        let text = line(
            format,
            "m",
            ["authorization": "Bearer sk-1", "headers": ["x-api-key": "sk-2", "accept": "*/*"], "keys": ["sk-shown"]]
        )
        #expect(!text.contains("sk-1") && !text.contains("sk-2"))
        #expect(text.contains("sk-shown") && text.contains("*/*"))
    }

    @Test(
        "Times are written in UTC, leap days and years before 1970 included",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (-1_000_000, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000Z"),
            (4_102_444_799_999_999_999, "2099-12-31T23:59:59.999Z"),
            (1_709_164_800_001_999_999, "2024-02-29T00:00:00.001Z"),
            (1_709_251_200_000_000_000, "2024-03-01T00:00:00.000Z"),
        ] as [(Int64, String)]
    )
    func times(nanoseconds: Int64, text: String) {
        #expect("\(UTCTime(nanoseconds: nanoseconds))" == text)
    }
}

@Suite struct RedactionTests {
    @Test(
        "Names of secrets are known by any spelling",
        arguments: [
            "Authorization", "PROXY-AUTHORIZATION", "cookie", "Set-Cookie", "x-api-key", "api-key", "apiKey",
            "openai_api_key",
            "X-Auth-Token", "access_token", "HF_TOKEN", "password", "client_secret", "aws-credentials", "token", "key",
        ]
    )
    func secret(name: String) {
        #expect(Redaction.isSecret(name))
    }

    @Test(
        "Ordinary names are shown",
        arguments: [
            "content-type", "x-request-id", "prompt_tokens", "max_token", "time_to_first_token", "x-monkey",
            "cache_key", "user",
            "", "-", "x-session-id", "tokenizer",
        ]
    )
    func ordinary(name: String) {
        #expect(!Redaction.isSecret(name))
    }

    @Test("Headers keep their order and lose only secret values")
    func headers() {
        let shown = Redaction.headers([(name: "Accept", value: "a"), (name: "Cookie", value: "c")])
        #expect(shown.map(\.name) == ["Accept", "Cookie"])
        #expect(shown.map(\.value) == ["a", "[redacted]"])
    }
}
