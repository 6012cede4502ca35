/// How a call ended: gRPC's status and a sentence for people.
package struct GRPCStatus: Error, Hashable, Sendable {
    /// gRPC's codes (https://grpc.io/docs/guides/status-codes/).
    package enum Code: Int, Sendable, CaseIterable {
        case ok = 0
        case cancelled = 1
        case unknown = 2
        case invalidArgument = 3
        case deadlineExceeded = 4
        case notFound = 5
        case alreadyExists = 6
        case permissionDenied = 7
        case resourceExhausted = 8
        case failedPrecondition = 9
        case aborted = 10
        case outOfRange = 11
        case unimplemented = 12
        case `internal` = 13
        case unavailable = 14
        case dataLoss = 15
        case unauthenticated = 16
    }

    package let code: Code
    /// Never holds what a request said.
    package let message: String
    /// What a server says beyond that: a `google.rpc.Status`, encoded; empty for nothing.
    package let details: [UInt8]

    package init(_ code: Code, _ message: String = "", details: [UInt8] = []) {
        self.code = code
        self.message = message
        self.details = details
    }

    package static let ok = GRPCStatus(.ok)
}

extension String {
    /// Percent-encoded as `grpc-message` asks for: everything but printable ASCII, and `%` itself.
    package var grpcMessage: String {
        var encoded = ""
        encoded.reserveCapacity(utf8.count)
        for byte in utf8 {
            if (0x20...0x7E).contains(byte), byte != UInt8(ascii: "%") {
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                encoded += "%" + (digits.count == 1 ? "0" : "") + digits
            }
        }
        return encoded
    }
}
