import ConfigKit
import TestRandom
import Testing

@Suite struct UnitTests {
    /// The value that `text` gives, or the reason why it gives none ("" when there is nothing to say).
    private func parse<Value: ScalarConfigValue>(
        _ type: Value.Type,
        _ text: String,
        unit: TimeUnit = .seconds
    ) -> (value: Value?, reason: String?) {
        do throws(ScalarMistake) {
            return (try Value.parse(text, traits: FieldTraits(unit: unit)), nil)
        } catch {
            return (nil, error.reason ?? "")
        }
    }

    @Test(
        "Durations are read in every unit",
        arguments: [
            ("250ms", Duration.milliseconds(250)), ("10s", .seconds(10)), ("5m", .seconds(300)), ("2h", .seconds(7200)),
            ("1d", .seconds(86_400)), ("1h30m", .seconds(5400)), ("1.5s", .milliseconds(1500)), ("0", .zero),
            ("7", .seconds(7)), ("0.25", .milliseconds(250)), ("15us", .microseconds(15)),
            ("15\u{B5}s", .microseconds(15)),
            ("9ns", .nanoseconds(9)), ("106751d", .seconds(9_223_286_400)), ("0.1ms", .microseconds(100)),
        ]
    )
    func durations(text: String, duration: Duration) {
        #expect(parse(Duration.self, text).value == duration)
    }

    @Test(
        "What is no duration says why",
        arguments: [
            ("", ""), ("s", ""), ("5x", ""), ("5 s", ""), ("1h-3m", ""), ("-5s", "it cannot be negative"),
            ("-1", "it cannot be negative"), ("1e30", "it is longer than 292 years"),
            ("200000d", "it is longer than 292 years"),
            ("106751d106751d", "it is longer than 292 years"), ("..s", ""), ("nan", ""), ("inf", ""),
        ]
    )
    func noDurations(text: String, reason: String) {
        #expect(parse(Duration.self, text).reason == reason)
    }

    @Test("A bare number counts the field's unit")
    func bareNumbers() {
        #expect(parse(Duration.self, "250", unit: .milliseconds).value == .milliseconds(250))
        #expect(parse(Duration.self, "2", unit: .hours).value == .seconds(7200))
        #expect(parse(Duration.self, "2s", unit: .hours).value == .seconds(2))
    }

    @Test("Durations and sizes are written so that they are read back")
    func roundTrips() {
        var random = SeededRandom.fromEnvironment()
        for _ in 0..<2_000 {
            let bits = Int.random(in: 0...62, using: &random)
            let number = Int.random(in: 0...(1 << bits), using: &random)
            let duration = Duration.nanoseconds(number)
            #expect(parse(Duration.self, duration.configText).value == duration, "\(duration.configText)")
            let size = ByteCount(number)
            #expect(parse(ByteCount.self, size.configText).value == size, "\(size.configText)")
        }
        #expect(Duration.seconds(5400).configText == "1h30m")
        #expect(Duration.milliseconds(1250).configText == "1s250ms")
        #expect(Duration.zero.configText == "0s")
        #expect(ByteCount(0).configText == "0B")
        #expect(ByteCount(50_000_000).configText == "50MB")
    }

    @Test(
        "Sizes are read in decimal and binary units",
        arguments: [
            ("50MB", 50_000_000), ("64KiB", 65_536), ("4096", 4096), ("1.5GiB", 1_610_612_736), ("2 kb", 2000),
            ("64Ki", 65_536), ("50M", 50_000_000), ("12B", 12), ("1TiB", 1 << 40), ("1_000", 1000),
        ]
    )
    func sizes(text: String, bytes: Int) {
        #expect(parse(ByteCount.self, text).value?.bytes == bytes)
    }

    @Test(
        "What is no size says why",
        arguments: [
            ("", ""), ("MB", ""), ("5XB", ""), ("-5MB", "it cannot be negative"),
            ("1.5", "there are no parts of bytes"),
            ("99999999999TB", "it needs more than 64 bits"), ("5 MB x", ""), ("1e400MB", ""),
        ]
    )
    func noSizes(text: String, reason: String) {
        #expect(parse(ByteCount.self, text).reason == reason)
    }

    @Test("Ratios lie from 0 to 1")
    func ratios() {
        #expect(parse(Ratio.self, "0.7").value == 0.7)
        #expect(parse(Ratio.self, "70%").value?.value == 0.7)
        #expect(parse(Ratio.self, "1").value == 1.0)
        #expect(parse(Ratio.self, "1.01").reason == "it is out of range")
        #expect(parse(Ratio.self, "-1%").reason == "it is out of range")
        #expect(parse(Ratio.self, "NaN").reason == "")
        for outside in [-0.1, 1.1, .nan, .infinity] {
            #expect(Ratio(outside) == nil)
        }
    }

    @Test(
        "Numbers are decimal, or say their base",
        arguments: [("12", 12), ("-3", -3), ("+4", 4), ("1_000", 1000), ("0x1f", 31), ("0o17", 15), ("0b101", 5)]
    )
    func integers(text: String, number: Int) {
        #expect(parse(Int.self, text).value == number)
    }

