import Foundation
import NIOCore
import OpenAIWire

/// Compares our reading of bytes with that of Foundation's `JSONSerialization`.
struct FoundationYardstick {
    /// Where Foundation departs from RFC 8259, on purpose or not, and we do not follow.
    enum Deviation: String, CaseIterable {
        /// It takes a comma before a closing bracket, which the grammar has no place for.
        case trailingComma
        /// It skips a UTF-8 byte order mark, which section 8.1 lets a parser do or leave.
        case byteOrderMark
        /// It recognises UTF-16 and UTF-32, which section 8.1 forbids between systems.
        case wideEncoding
        /// It refuses numbers beyond the range of `Double`, which are fine by the grammar.
        case numberRange
        /// Its dictionary takes keys for one that are canonically equivalent (é and e + U+0301).
        case equivalentKeys
        /// It drops U+FEFF from the start of a string and from behind an escape, as if it were a byte order mark.
        case markInString
        /// It reads long numbers by way of `NSDecimalNumber`, whose `Double` may be some steps off.
        case decimalRounding
    }

    /// What both readings came to.
    enum Outcome {
        case accepted, rejected
        /// They differ, for the reasons listed.
        case deviating(Set<Deviation>)
        /// They differ for no known reason.
        case mismatch(String)
    }

    static func judge(_ bytes: [UInt8]) -> Outcome {
        let theirs = try? JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)
        do {
            let document = try JSONDocument(ByteBuffer(bytes: bytes))
            guard let theirs else {
                return hasNumberOutOfRange(document.root)
                    ? .deviating([.numberRange]) : .mismatch("Foundation rejects what we accept")
            }
            var comparison = Comparison()
            guard comparison.equal(document.root, theirs) else { return .mismatch(comparison.difference) }
            return comparison.deviations.isEmpty ? .accepted : .deviating(comparison.deviations)
        } catch {
            guard let theirs else { return .rejected }
            return foundationDeviates(bytes, theirs) ?? .mismatch("we reject what Foundation accepts: \(error)")
        }
    }

    /// How our value differs from Foundation's; nil when it does not.
    static func difference(_ ours: JSONValue, _ theirs: Any) -> String? {
        var comparison = Comparison()
        return comparison.equal(ours, theirs) ? nil : comparison.difference
    }

    /// Why Foundation takes bytes that we reject: undoes what it is known to forgive, and nothing else, until we accept
    /// the bytes too; then the values must be the same.
    private static func foundationDeviates(_ bytes: [UInt8], _ theirs: Any) -> Outcome? {
        var bytes = bytes
        var deviations: Set<Deviation> = []
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
            bytes.removeFirst(3)
            deviations.insert(.byteOrderMark)
        } else if let text = wideText(bytes) {
            bytes = Array(text.utf8)
            deviations.insert(.wideEncoding)
        }
        while true {
            do {
                let document = try JSONDocument(ByteBuffer(bytes: bytes))
                var comparison = Comparison()
                guard comparison.equal(document.root, theirs) else { return .mismatch(comparison.difference) }
                return .deviating(deviations.union(comparison.deviations))
            } catch {
                guard error.reason == .unexpectedCharacter, [0x5D, 0x7D].contains(bytes[error.offset]),
                    let comma = bytes[..<error.offset].lastIndex(where: { ![0x20, 0x0A, 0x0D, 0x09].contains($0) }),
                    bytes[comma] == UInt8(ascii: ",")
                else { return nil }
                bytes.remove(at: comma)
                deviations.insert(.trailingComma)
            }
        }
    }

    /// The text of bytes in UTF-16 or UTF-32, told as Foundation does: by a byte order mark, or by where the zero bytes
    /// stand among the first four (RFC 4627 section 3).
    private static func wideText(_ bytes: [UInt8]) -> String? {
        let marks: [(mark: [UInt8], encoding: String.Encoding)] = [
            ([0x00, 0x00, 0xFE, 0xFF], .utf32BigEndian), ([0xFF, 0xFE, 0x00, 0x00], .utf32LittleEndian),
            ([0xFE, 0xFF], .utf16BigEndian), ([0xFF, 0xFE], .utf16LittleEndian),
        ]
        if let (mark, encoding) = marks.first(where: { bytes.starts(with: $0.mark) }) {
            return text(bytes.dropFirst(mark.count), encoding)
        }
        let isZero = bytes.prefix(bytes.count < 4 ? 2 : 4).map { $0 == 0 }
        let encoding: String.Encoding? =
            switch isZero {
            case [true, true, true, false]: .utf32BigEndian
            case [false, true, true, true]: .utf32LittleEndian
            case [true, false, true, false], [true, false]: .utf16BigEndian
            case [false, true, false, true], [false, true]: .utf16LittleEndian
            default: nil
            }
        return encoding.flatMap { text(bytes[...], $0) }
    }

    /// Without the bytes behind the last whole unit, which Foundation does not look at.
    private static func text(_ bytes: ArraySlice<UInt8>, _ encoding: String.Encoding) -> String? {
        let unit = [.utf16BigEndian, .utf16LittleEndian].contains(encoding) ? 2 : 4
        return String(data: Data(bytes.dropLast(bytes.count % unit)), encoding: encoding)
    }

    private static func hasNumberOutOfRange(_ value: JSONValue) -> Bool {
        (value.kind == .number && value.double == nil)
            || value.elements.contains(where: hasNumberOutOfRange)
            || value.members.contains { hasNumberOutOfRange($0.value) }
    }
}

