package import NIOCore

/// Makes our settings hold from the first frame of a client's, not from its acknowledgement.
///
/// A client may open as many streams as it likes before it has heard of our limit (RFC 9113, section 6.5.2), and an Envoy
/// whose requests have waited for us does: hundreds with its first bytes. NIO's handler allows 100 until the client has
/// acknowledged our settings, and ends the connection with all its calls at the next. So it is given the acknowledgement
/// after the client's own settings, and the client's is left out. None of our settings is stricter than what the handler
/// begins with, provided that a connection may have 100 calls: nothing is held against a client before it can know.
package struct EarlyAcknowledgement {
    private enum Expected {
        case preface(missing: Int)
        case header
        /// The rest of a frame; whether the acknowledgement goes behind it.
        case payload(missing: Int, isFirst: Bool)
    }

    /// `PRI * HTTP/2.0`, two line ends, `SM`, two line ends.
    private static let prefaceBytes = 24
    private static let headerBytes = 9
    private static let settingsType: UInt8 = 4
    private static let ackFlag: UInt8 = 1
    private static let acknowledgement = ByteBuffer(bytes: [0, 0, 0, settingsType, ackFlag, 0, 0, 0, 0])

    private var expected = Expected.preface(missing: prefaceBytes)
    /// The beginning of a frame's header.
    private var partialHeader = ByteBuffer()
    private var isFirstFrame = true
    /// Whether the client's acknowledgement has been left out: nothing is left to do.
    package private(set) var isDone = false

    package init() {}

    /// What NIO's handler gets to see of `bytes`.
    package mutating func pass(_ bytes: ByteBuffer) -> ByteBuffer {
        guard !isDone else { return bytes }
        var rest = bytes
        var passed = ByteBuffer()
        passed.reserveCapacity(bytes.readableBytes + 2 * Self.headerBytes)
        while rest.readableBytes > 0, !isDone {
            switch expected {
            case .preface(let missing):
                let missing = missing - Self.move(missing, from: &rest, to: &passed)
                expected = missing > 0 ? .preface(missing: missing) : .header
            case .header:
                Self.move(Self.headerBytes - partialHeader.readableBytes, from: &rest, to: &partialHeader)
                if partialHeader.readableBytes == Self.headerBytes { beginFrame(&passed) }
            case .payload(let missing, let isFirst):
                let missing = missing - Self.move(missing, from: &rest, to: &passed)
                if missing > 0 {
                    expected = .payload(missing: missing, isFirst: isFirst)
                } else {
                    endFrame(isFirst: isFirst, &passed)
                }
            }
        }
        passed.writeImmutableBuffer(rest)
        return passed
    }

    private mutating func beginFrame(_ passed: inout ByteBuffer) {
        let header = partialHeader
        partialHeader.clear()
        if header == Self.acknowledgement, !isFirstFrame {
            isDone = true
            return
        }
        passed.writeImmutableBuffer(header)
        // Three bytes of length, one of type: read as one number.
        let lengthAndType = header.getInteger(at: header.readerIndex, as: UInt32.self) ?? 0
        let flags = header.getInteger(at: header.readerIndex + 4, as: UInt8.self) ?? 0
        let isSettings = UInt8(truncatingIfNeeded: lengthAndType) == Self.settingsType && flags & Self.ackFlag == 0
        let length = Int(lengthAndType >> 8)
        let isFirst = isFirstFrame && isSettings
        isFirstFrame = false
        if length > 0 {
            expected = .payload(missing: length, isFirst: isFirst)
        } else {
            endFrame(isFirst: isFirst, &passed)
        }
    }

    private mutating func endFrame(isFirst: Bool, _ passed: inout ByteBuffer) {
        if isFirst { passed.writeImmutableBuffer(Self.acknowledgement) }
        expected = .header
    }

    /// Moves up to `count` bytes; returns how many.
    @discardableResult
    private static func move(_ count: Int, from source: inout ByteBuffer, to target: inout ByteBuffer) -> Int {
        guard var part = source.readSlice(length: min(count, source.readableBytes)) else { return 0 }
        return target.writeBuffer(&part)
    }
}

/// Applies an `EarlyAcknowledgement` to a connection's first bytes, and leaves.
final class EarlyAcknowledgementHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private var acknowledgement = EarlyAcknowledgement()

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let passed = acknowledgement.pass(unwrapInboundIn(data))
        context.fireChannelRead(wrapInboundOut(passed))
        if acknowledgement.isDone { context.pipeline.syncOperations.removeHandler(self, promise: nil) }
    }
}
