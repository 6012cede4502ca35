import GRPCTransport
import HTTPTransport
import NIOCore
import NIOHTTP1
import OTLPAPI
import SwiftProtobuf

/// What became of one attempt to export a batch (https://opentelemetry.io/docs/specs/otlp/#failures).
package enum ExportOutcome: Hashable, Sendable {
    /// The collector has the batch, but for so many spans. A message without rejected spans is a warning.
    case accepted(rejected: Int, message: String)
    /// It may be tried again, not before the time where one is given.
    case failed(String, retryAfter: Duration?)
    /// The collector will not have it, now or later.
    case refused(String)
    /// It is larger than the collector takes.
    case tooLarge(String)
}

extension ExportOutcome {
    // MARK: gRPC

    static func grpc(_ result: Result<ByteBuffer, GRPCStatus>) -> ExportOutcome {
        switch result {
        case .success(let answer):
            return response(answer)
        case .failure(let status):
            let reason = "\(status.code)" + (status.message.isEmpty ? "" : ": \(status.message.prefix(longestMessage))")
            let delay = retryDelay(status)
            switch status.code {
            case .cancelled, .deadlineExceeded, .aborted, .outOfRange, .unavailable, .dataLoss:
                return .failed(reason, retryAfter: delay)
            case .resourceExhausted:
                // Only a server that says when means that it may be tried again. Servers complain of large messages under
                // the same code, in grpc's words: "received message larger than max".
                if let delay { return .failed(reason, retryAfter: delay) }
                return status.message.contains("larger than") ? .tooLarge(reason) : .refused(reason)
            default:
                return .refused(reason)
            }
        }
    }

    /// What `google.rpc.RetryInfo` asks for.
    private static func retryDelay(_ status: GRPCStatus) -> Duration? {
        guard !status.details.isEmpty, let details = try? RPCStatus(serializedBytes: status.details) else { return nil }
        for detail in details.details where detail.typeURL.hasSuffix("/google.rpc.RetryInfo") {
            guard let info = try? RPCRetryInfo(serializedBytes: detail.value) else { continue }
            return .seconds(max(0, info.retryDelay.seconds)) + .nanoseconds(Int64(max(0, info.retryDelay.nanos)))
        }
        return nil
    }

    // MARK: HTTP

    static func http(_ answer: FetchedResponse) -> ExportOutcome {
        switch answer.status.code {
        case 200..<300:
            return response(answer.body)
        case 429, 502, 503, 504:
            // A date is not read: the back-off holds then.
            let seconds = answer.headers.first(name: "retry-after").flatMap { Int($0) }
            let delay = seconds.flatMap { $0 >= 0 ? Duration.seconds(min($0, 86_400)) : nil }
            return .failed(reason(answer), retryAfter: delay)
        case 413:
            return .tooLarge(reason(answer))
        default:
            return .refused(reason(answer))
        }
    }

    private static func reason(_ answer: FetchedResponse) -> String {
        let status = "HTTP \(answer.status.code)"
        let isMessage = answer.headers.first(name: "content-type")?.hasPrefix("application/x-protobuf") == true
        guard isMessage, let error = try? RPCStatus(serializedBytes: Array(answer.body.readableBytesView)),
            !error.message.isEmpty
        else { return status }
        return "\(status): \(error.message.prefix(longestMessage))"
    }

    // MARK: Both

    /// 200 characters of a collector's sentence are kept.
    private static let longestMessage = 200

    private static func response(_ answer: ByteBuffer) -> ExportOutcome {
        // What cannot be read says no less: the collector has the batch.
        let bytes = Array(answer.readableBytesView)
        guard let response = try? OTLPExportTraceServiceResponse(serializedBytes: bytes),
            response.hasPartialSuccess
        else { return .accepted(rejected: 0, message: "") }
        let partial = response.partialSuccess
        return .accepted(
            rejected: Int(clamping: max(0, partial.rejectedSpans)),
            message: String(partial.errorMessage.prefix(longestMessage))
        )
    }
}
