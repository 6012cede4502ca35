import NIOHPACK
import NIOHTTP2

/// How a status is read from what a server sent
/// (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, .../http-grpc-status-mapping.md).
extension GRPCStatus {
    /// Nil where there is none.
    init?(trailers: HPACKHeaders) {
        guard let text = trailers.first(name: "grpc-status") else { return nil }
        self.init(
            Int(text).flatMap(Code.init) ?? .unknown,
            trailers.first(name: "grpc-message").map(Self.decodedMessage) ?? "",
            details: trailers.first(name: "grpc-status-details-bin").flatMap { Base64.decoded($0) } ?? []
        )
    }

    /// For an answer that is not gRPC's, such as a proxy's.
    init(httpStatus: String) {
        let code: Code =
            switch httpStatus {
            case "400": .internal
            case "401": .unauthenticated
            case "403": .permissionDenied
            case "404": .unimplemented
            case "429", "502", "503", "504": .unavailable
            default: .unknown
            }
        self.init(code, "the answer is not gRPC's; its HTTP status is \(httpStatus.prefix(3))")
    }

    /// For a stream that the server reset.
    init(reset code: HTTP2ErrorCode) {
        switch code {
        case .refusedStream: self.init(.unavailable, "the server refused the stream")
        case .cancel: self.init(.cancelled, "the server cancelled the stream")
        case .enhanceYourCalm: self.init(.resourceExhausted, "the server asks for fewer calls")
        case .inadequateSecurity: self.init(.permissionDenied, "the server asks for better TLS")
        default: self.init(.internal, "the server reset the stream: \(code)")
        }
    }

    /// 1 KiB: what is kept of a server's sentence.
    private static let longestMessage = 1024

    /// The reverse of `grpcMessage`; what is not percent-encoded well is left as it is.
    private static func decodedMessage(_ text: String) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8.prefix(longestMessage)
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let code = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(code)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Binary headers' text (RFC 4648 section 4, with or without padding).
enum Base64 {
    /// Nil for what is not Base64.
    static func decoded(_ text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count * 3 / 4)
        var bits: UInt32 = 0
        var count = 0
        var digits = text.utf8[...]
        while digits.last == UInt8(ascii: "=") { digits = digits.dropLast() }
        for digit in digits {
            guard let value = value(of: digit) else { return nil }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return count == 6 ? nil : bytes
    }

    private static func value(of digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): digit - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): digit - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
