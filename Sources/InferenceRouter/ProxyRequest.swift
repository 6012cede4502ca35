package import Instruments
package import NIOCore
package import NIOHTTP1

/// A request on its way to a worker: what the front end has made of it.
package struct ProxyRequest: Sendable {
    package let id: String
    package let method: HTTPMethod
    /// Path and query.
    package let uri: String
    /// What the worker gets, but for `host` and framing: see `HopByHop.forwardable`.
    package let headers: HTTPHeaders
    package var body: ByteBuffer
    /// The name that the worker serves the model by.
    package let model: String
    /// The name that figures show: the policy's, where one has chosen the model.
    package let modelName: String
    /// Only this worker may answer (`?id=`).
    package let pinnedEndpoint: String?
    /// Set on the answer whatever its status, in place of a worker's own.
    package let responseHeaders: [(name: String, value: String)]
    /// Set on an answer with a 2xx status: how the request was routed.
    package let routingHeaders: [(name: String, value: String)]
    /// When the request was complete, on the clock of `NIODeadline`.
    package let arrival: NIODeadline
    /// The workers from among whom the model was chosen; nil: those at hand when the request is planned.
    package var pool: PoolSnapshot?
    /// Where its way to a worker is recorded, if the request is traced. The call ends the whole trace.
    package var trace: TracePoint?

    package init(
        id: String,
        method: HTTPMethod,
        uri: String,
        headers: HTTPHeaders,
        body: ByteBuffer,
        model: String,
        modelName: String? = nil,
        pinnedEndpoint: String? = nil,
        responseHeaders: [(name: String, value: String)] = [],
        routingHeaders: [(name: String, value: String)] = [],
        arrival: NIODeadline
    ) {
        self.id = id
        self.method = method
        self.uri = uri
        self.headers = headers
        self.body = body
        self.model = model
        self.modelName = modelName ?? model
        self.pinnedEndpoint = pinnedEndpoint
        self.responseHeaders = responseHeaders
        self.routingHeaders = routingHeaders
        self.arrival = arrival
    }
}
