package import NIOCore

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

// MARK: - Numbers

extension JSONValue {
    /// The number's value when it is a whole number that fits: `7`, `-0`, `7.0`, `7e2`, but not `7.5`.
    ///
    /// Exact for every spelling without fraction and exponent. The others go through `double`, and count only with at
    /// most 15 digits (DBL_DIG) and up to 2^53, so that rounding can neither make them whole nor change them.
    package var int: Int? {
        guard kind == .number else { return nil }
        guard !node.flag else {
            guard byteRange.count <= 16, let double, abs(double) <= 0x1p53 else { return nil }
            return Int(exactly: double)
        }
        return storage.withBytes(of: index) { bytes in
            let isNegative = bytes[0] == UInt8(ascii: "-")
            var value = 0
            for byte in bytes.dropFirst(isNegative ? 1 : 0) {
                let digit = Int(byte &- UInt8(ascii: "0"))
                let (product, overflow) = value.multipliedReportingOverflow(by: 10)
                let (sum, carry) =
                    isNegative
                    ? product.subtractingReportingOverflow(digit) : product.addingReportingOverflow(digit)
                guard !overflow, !carry else { return nil }
                value = sum
            }
            return value
        }
    }

    /// The number's value, correctly rounded; nil when it is larger than every `Double`.
    package var double: Double? {
        guard kind == .number else { return nil }
        let text = storage.withBytes(of: index) { String(decoding: $0, as: UTF8.self) }
        guard let value = Double(text), value.isFinite else { return nil }
        return value
    }
}

// MARK: - Strings

extension JSONValue {
    /// The string's characters, escapes decoded.
    /// - Complexity: O(bytes); copies. Compare with `isString(equalTo:)` instead of decoding.
    package var string: String? {
        guard kind == .string else { return nil }
        return storage.withBytes(of: index) { quoted in
            let bytes = UnsafeRawBufferPointer(rebasing: quoted[1..<(quoted.count - 1)])
            guard node.flag else { return String(decoding: bytes, as: UTF8.self) }
            return String(unsafeUninitializedCapacity: bytes.count) { JSONEscapes.decode(bytes, into: $0) }
        }
    }

    /// Whether this is a string of exactly these Unicode scalars, however it is escaped.
    /// Unlike `==` on `String`, é and e + U+0301 differ here, as they do for every other JSON parser.
    package func isString(equalTo text: String) -> Bool {
        guard kind == .string else { return false }
        var text = text
        return text.withUTF8 { text in
            storage.bytes.withUnsafeReadableBytes { node.spells(text, in: $0) }
        }
    }

    /// Whether this is a string without characters.
    package var isEmptyString: Bool { kind == .string && byteRange.count == 2 }

    /// Whether the string holds an escape, so that its bytes are not its text.
    package var hasEscapes: Bool { kind == .string && node.flag }

    /// How many bytes of UTF-8 the string's text has, escapes decoded; 0 for other kinds.
    /// - Complexity: O(1) without escapes, else O(bytes); nothing is allocated.
    package var decodedByteCount: Int {
        guard kind == .string else { return 0 }
        guard node.flag else { return byteRange.count - 2 }
        return storage.withBytes(of: index) { quoted in
            JSONEscapes.decodedCount(UnsafeRawBufferPointer(rebasing: quoted[1..<(quoted.count - 1)]))
        }
    }

    /// Appends the string's text, escapes decoded, as UTF-8. Appends nothing for other kinds.
    package func appendText(to text: inout [UInt8]) {
        guard kind == .string else { return }
        storage.withBytes(of: index) { quoted in
            let bytes = UnsafeRawBufferPointer(rebasing: quoted[1..<(quoted.count - 1)])
            guard node.flag else { return text.append(contentsOf: bytes) }
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: bytes.count) { decoded in
                let count = JSONEscapes.decode(bytes, into: decoded)
                text.append(contentsOf: decoded[..<count])
            }
        }
    }

    /// Appends the string's text, escapes decoded, as UTF-8. Appends nothing for other kinds.
    package func appendText(to buffer: inout ByteBuffer) {
        guard kind == .string else { return }
        storage.withBytes(of: index) { quoted in
            let bytes = UnsafeRawBufferPointer(rebasing: quoted[1..<(quoted.count - 1)])
            guard node.flag else {
                buffer.writeBytes(bytes)
                return
            }
            buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: bytes.count) { target in
                JSONEscapes.decode(bytes, into: target.assumingMemoryBound(to: UInt8.self))
            }
        }
    }
}

