import NIOCore
import NIOHTTP1
import OpenAIWire

/// `/v1/audio/transcriptions`: answers how many bytes of sound came in, so that a test sees the upload arrive whole.
enum Transcription {
    /// Reads the `file` and `model` parts of a multipart body (RFC 7578).
    static func answer(_ head: HTTPRequestHead, _ body: ByteBuffer, config: SimConfig) throws(SimError) -> SimResponse {
        let type = head.headers.first(name: "content-type") ?? ""
        guard type.lowercased().hasPrefix("multipart/form-data"), let boundary = boundary(in: type) else {
            throw .badRequest("The body must be multipart/form-data with a boundary.")
        }
        let parts = parts(of: Array(body.readableBytesView), boundary: Array("--\(boundary)".utf8))
        guard let file = parts["file"] else { throw .badRequest("file: field required.", "file") }
        if let model = parts["model"].map({ String(decoding: $0, as: UTF8.self) }), !config.modelNames.contains(model) {
            throw .modelNotFound(model)
        }
        return .json(["text": JSONFragment("\(file.count) bytes")])
    }

    private static func boundary(in type: String) -> String? {
        for parameter in type.split(separator: ";").dropFirst() {
            let halves = parameter.split(separator: "=", maxSplits: 1)
            guard halves.count == 2, halves[0].drop(while: { $0 == " " }).lowercased() == "boundary" else { continue }
            return String(halves[1].filter { $0 != "\"" })
        }
        return nil
    }

    /// The contents by field name.
    private static func parts(of body: [UInt8], boundary: [UInt8]) -> [String: ArraySlice<UInt8>] {
        var parts: [String: ArraySlice<UInt8>] = [:]
        var starts = positions(of: boundary, in: body[...])[...]
        while let start = starts.popFirst(), let end = starts.first {
            let part = body[(start + boundary.count)..<end]
            // A blank line ends the part's head; a line break belongs to the boundary that follows.
            guard let blank = positions(of: Array("\r\n\r\n".utf8), in: part, most: 1).first, blank + 4 <= end - 2
            else { continue }
            let head = String(decoding: part[..<blank], as: UTF8.self)
            guard let name = fieldName(in: head) else { continue }
            parts[name] = part[(blank + 4)..<(end - 2)]
        }
        return parts
    }

    private static func fieldName(in head: String) -> String? {
        // A parameter of its own, so that `filename=` is not taken for it.
        for piece in head.split(whereSeparator: { $0 == ";" || $0.isNewline }) {
            let piece = piece.drop { $0 == " " }
            if piece.hasPrefix("name=") { return piece.dropFirst(5).filter { $0 != "\"" } }
        }
        return nil
    }

    /// Where `needle` begins, at most so many times.
    private static func positions(of needle: [UInt8], in bytes: ArraySlice<UInt8>, most: Int = .max) -> [Int] {
        var found: [Int] = []
        var index = bytes.startIndex
        while index + needle.count <= bytes.endIndex, found.count < most {
            guard bytes[index] == needle[0], bytes[index..<(index + needle.count)].elementsEqual(needle) else {
                index += 1
                continue
            }
            found.append(index)
            index += needle.count
        }
        return found
    }
}
