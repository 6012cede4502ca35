import TestRandom

/// What a test must know of a message type to write the same message in another way.
struct WireShape {
    /// Fields of which one at most is there: the last.
    var choice: ClosedRange<Int>?
    var messages: [Int: WireShape] = [:]
    var repeated: Set<Int> = []
    var numbers: Set<Int> = []
    /// Fields of the type `string`.
    var texts: Set<Int> = []
    /// Fields of the type `bytes`.
    var bytes: Set<Int> = []
    /// Fields with messages that our reader does not look into.
    var unread: Set<Int> = []

    fileprivate var known: Set<Int> {
        Set(messages.keys).union(numbers).union(texts).union(bytes).union(unread)
    }

    static let headerValue = WireShape(texts: [1, 2], bytes: [3])
    static let headerMap = WireShape(messages: [1: headerValue], repeated: [1])
    static let headers = WireShape(messages: [1: headerMap], numbers: [3])
    static let body = WireShape(numbers: [2, 3, 4], bytes: [1])
    static let trailers = WireShape(messages: [1: headerMap])
    static let protocolConfiguration = WireShape(numbers: [1, 2, 3])
    static let request = WireShape(
        choice: 2...7,
        messages: [
            2: headers, 3: headers, 4: body, 5: body, 6: trailers, 7: trailers, 11: protocolConfiguration,
        ],
        numbers: [10],
        unread: [8, 9]
    )
}

// MARK: - The same message, written otherwise

extension WireShape {
    /// The fields of a message as a library writes it.
    func fields(of bytes: [UInt8]) -> [WireField] { fields(of: bytes, in: 0..<bytes.count) }

    private func fields(of bytes: [UInt8], in range: Range<Int>) -> [WireField] {
        var cursor = WireCursor(range)
        var fields: [WireField] = []
        while cursor.position < cursor.end {
            guard let tag = cursor.varint(bytes), let word = cursor.varint(bytes) else {
                preconditionFailure("a library wrote half a field")
            }
            let number = Int(tag >> 3)
            switch tag & 7 {
            case 0:
                fields.append(WireField(number, .varint(word)))
            case 2:
                guard let content = cursor.take(word) else { preconditionFailure("a library wrote half a field") }
                if let shape = messages[number] {
                    fields.append(WireField(number, .message(shape.fields(of: bytes, in: content))))
                } else {
                    fields.append(WireField(number, .bytes(Array(bytes[content]))))
                }
            default:
                preconditionFailure("no message of ours has fields of the kind \(tag & 7)")
            }
        }
        return fields
    }

    /// Other fields that mean the same to whoever reads by the rules: in another order, with values that are overruled
    /// later, messages in two halves, and fields that are not known.
    func scrambled(_ fields: [WireField], _ random: inout SeededRandom) -> [WireField] {
        // Fields of one track keep their order; between tracks there is none.
        var tracks: [[WireField]] = []
        for (number, shape) in messages.sorted(by: { $0.key < $1.key }) {
            var track: [WireField] = []
            for case .message(let content) in fields.filter({ $0.number == number }).map(\.value) {
                let content = shape.scrambled(content, &random)
                if repeated.contains(number) || random.once(in: 2) {
                    track.append(WireField(number, .message(content)))
                } else {
                    let cut = random.below(content.count + 1)
                    track.append(WireField(number, .message(Array(content[..<cut]))))
                    track.append(WireField(number, .message(Array(content[cut...]))))
                }
            }
            if let choice, choice.contains(number) {
                guard !track.isEmpty else { continue }
                while random.once(in: 3) {
                    let other = random.pick(choice.filter { $0 != number })
                    track.insert(WireField(other, .message(messages[other]?.decoy(&random) ?? [])), at: 0)
                }
            }
            tracks.append(track)
        }
        for number in numbers.union(texts).union(bytes).sorted() {
            var track = fields.filter { $0.number == number }
            if random.once(in: 4) {
                if track.isEmpty { track = [WireField(number, numbers.contains(number) ? .varint(0) : .bytes([]))] }
                track.insert(decoy(number, &random), at: 0)
            }
            tracks.append(track)
        }
        tracks.append(fields.filter { unread.contains($0.number) })
        while random.once(in: 2) { tracks.append([stranger(&random, depth: 0)]) }

        var mixed: [WireField] = []
        tracks.removeAll(where: \.isEmpty)
        while !tracks.isEmpty {
            let chosen = random.below(tracks.count)
            mixed.append(tracks[chosen].removeFirst())
            if tracks[chosen].isEmpty { tracks.remove(at: chosen) }
        }
        return mixed
    }

