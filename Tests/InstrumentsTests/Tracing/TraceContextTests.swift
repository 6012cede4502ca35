import Instruments
import Testing

@Suite("W3C Trace Context")
struct TraceContextTests {
    private static let trace = "0af7651916cd43dd8448eb211c80319c"
    private static let span = "b7ad6b7169203331"

    @Test(
        "The specification's examples are read and written back",
        arguments: [
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
        ]
    )
    func examples(header: String) throws {
        let context = try #require(TraceContext(traceparent: header))
        #expect(context.traceparent == header)
        #expect(context.isSampled == header.hasSuffix("1"))
        #expect(context.traceID.text == header.split(separator: "-")[1])
        #expect(context.spanID.text == header.split(separator: "-")[2])
        #expect(context.state.isEmpty)
    }

    @Test(
        "What is not as the specification has it counts as absent",
        arguments: [
            "",
            "00",
            "00-\(trace)-\(span)",
            "00-\(trace)-\(span)-",
            "00-\(trace)-\(span)-1",
            "00-\(trace)-\(span)-011",
            "00-\(trace)-\(span)-01-",
            "00-\(trace)-\(span)-01-more",
            "00-\(trace)-\(span)-01 ",
            " 00-\(trace)-\(span)-01",
            "ff-\(trace)-\(span)-01",
            "0-\(trace)-\(span)-01",
            "0g-\(trace)-\(span)-01",
            "01-\(trace)-\(span)-01more",
            "01-\(trace)-\(span)-01.more",
            "00_\(trace)_\(span)_01",
            "00-\(trace)-\(span)-0g",
            "00-00000000000000000000000000000000-\(span)-01",
            "00-\(trace)-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-\(span)-01",
            "00-\(trace)-B7AD6B7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-\(span)-011",
            "00-0af7651916cd43dd8448eb211c8031é-\(span)-1",
            "00-+af7651916cd43dd8448eb211c80319c-\(span)-01",
        ]
    )
    func malformed(header: String) {
        #expect(TraceContext(traceparent: header, tracestate: "a=b") == nil)
    }

    @Test(
        "Of a later version the known part is read",
        arguments: [
            "01-\(trace)-\(span)-01", "cc-\(trace)-\(span)-01-what-the-future-will-be-like", "fe-\(trace)-\(span)-01-",
        ]
    )
    func laterVersion(header: String) throws {
        let context = try #require(TraceContext(traceparent: header))
        #expect(context.traceparent == "00-\(Self.trace)-\(Self.span)-01")
    }

    @Test(
        "Only the lowest flag says that the sender records",
        arguments: [("02", false), ("03", true), ("fe", false), ("ff", true)]
    )
    func flags(flags: String, isSampled: Bool) throws {
        let context = try #require(TraceContext(traceparent: "00-\(Self.trace)-\(Self.span)-\(flags)"))
        #expect(context.isSampled == isSampled)
        #expect(context.traceparent.hasSuffix(isSampled ? "-01" : "-00"))
    }

    private func state(of tracestate: String?) -> String? {
        TraceContext(traceparent: "00-\(Self.trace)-\(Self.span)-01", tracestate: tracestate)?.state
    }

    @Test(
        "A tracestate is passed on as it came",
        arguments: ["congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "a=1, b=2 ,\tc=3", "", ",,"]
    )
    func statePasses(text: String) {
        #expect(state(of: text) == text)
    }

    @Test(
        "A tracestate that is no header's value is dropped",
        arguments: ["a=1\r\nx: y", "a=\u{0}", "a=é", "a=\u{7F}"]
    )
    func badState(text: String) {
        #expect(state(of: text)?.isEmpty == true)
    }

    @Test("Of a tracestate that is too long the first members that fit are kept")
    func longState() {
        let member = "vendor=" + String(repeating: "x", count: 93)  // 100 characters
        let five = Array(repeating: member, count: 5).joined(separator: ",")  // 504
        #expect(state(of: five) == five)
        #expect(state(of: five + "," + member) == five)
        #expect(state(of: five + ",a=12345") == five + ",a=12345")  // 512
        #expect(state(of: five + ",a=123456") == five)
        #expect(state(of: String(repeating: "x", count: 513))?.isEmpty == true)
    }

    @Test("At most 32 members of a tracestate are kept")
    func manyMembers() {
        let members = (0..<40).map { "k\($0)=v" }
        let most = members.prefix(32).joined(separator: ",")
        #expect(state(of: most) == most)
        #expect(state(of: members.joined(separator: ",")) == most)
    }

    @Test("Ids are never zero, and are written with all their digits")
    func ids() {
        #expect(TraceID(high: 0, low: 0) == nil)
        #expect(SpanID(0) == nil)
        #expect(TraceID(high: 0, low: 1)?.text == "00000000000000000000000000000001")
        #expect(SpanID(0xAB)?.text == "00000000000000ab")
        #expect(SpanID(.max)?.text == "ffffffffffffffff")
    }
}