/// A walk over both values at once.
private struct Comparison {
    var deviations: Set<FoundationYardstick.Deviation> = []
    var difference = ""

    /// What Foundation makes of `true` and `false`.
    private static let boolType: Any.Type = type(of: NSNumber(value: true))

    mutating func equal(_ ours: JSONValue, _ theirs: Any) -> Bool {
        switch ours.kind {
        case .null:
            return theirs is NSNull || differ(ours)
        case .bool:
            guard let number = theirs as? NSNumber, type(of: number) == Comparison.boolType else { return differ(ours) }
            return number.boolValue == ours.bool || differ(ours)
        case .number:
            guard let number = theirs as? NSNumber, type(of: number) != Comparison.boolType else { return differ(ours) }
            return equal(ours, number) || differ(ours)
        case .string:
            guard let text = theirs as? String else { return differ(ours) }
            return equal(ours, text) || differ(ours)
        case .array:
            guard let elements = theirs as? [Any] else { return differ(ours) }
            let values = Array(ours.elements)
            guard values.count == elements.count else { return differ(ours) }
            return zip(values, elements).allSatisfy { equal($0, $1) }
        case .object:
            guard let members = theirs as? [String: Any] else { return differ(ours) }
            return equal(ours, members)
        }
    }

    /// Byte by byte, for `==` takes é for e + U+0301.
    private mutating func equal(_ ours: JSONValue, _ theirs: String) -> Bool {
        guard let text = ours.string, let expected = foundationText(of: ours) else { return false }
        return expected.utf8.elementsEqual(theirs.utf8) && ours.isString(equalTo: text)
            && !ours.isString(equalTo: text + "\u{0}")
    }

    /// The string as Foundation has it: it decodes the stretches between escapes one by one, and drops a byte order
    /// mark from the start of each.
    private mutating func foundationText(of value: JSONValue) -> String? {
        let raw = Array(value.rawBytes.readableBytesView)
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        guard raw.firstIndex(of: mark[0]) != nil else { return value.string }
        var kept: [UInt8] = []
        var rest = raw[...]
        func take(_ count: Int) {
            kept += rest.prefix(count)
            rest = rest.dropFirst(count)
            guard rest.starts(with: mark) else { return }
            rest = rest.dropFirst(mark.count)
            deviations.insert(.markInString)
        }
        take(1)
        while let byte = rest.first {
            if byte == UInt8(ascii: "\\") {
                take(rest.dropFirst().first == UInt8(ascii: "u") ? 6 : 2)
            } else {
                kept.append(byte)
                rest = rest.dropFirst()
            }
        }
        return (try? JSONDocument(ByteBuffer(bytes: kept)))?.root.string
    }

    private mutating func equal(_ ours: JSONValue, _ theirs: NSNumber) -> Bool {
        guard let number = ours.double else { return false }
        if let whole = ours.int, Double(whole).magnitude <= 0x1p53 || !(theirs is NSDecimalNumber) {
            return theirs.int64Value == Int64(whole) && number == theirs.doubleValue
        }
        if number == theirs.doubleValue { return true }
        guard theirs is NSDecimalNumber else { return false }
        deviations.insert(.decimalRounding)
        return abs(number - theirs.doubleValue) <= 16 * number.ulp
    }

    private mutating func equal(_ ours: JSONValue, _ theirs: [String: Any]) -> Bool {
        // The last duplicate wins on both sides.
        var exact: [[UInt8]: JSONValue] = [:]
        var merged: [String: JSONValue] = [:]
        for member in ours.members {
            guard let text = member.key.string, let key = foundationText(of: member.key) else { return differ(ours) }
            guard let found = ours[text] else { return differ(ours) }
            exact[Array(key.utf8)] = found
            merged[key] = member.value
        }
        guard merged.count == theirs.count else { return differ(ours) }
        if exact.count != merged.count { deviations.insert(.equivalentKeys) }
        let isExact = deviations.isDisjoint(with: [.equivalentKeys, .markInString])
        for (key, value) in theirs {
            guard let expected = merged[key] else { return differ(ours) }
            if isExact, exact[Array(key.utf8)]?.byteRange != expected.byteRange { return differ(ours) }
            guard equal(expected, value) else { return false }
        }
        return true
    }

    /// Notes where, once; always false.
    private mutating func differ(_ ours: JSONValue) -> Bool {
        if difference.isEmpty { difference = "values differ at bytes \(ours.byteRange)" }
        return false
    }
}
