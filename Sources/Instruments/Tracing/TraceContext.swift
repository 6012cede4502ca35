/// Which request, across all processes that it goes through (W3C Trace Context): 16 bytes, not all zero.
package struct TraceID: Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64

    /// Nil for zero, which names no trace.
    package init?(high: UInt64, low: UInt64) {
        guard high != 0 || low != 0 else { return nil }
        self.high = high
        self.low = low
    }

    /// 32 hexadecimal digits.
    package var text: String { high.sixteenDigits + low.sixteenDigits }
}

/// Which span of a trace: 8 bytes, not zero.
package struct SpanID: Hashable, Sendable {
    package let value: UInt64

    /// Nil for zero, which names no span.
    package init?(_ value: UInt64) {
        guard value != 0 else { return nil }
        self.value = value
    }

    /// 16 hexadecimal digits.
    package var text: String { value.sixteenDigits }
}

/// What one process tells the next about the trace that a request belongs to
/// (W3C Trace Context, https://www.w3.org/TR/trace-context/): the headers `traceparent` and `tracestate`.
package struct TraceContext: Hashable, Sendable {
    package static let parentHeader = "traceparent"
    package static let stateHeader = "tracestate"

    package var traceID: TraceID
    /// The span of whoever sends the request.
    package var spanID: SpanID
    /// Whether the sender records the trace.
    package var isSampled: Bool
    /// Vendors' own words, passed on as they came; empty for none.
    package var state: String

    package init(traceID: TraceID, spanID: SpanID, isSampled: Bool, state: String = "") {
        self.traceID = traceID
        self.spanID = spanID
        self.isSampled = isSampled
        self.state = state
    }

    /// 512 characters: what the specification asks to pass on at least. A longer state is dropped as a whole.
    private static let longestState = 512

    /// Reads the headers' values; nil for a `traceparent` that is not as the specification has it, which then counts as
    /// absent. Of later versions the part that this one knows is read.
    package init?(traceparent: String, tracestate: String? = nil) {
        let bytes = Array(traceparent.utf8)
        guard bytes.count >= 55, bytes[2] == Self.dash, bytes[35] == Self.dash, bytes[52] == Self.dash,
            let version = Self.number(bytes[0..<2]), version != 0xFF,
            version == 0 ? bytes.count == 55 : bytes.count == 55 || bytes[55] == Self.dash,
            let high = Self.number(bytes[3..<19]), let low = Self.number(bytes[19..<35]),
            let traceID = TraceID(high: high, low: low),
            let spanID = Self.number(bytes[36..<52]).flatMap({ SpanID($0) }),
            let flags = Self.number(bytes[53..<55])
        else { return nil }
        self.traceID = traceID
        self.spanID = spanID
        isSampled = flags & 1 == 1
        let state = tracestate ?? ""
        self.state = state.utf8.count <= Self.longestState ? state : ""
    }

    /// The value of `traceparent`, version 00.
    package var traceparent: String { "00-\(traceID.text)-\(spanID.text)-0\(isSampled ? 1 : 0)" }

    private static let dash = UInt8(ascii: "-")

    /// Lower-case hexadecimal digits, as the specification asks for; nil for anything else.
    private static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for digit in digits {
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt64(digit - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt64(digit - UInt8(ascii: "a") + 10)
            default: return nil
            }
        }
        return value
    }
}

extension UInt64 {
    fileprivate var sixteenDigits: String {
        String(unsafeUninitializedCapacity: 16) { bytes in
            for place in 0..<16 {
                let digit = UInt8(truncatingIfNeeded: self >> UInt64(60 - 4 * place)) & 0xF
                bytes[place] = digit < 10 ? 0x30 + digit : 0x57 + digit
            }
            return 16
        }
    }
}
