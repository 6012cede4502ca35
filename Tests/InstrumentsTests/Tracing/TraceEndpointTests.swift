import Instruments
import Testing

@Suite("Trace endpoints") struct TraceEndpointTests {
    @Test(
        "An address says what its scheme says, and leaves the rest open",
        arguments: [
            ("otel", TraceEndpoint(host: "otel")),
            ("otel:4317", TraceEndpoint(host: "otel", port: 4317)),
            ("http://otel", TraceEndpoint(host: "otel", port: 80)),
            ("https://otel/a/b", TraceEndpoint(host: "otel", port: 443, isTLS: true, path: "/a/b")),
            ("grpc://otel", TraceEndpoint(host: "otel", transport: .grpc)),
            ("grpc://otel:9/", TraceEndpoint(host: "otel", port: 9, transport: .grpc)),
            ("grpc://[::1]:4317", TraceEndpoint(host: "::1", port: 4317, transport: .grpc)),
            ("grpcs://otel:4317", TraceEndpoint(host: "otel", port: 4317, isTLS: true, transport: .grpc)),
            ("grpc:4317", TraceEndpoint(host: "grpc", port: 4317)),
        ]
    )
    func reading(text: String, expected: TraceEndpoint) {
        #expect(TraceEndpoint(text, isTLS: false) == expected)
    }

    @Test("TLS is as the scheme says; without one as it is asked for")
    func tls() {
        #expect(TraceEndpoint("otel:1", isTLS: true)?.isTLS == true)
        #expect(TraceEndpoint("grpc://otel:1", isTLS: true)?.isTLS == false)
        #expect(TraceEndpoint("grpcs://otel:1", isTLS: false)?.isTLS == true)
    }

    @Test(
        "What is no address is none",
        arguments: ["grpc://", "grpc://otel/path", "grpcs://:1", "GRPC://otel", "grpc://otel:0", "unix:///x"]
    )
    func none(text: String) {
        #expect(TraceEndpoint(text, isTLS: false) == nil)
    }
}