    /// Fields to be overruled.
    private func decoy(_ random: inout SeededRandom) -> [WireField] {
        var fields: [WireField] = []
        for number in numbers.union(texts).union(bytes).sorted() where random.once(in: 2) {
            fields.append(decoy(number, &random))
        }
        for (number, shape) in messages.sorted(by: { $0.key < $1.key }) where random.once(in: 2) {
            fields.append(WireField(number, .message(shape.decoy(&random))))
        }
        return fields
    }

    private func decoy(_ number: Int, _ random: inout SeededRandom) -> WireField {
        if numbers.contains(number) { return WireField(number, .varint(random.next() >> UInt64(random.below(64)))) }
        return WireField(number, .bytes((0..<random.below(20)).map { _ in UInt8(97 + random.below(26)) }))
    }

    /// A field that the message type does not have, or of a kind that the field never has.
    private func stranger(_ random: inout SeededRandom, depth: Int) -> WireField {
        let number =
            random.once(in: 3)
            ? random.pick(known.sorted())
            : random.pick([12, 13, 14, 15, 16, 17, 100, 2047, 2048, 536_870_911].filter { !known.contains($0) })
        let mayBeBytes = !known.contains(number) || numbers.contains(number)
        let mayBeNumber = !numbers.contains(number)
        while true {
            switch random.below(5) {
            case 0 where mayBeNumber:
                return WireField(number, .varint(random.next() >> UInt64(random.below(64))))
            case 1: return WireField(number, .fixed64(random.next()))
            case 2 where mayBeBytes:
                return WireField(number, .bytes((0..<random.below(40)).map { _ in UInt8(random.below(256)) }))
            case 3 where depth < 5:
                return WireField(
                    number,
                    .group((0..<random.below(3)).map { _ in stranger(&random, depth: depth + 1) })
                )
            case 4: return WireField(number, .fixed32(UInt32(truncatingIfNeeded: random.next())))
            default: continue
            }
        }
    }
}

// MARK: - What our reader leaves unread

extension WireShape {
    /// The message with all in place that our reader, on purpose, is less strict about than a library: texts become ASCII,
    /// and messages that it does not look into become fields that nobody knows. Bytes are changed where they stand, in the
    /// order of reading, up to the first mistake.
    func withoutUnread(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        _ = blank(&bytes, 0..<bytes.count)
        return bytes
    }

    private func blank(_ bytes: inout [UInt8], _ range: Range<Int>) -> Bool {
        var cursor = WireCursor(range)
        while cursor.position < cursor.end {
            let start = cursor.position
            guard let tag = cursor.varint(bytes) else { return false }
            let number = Int(truncatingIfNeeded: tag >> 3)
            guard tag & 7 == 2 else {
                guard WireShape.step(over: tag, bytes, &cursor, depth: 0) else { return false }
                continue
            }
            guard let length = cursor.varint(bytes), let content = cursor.take(length) else { return false }
            if let shape = messages[number] {
                guard shape.blank(&bytes, content) else { return false }
            } else if texts.contains(number) {
                for index in content where bytes[index] >= 0x80 { bytes[index] = UInt8(ascii: "?") }
            } else if unread.contains(number) {
                // Field 15: numbers up to it have their tag in the first byte.
                bytes[start] = bytes[start] & 0x80 | 15 << 3 | 2
            }
        }
        return true
    }

    private static func step(over tag: UInt64, _ bytes: [UInt8], _ cursor: inout WireCursor, depth: Int) -> Bool {
        switch tag & 7 {
        case 0: return cursor.varint(bytes) != nil
        case 1: return cursor.take(8) != nil
        case 2: return cursor.varint(bytes).flatMap { cursor.take($0) } != nil
        case 3:
            // Deeper than any reader goes is a mistake.
            guard depth < 200 else { return false }
            while let inner = cursor.varint(bytes) {
                if inner & 7 == 4 { return inner >> 3 == tag >> 3 }
                guard step(over: inner, bytes, &cursor, depth: depth + 1) else { return false }
            }
            return false
        case 5: return cursor.take(4) != nil
        default: return false
        }
    }
}
