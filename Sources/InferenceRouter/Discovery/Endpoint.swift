package import HTTPTransport

/// A worker as discovery knows it: a value.
package struct Endpoint: Hashable, Sendable {
    /// Stable across restarts for the same address, so that `?id=` in a script keeps its meaning.
    package let id: String
    package let origin: Origin
    /// The address with its port, which metrics and logs show as `server`.
    package let url: String
    /// Names of the models that it serves, without aliases.
    package let models: [String]
    /// By model, its share of that model's requests, above 0. A model that is not here has 1.
    package let weights: [String: Double]

    package init(origin: Origin, models: [String], weights: [String: Double] = [:]) {
        self.origin = origin
        self.weights = weights
        url = origin.description
        id = Self.identifier(of: url)
        self.models = models
    }

    /// FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/), in 16 hexadecimal digits.
    private static func identifier(of url: String) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in url.utf8 {
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3
        }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
