import NIOCore

/// The header fields of one message of Envoy's, where they stand in it: none is copied until somebody asks for it.
package struct HeaderFields: Sendable {
    private struct Entry {
        let name: Range<Int>
        let value: Range<Int>
    }

    private let message: ByteBuffer
    private var entries: [Entry] = []

    /// Fields of `message`, none yet.
    init(message: ByteBuffer) {
        self.message = message
    }

    mutating func add(name: Range<Int>, value: Range<Int>) {
        if entries.isEmpty { entries.reserveCapacity(16) }
        entries.append(Entry(name: name, value: value))
    }

    package var count: Int { entries.count }

    /// Names and values in order. What is no UTF-8 is repaired.
    package var all: [(name: String, value: String)] {
        message.withUnsafeReadableBytes { bytes in
            entries.map {
                (String(decoding: bytes[$0.name], as: UTF8.self), String(decoding: bytes[$0.value], as: UTF8.self))
            }
        }
    }

    /// The value of the first field of that name, which must be lower-case: Envoy has lower-cased them all.
    package func first(_ name: StaticString) -> String? {
        message.withUnsafeReadableBytes { bytes in
            for entry in entries where Self.isEqual(bytes[entry.name], name) {
                return String(decoding: bytes[entry.value], as: UTF8.self)
            }
            return nil
        }
    }

    /// All values of a name, which must be lower-case.
    package func values(_ name: String) -> [String] {
        message.withUnsafeReadableBytes { bytes in
            entries.compactMap { entry in
                bytes[entry.name].elementsEqual(name.utf8) ? String(decoding: bytes[entry.value], as: UTF8.self) : nil
            }
        }
    }

    /// The names that begin with a text, in order.
    package func names(beginning prefix: StaticString) -> [String] {
        message.withUnsafeReadableBytes { bytes in
            entries.compactMap { entry in
                let name = bytes[entry.name]
                guard name.count >= prefix.utf8CodeUnitCount,
                    Self.isEqual(UnsafeRawBufferPointer(rebasing: name.prefix(prefix.utf8CodeUnitCount))[...], prefix)
                else { return nil }
                return String(decoding: name, as: UTF8.self)
            }
        }
    }

    private static func isEqual(_ bytes: Slice<UnsafeRawBufferPointer>, _ text: StaticString) -> Bool {
        guard bytes.count == text.utf8CodeUnitCount else { return false }
        let start = text.utf8Start
        var offset = 0
        for byte in bytes {
            guard byte == start[offset] else { return false }
            offset += 1
        }
        return true
    }
}
