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

    /// 1: stands in where chance gives zero.
    static let fallback = TraceID(unchecked: 1)

    private init(unchecked low: UInt64) {
        high = 0
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

    /// 1: stands in where chance gives zero.
    static let fallback = SpanID(unchecked: 1)

    private init(unchecked value: UInt64) {
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

    /// Reads the headers' values; nil for a `traceparent` that is not as the specification has it, which then counts as
    /// absent. Of later versions the part that this one knows is read.
    ///
    /// - Parameter tracestate: several headers' values joined by commas.
    package init?(traceparent: String, tracestate: String? = nil) {
        var traceparent = traceparent
        guard let parsed = traceparent.withUTF8({ Self.parse($0) }) else { return nil }
        traceID = parsed.traceID
        spanID = parsed.spanID
        isSampled = parsed.isSampled
        state = tracestate.map(Self.passedOn) ?? ""
    }

    /// Reads the headers' fields, of which `tracestate` may be several; nil for a sender who says nothing that can be read.
    package init?(traceparent: String?, tracestates: [String]) {
        guard let traceparent else { return nil }
        let state = tracestates.isEmpty ? nil : tracestates.joined(separator: ",")
        self.init(traceparent: traceparent, tracestate: state)
    }

    /// The value of `traceparent`, version 00.
    package var traceparent: String {
        String(unsafeUninitializedCapacity: Self.length) { bytes in
            bytes[0] = UInt8(ascii: "0")
            bytes[1] = UInt8(ascii: "0")
            bytes[2] = Self.dash
            traceID.high.writeDigits(to: bytes, at: 3)
            traceID.low.writeDigits(to: bytes, at: 19)
            bytes[35] = Self.dash
            spanID.value.writeDigits(to: bytes, at: 36)
            bytes[52] = Self.dash
            bytes[53] = UInt8(ascii: "0")
            bytes[54] = UInt8(ascii: isSampled ? "1" : "0")
            return Self.length
        }
    }

    // MARK: traceparent

    /// Bytes of version 00: version, trace, span and flags, with dashes between.
    private static let length = 55
    private static let dash = UInt8(ascii: "-")

    private static func parse(
        _ bytes: UnsafeBufferPointer<UInt8>
    ) -> (traceID: TraceID, spanID: SpanID, isSampled: Bool)? {
        guard bytes.count >= length, bytes[2] == dash, bytes[35] == dash, bytes[52] == dash,
            let version = number(bytes, 0..<2), version != 0xFF,
            bytes.count == length || version > 0 && bytes[length] == dash,
            let high = number(bytes, 3..<19), let low = number(bytes, 19..<35),
            let traceID = TraceID(high: high, low: low),
            let span = number(bytes, 36..<52), let spanID = SpanID(span),
            let flags = number(bytes, 53..<55)
        else { return nil }
        return (traceID, spanID, flags & 1 == 1)
    }

    /// Lower-case hexadecimal digits, as the specification asks for; nil for anything else.
    private static func number(_ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) -> UInt64? {
        var value: UInt64 = 0
        for index in range {
            let digit = bytes[index]
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt64(digit - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt64(digit - UInt8(ascii: "a") + 10)
            default: return nil
            }
        }
        return value
    }

    // MARK: tracestate

    /// 512 characters: what the specification asks to pass on at least.
    private static let longestState = 512
    /// The specification's bound.
    private static let mostMembers = 32

    /// The state as it is passed on: of one that is too long the first members that fit, as the newest come first; of
    /// one that is no header's value, nothing.
    private static func passedOn(_ state: String) -> String {
        let bytes = state.utf8
        guard bytes.allSatisfy({ (0x20...0x7E).contains($0) || $0 == 0x09 }) else { return "" }
        guard bytes.count > longestState || bytes.lazy.filter({ $0 == UInt8(ascii: ",") }).count >= mostMembers else {
            return state
        }
        var kept = ""
        for member in state.split(separator: ",").prefix(mostMembers).map(\.withoutBlanksAround) {
            guard kept.utf8.count + member.utf8.count + 1 <= longestState else { break }
            kept += kept.isEmpty ? String(member) : "," + member
        }
        return kept
    }
}

extension Substring {
    fileprivate var withoutBlanksAround: Substring {
        var rest = self
        while rest.first == " " || rest.first == "\t" { rest.removeFirst() }
        while rest.last == " " || rest.last == "\t" { rest.removeLast() }
        return rest
    }
}

extension UInt64 {
    fileprivate var sixteenDigits: String {
        String(unsafeUninitializedCapacity: 16) { bytes in
            writeDigits(to: bytes, at: 0)
            return 16
        }
    }

    /// Writes 16 lower-case hexadecimal digits.
    fileprivate func writeDigits(to bytes: UnsafeMutableBufferPointer<UInt8>, at start: Int) {
        for place in 0..<16 {
            let digit = UInt8(truncatingIfNeeded: self >> UInt64(60 - 4 * place)) & 0xF
            bytes[start + place] = digit < 10 ? 0x30 + digit : 0x57 + digit
        }
    }
}
