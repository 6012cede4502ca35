import NIOCore
import NIOHTTP2

/// What a server accepts of HTTP/2 from a peer, beyond which it ends the connection.
enum HTTP2Limits {
    /// Envoy resets every ExtProc stream when it is done with it, 10,000 a second and more, and NIO's guard against rapid
    /// resets counts them as an attack after 200 in 30 seconds. A reset costs us little: a call's work is done before the
    /// reset can be read. NIO keeps the time of each reset for the window's length, hence a short one.
    private static let resetCount = 100_000
    private static let resetWindow = TimeAmount.milliseconds(1)

    /// Pings and settings: a peer that measures its bandwidth may ping with each write.
    private static let controlCount = 10_000
    private static let controlWindow = TimeAmount.seconds(10)

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
        configuration.maximumConnectionGlitches = resetCount
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
