package import NIOCore

/// A message of Envoy's ExtProc filter (`envoy.service.ext_proc.v3.ProcessingRequest`), as far as we act on it.
package struct ProcessingRequest: Sendable {
    /// What the message is about.
    package enum Part: Sendable {
        case requestHeaders(HeadersPart)
        case responseHeaders(HeadersPart)
        case requestBody(BodyPart)
        case responseBody(BodyPart)
        case requestTrailers
        case responseTrailers
    }

    package struct HeadersPart: Sendable {
        package let fields: HeaderFields
        /// Whether neither body nor trailers follow.
        package let isLast: Bool
    }

    package struct BodyPart: Sendable {
        package let bytes: ByteBuffer
        /// Whether nothing follows: neither more of the body nor trailers.
        package let isLast: Bool
    }

    package let part: Part
    /// How bodies come; only in the first message of a stream, and only from Envoy 1.33 on.
    package let modes: BodyModes?
    /// Whether Envoy listens only, and waits for no answer.
    package let isObservation: Bool
}

/// How a filter sends bodies (`ProcessingMode.BodySendMode`).
package enum BodyMode: Int, Sendable, CaseIterable {
    case notSent = 0
    case streamed = 1
    case buffered = 2
    case bufferedPartial = 3
    case fullDuplexStreamed = 4
    case grpc = 5
}

/// `ProtocolConfiguration`.
package struct BodyModes: Sendable, Equatable {
    package var request: BodyMode
    package var response: BodyMode

    package init(request: BodyMode, response: BodyMode) {
        self.request = request
        self.response = response
    }
}

extension ProcessingRequest {
    /// A message that cannot be read.
    package enum ReadingError: Error, Equatable {
        case malformed
        /// It is about no part that we know.
        case nothingToProcess
    }

    /// Reads a message. Values stay where they are: a body is a slice of `message`.
    ///
    /// Field numbers are those of Protos/envoy/ext_proc.proto. Of a value that stands several times the last counts, and
    /// messages within are merged, as Protocol Buffers ask for.
    package init(_ message: ByteBuffer) throws(ReadingError) {
        var draft = Draft(message: message)
        do {
            try message.withUnsafeReadableBytes { bytes in try draft.read(bytes) }
        } catch {
            throw .malformed
        }
        guard let part = draft.part else { throw .nothingToProcess }
        self.part = part
        modes = draft.modes
        isObservation = draft.isObservation
    }

    private struct Draft {
        let message: ByteBuffer
        /// Which of the parts: the field's number.
        var kind = 0
        var fields: HeaderFields
        var body = 0..<0
        var isLast = false
        var modes: BodyModes?
        var isObservation = false

        init(message: ByteBuffer) {
            self.message = message
            fields = HeaderFields(message: message)
        }

        var part: Part? {
            switch kind {
            case 2: .requestHeaders(HeadersPart(fields: fields, isLast: isLast))
            case 3: .responseHeaders(HeadersPart(fields: fields, isLast: isLast))
            case 4: .requestBody(bodyPart)
            case 5: .responseBody(bodyPart)
            case 6: .requestTrailers
            case 7: .responseTrailers
            default: nil
            }
        }

        private var bodyPart: BodyPart {
            let slice = message.getSlice(at: message.readerIndex + body.lowerBound, length: body.count)
            return BodyPart(bytes: slice ?? ByteBuffer(), isLast: isLast)
        }

        mutating func read(_ bytes: UnsafeRawBufferPointer) throws(ProtobufReader.Malformed) {
            var reader = ProtobufReader(bytes)
            while let (number, value) = try reader.next() {
                switch (number, value) {
                case (2...7, .bytes(let range)):
                    if kind != number { begin(number) }
                    try readPart(bytes, range)
                case (10, .number(let flag)):
                    isObservation = flag != 0
                case (11, .bytes(let range)):
                    try readModes(bytes, range)
                default:
                    break
                }
            }
        }

        /// Another part of the same choice takes the place of what was there.
        private mutating func begin(_ number: Int) {
            kind = number
            fields = HeaderFields(message: message)
            body = 0..<0
            isLast = false
        }

        private mutating func readPart(
            _ bytes: UnsafeRawBufferPointer,
            _ range: Range<Int>
        ) throws(ProtobufReader.Malformed) {
            var reader = ProtobufReader(bytes, range)
            while let (number, value) = try reader.next() {
                switch (kind, number, value) {
                case (2...3, 1, .bytes(let map)), (6...7, 1, .bytes(let map)): try readHeaders(bytes, map)
                case (2...3, 3, .number(let flag)): isLast = flag != 0
                case (4...5, 1, .bytes(let content)): body = content
                case (4...5, 2, .number(let flag)): isLast = flag != 0
                default: break
                }
            }
        }

        private mutating func readHeaders(
            _ bytes: UnsafeRawBufferPointer,
            _ range: Range<Int>
        ) throws(ProtobufReader.Malformed) {
            var reader = ProtobufReader(bytes, range)
            while let (number, value) = try reader.next() {
                guard number == 1, case .bytes(let header) = value else { continue }
                var name = 0..<0
                var text = 0..<0
                var raw = 0..<0
                var field = ProtobufReader(bytes, header)
                while let (number, value) = try field.next() {
                    guard case .bytes(let content) = value else { continue }
                    switch number {
                    case 1: name = content
                    case 2: text = content
                    case 3: raw = content
                    default: break
                    }
                }
                // Envoy writes `raw_value` since 1.27, and `value` before; never both.
                fields.add(name: name, value: raw.isEmpty ? text : raw)
            }
        }

        private mutating func readModes(
            _ bytes: UnsafeRawBufferPointer,
            _ range: Range<Int>
        ) throws(ProtobufReader.Malformed) {
            var modes = modes ?? BodyModes(request: .notSent, response: .notSent)
            var reader = ProtobufReader(bytes, range)
            while let (number, value) = try reader.next() {
                guard case .number(let raw) = value else { continue }
                // A mode that comes after our time is dealt with as this one: nothing is changed then.
                let mode = BodyMode(rawValue: Int(truncatingIfNeeded: Int32(truncatingIfNeeded: raw))) ?? .notSent
                switch number {
                case 1: modes.request = mode
                case 2: modes.response = mode
                default: break
                }
            }
            self.modes = modes
        }
    }
}
