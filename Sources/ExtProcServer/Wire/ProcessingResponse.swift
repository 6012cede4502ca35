package import NIOCore

/// What we tell Envoy's ExtProc filter (`envoy.service.ext_proc.v3.ProcessingResponse`), as far as we use it.
package struct ProcessingResponse: Sendable, Equatable {
    package enum Part: Sendable, Equatable {
        case requestHeaders(CommonResponse)
        case responseHeaders(CommonResponse)
        case requestBody(CommonResponse)
        case responseBody(CommonResponse)
        case requestTrailers
        case responseTrailers
        case immediate(ImmediateResponse)
        /// No reply yet: asks for so many more seconds for the reply that is due (`override_message_timeout`). Envoy
        /// grants at most its `max_message_timeout`, and none where that is not set.
        case moreTime(seconds: Int)
    }

    package var part: Part
    package var modeOverride: ModeOverride?

    package init(_ part: Part, modeOverride: ModeOverride? = nil) {
        self.part = part
        self.modeOverride = modeOverride
    }
}

/// Goes on with the request or answer, changed as said.
package struct CommonResponse: Sendable, Equatable {
    package var headers = HeaderMutation()
    package var body: BodyMutation?
    /// Whether Envoy looks for the route anew: needed where routes ask for headers that we set.
    package var clearsRouteCache = false

    package init(headers: HeaderMutation = HeaderMutation(), body: BodyMutation? = nil, clearsRouteCache: Bool = false)
    {
        self.headers = headers
        self.body = body
        self.clearsRouteCache = clearsRouteCache
    }
}

package enum BodyMutation: Sendable, Equatable {
    case replace(ByteBuffer)
    case clear
    /// The next piece of a body in full-duplex mode, where what is not sent back is dropped.
    case streamed(ByteBuffer, isLast: Bool)
}

/// Changes of header fields. Envoy removes first, then sets in order.
package struct HeaderMutation: Sendable, Equatable {
    package enum Action: Sendable {
        /// Beside fields of that name that are there.
        case append
        /// In place of all fields of that name.
        case overwrite
    }

    package struct Field: Sendable, Equatable {
        package let name: String
        package let value: String
        package let action: Action

        package init(_ name: String, _ value: String, _ action: Action = .overwrite) {
            self.name = name
            self.value = value
            self.action = action
        }
    }

    /// `set_headers`.
    package var fields: [Field]
    /// `remove_headers`.
    package var removed: [String]

    package init(fields: [Field] = [], removed: [String] = []) {
        self.fields = fields
        self.removed = removed
    }

    package var isEmpty: Bool { fields.isEmpty && removed.isEmpty }
}

/// An answer to the client in place of a worker's.
package struct ImmediateResponse: Sendable, Equatable {
    package var status: Int
    package var headers: HeaderMutation
    package var body: ByteBuffer
    /// What Envoy's access log shows as `RESPONSE_CODE_DETAILS`.
    package var details: String

    package init(status: Int, headers: HeaderMutation, body: ByteBuffer, details: String) {
        self.status = status
        self.headers = headers
        self.body = body
        self.details = details
    }
}

/// Other modes for the rest of the request (`ProcessingMode`). Envoy takes all of it, so that what shall stay is said
/// again; it takes none of it unless its configuration has `allow_mode_override`.
package struct ModeOverride: Sendable, Equatable {
    package var request: BodyMode
    package var response: BodyMode

    package init(request: BodyMode, response: BodyMode) {
        self.request = request
        self.response = response
    }
}

// MARK: - Writing

extension ProcessingResponse {
    /// Appends the message. Field numbers are those of Protos/envoy/ext_proc.proto.
    package func write(to buffer: inout ByteBuffer) {
        switch part {
        case .requestHeaders(let common): Self.write(common, number: 1, to: &buffer)
        case .responseHeaders(let common): Self.write(common, number: 2, to: &buffer)
        case .requestBody(let common): Self.write(common, number: 3, to: &buffer)
        case .responseBody(let common): Self.write(common, number: 4, to: &buffer)
        case .requestTrailers: buffer.writeFieldHead(5, length: 0)
        case .responseTrailers: buffer.writeFieldHead(6, length: 0)
        case .immediate(let response):
            buffer.writeFieldHead(7, length: response.size)
            response.write(to: &buffer)
        case .moreTime: break
        }
        if let modeOverride {
            buffer.writeFieldHead(9, length: modeOverride.size)
            modeOverride.write(to: &buffer)
        }
        if case .moreTime(let seconds) = part {
            buffer.writeFieldHead(10, length: ProtobufSize.number(seconds))
            buffer.writeField(1, number: seconds)
        }
    }

    /// `HeadersResponse` and `BodyResponse` hold a `CommonResponse` as their field 1.
    private static func write(_ common: CommonResponse, number: Int, to buffer: inout ByteBuffer) {
        let size = common.size
        buffer.writeFieldHead(number, length: ProtobufSize.bytes(size))
        buffer.writeFieldHead(1, length: size)
        common.write(to: &buffer)
    }
}

extension CommonResponse {
    fileprivate var size: Int {
        (headers.isEmpty ? 0 : ProtobufSize.bytes(headers.size))
            + (body.map { ProtobufSize.bytes($0.size) } ?? 0)
            + ProtobufSize.flag(clearsRouteCache)
    }