    @Test(
        "What is no number is refused",
        arguments: ["", "-", "_1", "1_", "1.0", "--1", "+-1", "0x", "1e3", "٣", "0x-1"]
    )
    func noIntegers(text: String) {
        #expect(parse(Int.self, text).value == nil)
    }

    @Test("A number beyond 64 bits says so")
    func overflow() {
        #expect(parse(Int.self, "9223372036854775808").reason == "it needs more than 64 bits")
        #expect(parse(Double.self, "1e999").value == nil)
        #expect(parse(Double.self, "0x1p3").value == nil)
        #expect(parse(Port.self, "65536").value == nil)
        #expect(parse(Port.self, "+1").value == nil)
    }

    @Test(
        "Service addresses may have container names and IPv6",
        arguments: [
            ("http://vllm:8000", "http://vllm:8000"), ("http://[::1]:8000", "http://[::1]:8000"),
            ("https://API.example.com/v1/", "https://api.example.com/v1"), ("http://10.0.0.1", "http://10.0.0.1"),
            ("http://svc.ns.svc.cluster.local.:80/", "http://svc.ns.svc.cluster.local."),
            ("HTTP://my_service:9", "http://my_service:9"), ("http://[2001:DB8:0:0::1]", "http://[2001:db8::1]"),
        ]
    )
    func serviceURLs(text: String, canonical: String) {
        #expect(parse(ServiceURL.self, text).value?.description == canonical)
    }

    @Test(
        "What is no service address says why",
        arguments: [
            ("vllm:8000", "it starts with neither http:// nor https://"), ("ftp://a", "only http and https are known"),
            ("http://", "the host is missing"), ("http://:80", "the host is missing"),
            ("http://a:0", "the port must be from 1 to 65535"), ("http://a:70000", "the port must be from 1 to 65535"),
            ("http://a:", "the port must be from 1 to 65535"),
            ("http://::1:80", "an IPv6 address stands in brackets, as in [::1]:8000"),
            ("http://[::1", "\"[\" is not closed"), ("http://[vllm]:80", "only an IPv6 address stands in brackets"),
            ("http://a b", "\"a b\" is not a host name"), ("http://300.1.1.1", "\"300.1.1.1\" is not a host name"),
            ("http://a..b", "\"a..b\" is not a host name"), ("http://u:p@a", "it may not hold a user or a password"),
            ("http://a?x=1", "it may not have a query or a fragment"), ("http://-a", "\"-a\" is not a host name"),
            ("http://a/b c", "its path holds a character that must be percent-encoded"),
        ]
    )
    func noServiceURLs(text: String, reason: String) {
        #expect(parse(ServiceURL.self, text).reason == reason)
    }

    @Test("A password in an address is not repeated in the message")
    func credentialsStayHidden() {
        let result = ModelSettings.parse("name: a\naddress: http://u:hunter2@a", options: options())
        #expect(
            result.messages == [
                "settings.yaml:2:10: address: expected a URL such as http://vllm:8000, "
                    + "found the text \"http://***@a\": it may not hold a user or a password"
            ]
        )
    }

    @Test("Hosts and ports are read and written back", arguments: ["vllm:8000", "[::1]:50051", "0.0.0.0:80"])
    func hostPorts(text: String) {
        #expect(parse(HostPort.self, text).value?.description == text)
    }

    @Test("A mapped IPv4 address is written as IPv4")
    func mappedHost() {
        #expect(parse(HostPort.self, "[::ffff:10.0.0.1]:80").value?.description == "10.0.0.1:80")
    }

    @Test(
        "A block contains its addresses and no others",
        arguments: [
            ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true), ("192.168.4.0/22", "192.168.7.255", true),
            ("192.168.4.0/22", "192.168.8.0", false), ("0.0.0.0/0", "1.2.3.4", true), ("0.0.0.0/0", "::1", false),
            ("::/0", "::1", true), ("::/0", "1.2.3.4", false), ("fd00::/9", "fd7f::1", true),
            ("fd00::/9", "fd80::1", false),
            ("127.0.0.1", "127.0.0.1", true), ("127.0.0.1", "127.0.0.2", false), ("::1/128", "::1", true),
        ]
    )
    func blocks(block: String, address: String, isInside: Bool) throws {
        let block = try CIDRBlock(block)
        let address = try #require(IPAddress(address))
        #expect(block.contains(address) == isInside)
    }

    @Test(
        "What is no block says why",
        arguments: [
            ("10.0.0.1/8", "the block is written 10.0.0.0/8"), ("10.0.0.0/33", "its prefix must be from 0 to 32 bits"),
            ("::/129", "its prefix must be from 0 to 128 bits"), ("10.0.0.0/", ""), ("10.0.0/8", ""), ("a/8", ""),
            ("::ffff:10.0.0.0/64", "its prefix must be from 0 to 32 bits"), ("10.0.0.0/-1", ""), ("", ""),
        ]
    )
    func noBlocks(text: String, reason: String) {
        #expect(parse(CIDRBlock.self, text).reason == reason)
    }
}
