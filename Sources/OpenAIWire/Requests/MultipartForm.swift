package import NIOCore

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Where a text field's value stands in a `multipart/form-data` body (RFC 7578), so that it can be read, and replaced,
/// without touching another byte.
package struct MultipartField: Sendable, Equatable {
    package let value: String
    /// Offsets from the body's first readable byte.
    package let byteRange: Range<Int>

    /// Longest value that is looked at: a model's name, not a file.
    private static let maxValueBytes = 1024

    /// Largest head of a part. Real ones hold two or three short lines.
    private static let maxHeadBytes = 8 * 1024
    /// Most parts of a form. 1,000, the limit of Starlette, which vLLM's server is built on.
    private static let maxParts = 1000

    /// Finds the field `name` in `body`; of several the last one counts, as for the worker.
    ///
    /// - Returns: nil when there is no such field.
    /// - Throws: `invalidRequest` (400) when `contentType` names no boundary or the body is not a form with it.
    /// - Complexity: O(bytes); file contents are skipped by `memchr`.
    package static func find(_ name: String, in body: ByteBuffer, contentType: String) throws(RouterError) -> Self? {
        guard let boundary = Parameters(of: contentType)["boundary"], (1...70).contains(boundary.utf8.count) else {
            throw .invalidRequest("Invalid request: the multipart content type names no boundary.")
        }
        let delimiter = Array("\r\n--\(boundary)".utf8)
        guard let found = body.withUnsafeReadableBytes({ search(for: name, delimiter: delimiter, in: $0) }) else {
            throw .invalidRequest("Invalid request: the body is not a valid multipart form.")
        }
        guard let range = found.last else { return nil }
        guard range.count <= maxValueBytes,
            let value = body.getString(at: body.readerIndex + range.lowerBound, length: range.count)
        else { throw .invalidRequest("Invalid request: the field '\(name)' is too long.", parameter: name) }
        return MultipartField(value: value, byteRange: range)
    }

    /// A copy of `body` with this field's value replaced.
    package func replaced(by newValue: String, in body: ByteBuffer) -> ByteBuffer {
        var edited = ByteBuffer()
        edited.reserveCapacity(body.readableBytes + newValue.utf8.count)
        let bytes = body.readableBytesView
        let start = bytes.startIndex
        edited.writeBytes(bytes[start..<start + byteRange.lowerBound])
        edited.writeString(newValue)
        edited.writeBytes(bytes[(start + byteRange.upperBound)...])
        return edited
    }

    /// Where the values of all fields of that name stand; nil for a body that is no form.
    private static func search(
        for name: String,
        delimiter: [UInt8],
        in bytes: UnsafeRawBufferPointer
    ) -> [Range<Int>]? {
        // The first delimiter may stand at the very beginning, without its line break.
        let opening = delimiter.dropFirst(2)
        var position: Int
        if bytes.starts(with: opening) {
            position = opening.count
        } else if let first = index(of: delimiter, in: bytes, from: 0) {
            position = first + delimiter.count
        } else {
            return nil
        }
        var found: [Range<Int>] = []
        for _ in 0..<maxParts {
            // RFC 2046 section 5.1.1 allows blanks between a delimiter and its line break.
            while position < bytes.count, bytes[position] == 0x20 || bytes[position] == 0x09 { position += 1 }
            let after = bytes[min(position, bytes.count)...].prefix(2)
            if after.elementsEqual("--".utf8) { return found }  // the closing delimiter
            let headEnd = min(bytes.count, position + maxHeadBytes)
            guard after.elementsEqual("\r\n".utf8),
                let end = index(
                    of: Array("\r\n\r\n".utf8),
                    in: UnsafeRawBufferPointer(rebasing: bytes[..<headEnd]),
                    from: position
                )
            else { return nil }
            let contentStart = end + 4
            guard let next = index(of: delimiter, in: bytes, from: contentStart - 2) else { return nil }
            let head = String(decoding: bytes[position..<contentStart], as: UTF8.self)
            if fieldName(in: head) == name {
                found.append(contentStart..<max(contentStart, next))
            }
            position = next + delimiter.count
        }
        return nil
    }

    private static func index(of needle: [UInt8], in bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
        guard let base = bytes.baseAddress else { return nil }
        var position = start
        while position + needle.count <= bytes.count {
            let rest = bytes.count - position - needle.count + 1
            guard let hit = memchr(base + position, Int32(needle[0]), rest) else { return nil }
            position = UnsafeRawPointer(hit) - base
            if memcmp(base + position, needle, needle.count) == 0 { return position }
            position += 1
        }
        return nil
    }

    /// The `name` of a part's content disposition; nil for a part with a file name of its own.
    private static func fieldName(in head: String) -> String? {
        for line in head.split(separator: "\r\n") {
            guard line.lowercased().hasPrefix("content-disposition:") else { continue }
            let parameters = Parameters(of: String(line))
            return parameters["filename"] == nil && parameters["filename*"] == nil ? parameters["name"] : nil
        }
        return nil
    }

    /// The `; name=value` parameters of a header's value (RFC 9110 section 5.6.6). Names in lower case.
    private struct Parameters {
        private var values: [String: String] = [:]

        subscript(name: String) -> String? { values[name] }

        init(of header: String) {
            var rest = header[...]
            while let semicolon = rest.firstIndex(of: ";") {
                rest = rest[rest.index(after: semicolon)...].drop { $0 == " " || $0 == "\t" }
                let name = rest.prefix { $0 != "=" && $0 != ";" }
                rest = rest.dropFirst(name.count)
                guard rest.first == "=" else { continue }
                rest = rest.dropFirst()
                values[name.lowercased()] = rest.first == "\"" ? Self.quoted(&rest) : Self.token(&rest)
            }
        }

        private static func token(_ rest: inout Substring) -> String {
            let value = rest.prefix { $0 != ";" && $0 != " " && $0 != "\t" }
            rest = rest.dropFirst(value.count)
            return String(value)
        }

        private static func quoted(_ rest: inout Substring) -> String {
            rest = rest.dropFirst()
            var value = ""
            while let character = rest.popFirst(), character != "\"" {
                if character == "\\", let escaped = rest.popFirst() {
                    value.append(escaped)
                } else {
                    value.append(character)
                }
            }
            return value
        }
    }
}
