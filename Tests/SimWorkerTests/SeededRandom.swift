import Glibc

/// SplitMix64 (Steele, Lea and Flood, 2014): a repeatable generator for randomised tests.
struct SeededRandom: RandomNumberGenerator {
    let seed: UInt64
    private var state: UInt64

    init(seed: UInt64) {
        self.seed = seed
        state = seed
    }

    /// The seed of `TEST_SEED`, or a fixed one; printed so that a failure can be repeated.
    static func fromEnvironment(line: Int = #line, file: String = #fileID) -> SeededRandom {
        let seed = getenv("TEST_SEED").flatMap { UInt64(String(cString: $0)) } ?? 20_260_102
        print("\(file):\(line) TEST_SEED=\(seed)")
        return SeededRandom(seed: seed)
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
