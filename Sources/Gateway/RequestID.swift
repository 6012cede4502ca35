import Instruments
import OpenAIWire
import Synchronization

/// Makes ids for requests that come without one, and judges those that clients send.
package struct RequestIDs: Sendable {
    private static let counter = Atomic<UInt64>(0)
    private let seeds: (UInt64, UInt64)

    /// Seeds differ per process, so that replicas do not make the same ids.
    package init(using random: inout some RandomNumberGenerator) {
        seeds = (random.next(), random.next())
    }

    /// The client's id if it can be used, else a new one.
    package func id(for claimed: String?) -> String {
        guard let claimed, RoutingHeaders.isUsable(requestID: claimed) else { return make() }
        return claimed
    }

    /// A UUID of version 4's shape (RFC 9562), from a counter mixed by SplitMix64: unique within the
    /// process by construction, and without the system call that the system's random numbers cost.
    func make() -> String {
        let count = Self.counter.wrappingAdd(1, ordering: .relaxed).newValue
        let high = SplitMix64.mixed(seeds.0, step: count) & ~0xF000 | 0x4000
        let low = SplitMix64.mixed(seeds.1, step: count) & ~(0b11 << 62) | (0b10 << 62)
        return String(unsafeUninitializedCapacity: 36) { bytes in
            var position = 0
            for index in 0..<32 {
                if index == 8 || index == 12 || index == 16 || index == 20 {
                    bytes[position] = UInt8(ascii: "-")
                    position += 1
                }
                let word = index < 16 ? high : low
                let digit = UInt8(truncatingIfNeeded: word >> (60 - 4 * (index % 16))) & 0xF
                bytes[position] = digit < 10 ? 0x30 + digit : 0x57 + digit
                position += 1
            }
            return 36
        }
    }
}
