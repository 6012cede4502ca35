import Glibc

/// An IPv4 or IPv6 address.
///
/// An IPv4 address inside IPv6 (`::ffff:10.0.0.1`, RFC 4291 §2.5.5.2) is the IPv4 address: a dual-stack socket reports
/// peers that way, and an allow list must not be passed by writing an address differently.
package struct IPAddress: Hashable, Sendable {
    /// 4 or 16 bytes in network order.
    package let bytes: [UInt8]

    package var isIPv6: Bool { bytes.count == 16 }

    /// Nil unless `text` is one address in its standard form, without brackets or zone.
    package init?(_ text: some StringProtocol) {
        let text = String(text)
        guard !text.utf8.contains(0) else { return nil }
        var version4 = in_addr()
        if inet_pton(AF_INET, text, &version4) == 1 {
            bytes = withUnsafeBytes(of: &version4) { Array($0) }
            return
        }
        var version6 = in6_addr()
        guard inet_pton(AF_INET6, text, &version6) == 1 else { return nil }
        let all = withUnsafeBytes(of: &version6) { Array($0) }
        let isMapped = all[..<10].allSatisfy { $0 == 0 } && all[10] == 0xFF && all[11] == 0xFF
        bytes = isMapped ? Array(all[12...]) : all
    }
}

extension IPAddress: CustomStringConvertible {
    /// The canonical text (RFC 5952).
    package var description: String {
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let family = isIPv6 ? AF_INET6 : AF_INET
        let text = bytes.withUnsafeBytes { inet_ntop(family, $0.baseAddress, &buffer, socklen_t(buffer.count)) }
        return text.map { String(cString: $0) } ?? ""
    }
}

/// A block of addresses: `10.0.0.0/8`, `fd00::/8`, or one address.
package struct CIDRBlock: Hashable, Sendable {
    package let address: IPAddress
    /// How many leading bits an address must share with `address`.
    package let prefixLength: Int

    /// Reads RFC 4632 notation. A block whose address has bits beyond the prefix is refused: it is a slip more often
    /// than a meaning.
    package init(_ text: String) throws(ScalarMistake) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = IPAddress(first) else { throw ScalarMistake() }
        let width = address.bytes.count * 8
        var length = width
        if parts.count == 2 {
            guard let written = Port(digits: parts[1]) else { throw ScalarMistake() }
            // A block written around a mapped IPv4 address counts its prefix in the 128 bits of IPv6.
            length = Int(written.number) - (first.contains(":") && !address.isIPv6 ? 96 : 0)
        }
        guard (0...width).contains(length) else { throw ScalarMistake("its prefix must be from 0 to \(width) bits") }
        let network = address.masked(to: length)
        guard network == address else { throw ScalarMistake("the block is written \(network)/\(length)") }
        self.address = address
        prefixLength = length
    }

    /// True when `other` lies in the block; never across IPv4 and IPv6.
    package func contains(_ other: IPAddress) -> Bool {
        other.bytes.count == address.bytes.count && other.masked(to: prefixLength) == address
    }
}

extension IPAddress {
    private init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// The address with all bits after the first `length` cleared.
    fileprivate func masked(to length: Int) -> IPAddress {
        IPAddress(
            bytes: bytes.enumerated().map { index, byte in
                let kept = min(8, max(0, length - index * 8))
                return byte & ~(kept == 0 ? 0xFF : UInt8(truncatingIfNeeded: 0xFF >> kept))
            }
        )
    }
}

extension CIDRBlock: CustomStringConvertible {
    package var description: String { "\(address)/\(prefixLength)" }
}

extension CIDRBlock: ScalarConfigValue {
    package static var kind: ConfigType.ScalarKind {
        ConfigType.ScalarKind("address block", expected: "a block of addresses such as 10.0.0.0/8 or fd00::/8")
    }

    package static func parse(_ text: String, traits: FieldTraits) throws(ScalarMistake) -> CIDRBlock {
        try CIDRBlock(text)
    }

    package var configText: String { description }
}
