import Crypto

/// A key or token as it is kept: its SHA-256, never itself, and what it stands for.
package struct Credential<Owner: Sendable>: Sendable {
    /// For people: says whose it is, not what it is.
    package let name: String
    package let owner: Owner
    fileprivate let digest: [UInt8]

    /// - Parameter sha256: the credential's SHA-256 as 64 hexadecimal digits; nil is returned for anything else.
    package init?(name: String, sha256: String, owner: Owner) {
        guard let digest = HexDigits.bytes(of: sha256), digest.count == SHA256.byteCount else { return nil }
        self.name = name
        self.owner = owner
        self.digest = digest
    }
}

/// The credentials that are accepted, and what each stands for.
package struct CredentialStore<Owner: Sendable>: Sendable {
    private let digests: DigestTable
    private let owners: [Owner]

    package init(_ credentials: [Credential<Owner>]) {
        digests = DigestTable(digests: credentials.map(\.digest))
        owners = credentials.map(\.owner)
    }

    /// What the shown secret stands for; nil for one that is not known.
    ///
    /// - Complexity: O(credentials): every one is compared, each in constant time, so that timing tells nothing.
    package func owner(of secret: some StringProtocol) -> Owner? {
        digests.index(of: Array(SHA256.hash(data: Array(secret.utf8)))).map { owners[$0] }
    }
}

/// Apart from the owners, so that the comparison is not generic.
private struct DigestTable: Sendable {
    let digests: [[UInt8]]

    func index(of shown: [UInt8]) -> Int? {
        var found: Int?
        for (index, digest) in digests.enumerated() where Self.areEqualInConstantTime(digest, shown) {
            found = index
        }
        return found
    }

    private static func areEqualInConstantTime(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        var difference: UInt8 = 0
        for index in left.indices { difference |= left[index] ^ right[index] }
        return difference == 0
    }
}

private enum HexDigits {
    static func bytes(of text: String) -> [UInt8]? {
        let values = text.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue.map(UInt8.init) }
        guard values.count == text.utf8.count, values.count.isMultiple(of: 2) else { return nil }
        return stride(from: 0, to: values.count, by: 2).map { values[$0] << 4 | values[$0 + 1] }
    }
}