extension JSONNode {
    /// Whether this string node's text is `text`. Allocates nothing unless the node holds escapes.
    @inline(__always)
    func spells(_ text: UnsafeBufferPointer<UInt8>, in bytes: UnsafeRawBufferPointer) -> Bool {
        let length = Int(end) - Int(start) - 2
        guard length >= text.count else { return false }
        let content = UnsafeRawBufferPointer(rebasing: bytes[(Int(start) + 1)..<(Int(end) - 1)])
        guard flag else {
            return length == text.count && content.elementsEqual(text)
        }
        return JSONEscapes.spell(content, text)
    }
}

/// Decoding of string contents that the scanner has already checked.
enum JSONEscapes {
    /// An escape of six bytes stands for at least one byte of UTF-8.
    private static let longestEscape = 6

    /// Whether `content` decodes to `text`.
    static func spell(_ content: UnsafeRawBufferPointer, _ text: UnsafeBufferPointer<UInt8>) -> Bool {
        guard content.count <= text.count * longestEscape else { return false }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: content.count) { decoded in
            let count = decode(content, into: decoded)
            return count == text.count && decoded[..<count].elementsEqual(text)
        }
    }

    /// Writes the decoded text, which is never longer than `content`, and answers its length in bytes.
    static func decode(_ content: UnsafeRawBufferPointer, into target: UnsafeMutableBufferPointer<UInt8>) -> Int {
        precondition(target.count >= content.count, "the decoded text needs at most as many bytes as its escapes")
        var read = 0
        var written = 0
        while read < content.count {
            guard content[read] == UInt8(ascii: "\\") else {
                let run = plainRun(content, from: read)
                UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(target)[written...])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: content[read..<(read + run)]))
                read += run
                written += run
                continue
            }
            guard content[read + 1] == UInt8(ascii: "u") else {
                target[written] = character(of: content[read + 1])
                read += 2
                written += 1
                continue
            }
            var scalar = UInt32(codeUnit(content, at: read))
            read += 6
            if scalar & 0xF800 == 0xD800 {
                // The scanner lets only whole pairs pass: RFC 8259 section 7, decoded as in RFC 2781 section 2.2.
                scalar = 0x10000 + (scalar & 0x3FF) << 10 + UInt32(codeUnit(content, at: read) & 0x3FF)
                read += 6
            }
            written = write(scalar, into: target, at: written)
        }
        return written
    }

    /// How many bytes from `start` on come before the next escape.
    private static func plainRun(_ content: UnsafeRawBufferPointer, from start: Int) -> Int {
        guard let base = content.baseAddress,
            let hit = memchr(base + start, Int32(UInt8(ascii: "\\")), content.count - start)
        else { return content.count - start }
        return UnsafeRawPointer(hit) - (base + start)
    }

    /// The length of what `decode` writes.
    static func decodedCount(_ content: UnsafeRawBufferPointer) -> Int {
        var read = 0
        var count = 0
        while read < content.count {
            guard content[read] == UInt8(ascii: "\\") else {
                let run = plainRun(content, from: read)
                read += run
                count += run
                continue
            }
            guard content[read + 1] == UInt8(ascii: "u") else {
                read += 2
                count += 1
                continue
            }
            let unit = codeUnit(content, at: read)
            read += 6
            switch unit {
            case ..<0x80: count += 1
            case ..<0x800: count += 2
            case 0xD800...0xDBFF:
                // A high half: the scanner lets only whole pairs pass.
                count += 4
                read += 6
            default: count += 3
            }
        }
        return count
    }

    private static func write(_ scalar: UInt32, into target: UnsafeMutableBufferPointer<UInt8>, at start: Int) -> Int {
        func continuation(_ shift: UInt32) -> UInt8 { 0x80 | UInt8(scalar >> shift & 0x3F) }
        switch scalar {
        case ..<0x80:
            target[start] = UInt8(scalar)
            return start + 1
        case ..<0x800:
            target[start] = 0xC0 | UInt8(scalar >> 6)
            target[start + 1] = continuation(0)
            return start + 2
        case ..<0x10000:
            target[start] = 0xE0 | UInt8(scalar >> 12)
            target[start + 1] = continuation(6)
            target[start + 2] = continuation(0)
            return start + 3
        default:
            target[start] = 0xF0 | UInt8(scalar >> 18)
            target[start + 1] = continuation(12)
            target[start + 2] = continuation(6)
            target[start + 3] = continuation(0)
            return start + 4
        }
    }

    private static func character(of escape: UInt8) -> UInt8 {
        switch escape {
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        default: escape  // Quote, backslash, slash: themselves.
        }
    }

    private static func codeUnit(_ content: UnsafeRawBufferPointer, at start: Int) -> UInt16 {
        content[(start + 2)..<(start + 6)].reduce(0) { $0 << 4 | UInt16(hexDigitValue($1) ?? 0) }
    }
}
