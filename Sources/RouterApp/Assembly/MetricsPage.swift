import Instruments
import NIOCore
import NIOHTTP1
import OpenAIWire
import Telemetry

extension MetricRegistry {
    /// What `/metrics` answers.
    var page: LocalResponse {
        LocalResponse(
            status: .ok,
            headers: ["content-type": Exposition.contentType],
            body: .whole(ByteBuffer(string: exposition()))
        )
    }
}
