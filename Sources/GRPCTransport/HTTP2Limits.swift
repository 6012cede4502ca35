import NIOCore
import NIOHTTP2

/// What a server accepts of HTTP/2 from a peer, beyond which it ends the connection.
enum HTTP2Limits {
    /// Envoy resets every ExtProc stream when it is done with it, 10,000 a second and more, and a thousand at once when
    /// its own client goes. NIO's guard against rapid resets takes 200 in 30 seconds for an attack. A reset costs us
    /// little, a call's work is done before the reset can be read: hence a rate that no peer reaches. NIO sets eight
    /// bytes aside for each event of the count.
    private static let resetCount = 1000
    private static let resetWindow = TimeAmount.microseconds(1)

    /// Errors of single streams over a connection's whole life. Each costs a reset, and those that cannot be sent are
    /// bounded; a connection of Envoy's lives for weeks.
    private static let glitchCount = Int.max

    /// Streams that we have reset, on which the peer may still be sending: data on one that has been forgotten would end
    /// the connection. Four bytes each.
    private static let rememberedResets = 1024

    /// Pings and settings: a peer that measures its bandwidth pings up to once in a round trip.
    private static let controlCount = 2000
    private static let controlWindow = TimeAmount.seconds(1)

    /// Data frames without data since the last beginning or end of any stream. Clients have no use for them, but some
    /// send one to flush; two on a quiet connection are no attack yet.
    private static let emptyFrames = 100

    /// Frames other than data that wait for a client to read: the head and the end of each call's answer, and as many
    /// acknowledgements again.
    private static let waitingFramesPerStream = 4

    /// HPACK's own limit on a head: 16 KiB, gRPC's convention.
    private static let headBytes = 16 * 1024

    /// What a stream may send before it is told to go on: one message of the usual size never waits.
    static let streamWindow = 1 << 20
    /// The same for all streams of a connection together.
    static let connectionWindow = 16 << 20

    static func connection(maxStreams: Int) -> NIOHTTP2Handler.ConnectionConfiguration {
        var configuration = NIOHTTP2Handler.ConnectionConfiguration()
        configuration.initialSettings = [
            HTTP2Setting(parameter: .maxConcurrentStreams, value: maxStreams),
            HTTP2Setting(parameter: .initialWindowSize, value: streamWindow),
            HTTP2Setting(parameter: .maxHeaderListSize, value: headBytes),
        ]
        configuration.maximumBufferedControlFrames = max(1000, maxStreams * waitingFramesPerStream)
        configuration.maximumSequentialEmptyDataFrames = emptyFrames
        configuration.maximumConnectionGlitches = glitchCount
        configuration.maximumRecentlyResetStreams = rememberedResets
        configuration.controlFrameRateLimit.maximumCount = controlCount
        configuration.controlFrameRateLimit.windowLength = controlWindow
        return configuration
    }

    static var stream: NIOHTTP2Handler.StreamConfiguration {
        var configuration = NIOHTTP2Handler.StreamConfiguration()
        configuration.streamResetFrameRateLimit.maximumCount = resetCount
        configuration.streamResetFrameRateLimit.windowLength = resetWindow
        configuration.streamErrorRateLimit.maximumCount = resetCount
        configuration.streamErrorRateLimit.windowLength = resetWindow
        return configuration
    }
}