    /// The status is CONTINUE, the value that is read when none is there.
    fileprivate func write(to buffer: inout ByteBuffer) {
        if !headers.isEmpty {
            buffer.writeFieldHead(2, length: headers.size)
            headers.write(to: &buffer)
        }
        if let body {
            buffer.writeFieldHead(3, length: body.size)
            body.write(to: &buffer)
        }
        buffer.writeField(5, flag: clearsRouteCache)
    }
}

extension BodyMutation {
    fileprivate var size: Int {
        switch self {
        case .replace(let bytes): ProtobufSize.bytes(bytes.readableBytes)
        case .clear: ProtobufSize.flag(true)
        case .streamed(let bytes, let isLast): ProtobufSize.bytes(Self.streamedSize(bytes, isLast))
        }
    }

    private static func streamedSize(_ bytes: ByteBuffer, _ isLast: Bool) -> Int {
        (bytes.readableBytes == 0 ? 0 : ProtobufSize.bytes(bytes.readableBytes)) + ProtobufSize.flag(isLast)
    }

    fileprivate func write(to buffer: inout ByteBuffer) {
        switch self {
        case .replace(let bytes):
            // Written even when it is empty: which of the choices it is, is what counts.
            buffer.writeFieldHead(1, length: bytes.readableBytes)
            buffer.writeImmutableBuffer(bytes)
        case .clear:
            buffer.writeField(2, flag: true)
        case .streamed(let bytes, let isLast):
            buffer.writeFieldHead(3, length: Self.streamedSize(bytes, isLast))
            if bytes.readableBytes > 0 {
                buffer.writeFieldHead(1, length: bytes.readableBytes)
                buffer.writeImmutableBuffer(bytes)
            }
            buffer.writeField(2, flag: isLast)
        }
    }
}

extension HeaderMutation.Field {
    /// `HeaderValue`: the name, and the value as bytes, as Envoy reads no other.
    private var valueSize: Int { ProtobufSize.text(name) + ProtobufSize.text(value) }

    /// `BoolValue` true.
    private static let yes = 2

    fileprivate var size: Int {
        let actionSize = action == .append ? ProtobufSize.bytes(Self.yes) : ProtobufSize.number(Self.overwrite)
        return ProtobufSize.bytes(valueSize) + actionSize + ProtobufSize.flag(value.isEmpty)
    }

    /// `OVERWRITE_IF_EXISTS_OR_ADD`.
    private static let overwrite = 2

    fileprivate func write(to buffer: inout ByteBuffer) {
        buffer.writeFieldHead(1, length: valueSize)
        buffer.writeField(1, text: name)
        buffer.writeField(3, text: value)
        switch action {
        case .append:
            // The older field: Envoy's ExtProc filter does not look at `append_action`, whose zero means the same.
            buffer.writeFieldHead(2, length: Self.yes)
            buffer.writeField(1, flag: true)
        case .overwrite:
            buffer.writeField(3, number: Self.overwrite)
        }
        // Envoy drops fields without a value unless it is told to keep them.
        buffer.writeField(4, flag: value.isEmpty)
    }
}

extension HeaderMutation {
    fileprivate var size: Int {
        fields.reduce(0) { $0 + ProtobufSize.bytes($1.size) }
            + removed.reduce(0) { $0 + ProtobufSize.bytes($1.utf8.count) }
    }

    fileprivate func write(to buffer: inout ByteBuffer) {
        for field in fields {
            buffer.writeFieldHead(1, length: field.size)
            field.write(to: &buffer)
        }
        for name in removed {
            buffer.writeFieldHead(2, length: name.utf8.count)
            buffer.writeString(name)
        }
    }
}

extension ImmediateResponse {
    /// `HttpStatus`.
    private var statusSize: Int { ProtobufSize.number(status) }

    fileprivate var size: Int {
        ProtobufSize.bytes(statusSize)
            + (headers.isEmpty ? 0 : ProtobufSize.bytes(headers.size))
            + (body.readableBytes == 0 ? 0 : ProtobufSize.bytes(body.readableBytes))
            + ProtobufSize.text(details)
    }

    fileprivate func write(to buffer: inout ByteBuffer) {
        buffer.writeFieldHead(1, length: statusSize)
        buffer.writeField(1, number: status)
        if !headers.isEmpty {
            buffer.writeFieldHead(2, length: headers.size)
            headers.write(to: &buffer)
        }
        if body.readableBytes > 0 {
            buffer.writeFieldHead(3, length: body.readableBytes)
            buffer.writeImmutableBuffer(body)
        }
        buffer.writeField(5, text: details)
    }
}

extension ModeOverride {
    /// `HeaderSendMode.SEND`.
    private static let send = 1

    fileprivate var size: Int {
        2 * ProtobufSize.number(Self.send) + ProtobufSize.number(request.rawValue)
            + ProtobufSize.number(response.rawValue)
    }

    fileprivate func write(to buffer: inout ByteBuffer) {
        buffer.writeField(1, number: Self.send)
        buffer.writeField(2, number: Self.send)
        buffer.writeField(3, number: request.rawValue)
        buffer.writeField(4, number: response.rawValue)
    }
}
