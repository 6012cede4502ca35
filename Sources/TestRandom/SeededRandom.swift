#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// A small generator whose whole state is its seed, so that a randomised test's failure can be had again.
///
/// SplitMix64 by Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014).
package struct SeededRandom: RandomNumberGenerator, Sendable {
    /// What a failure is repeated with.
    package let seed: UInt64
    private var state: UInt64

    package init(seed: UInt64) {
        self.seed = seed
        state = seed
    }

    /// Seeded from `SEXTANT_TEST_SEED`, or with a fixed number; the seed is printed.
    package static func fromEnvironment(_ function: String = #function, file: String = #fileID) -> SeededRandom {
        let seed = getenv("SEXTANT_TEST_SEED").flatMap { UInt64(String(cString: $0)) } ?? 20_260_102
        print("\(file) \(function): SEXTANT_TEST_SEED=\(seed)")
        return SeededRandom(seed: seed)
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    /// A number in 0..<bound.
    package mutating func below(_ bound: Int) -> Int { Int(next(upperBound: UInt64(bound))) }

    /// True once in `times` on average.
    package mutating func once(in times: Int) -> Bool { below(times) == 0 }

    package mutating func pick<Element>(_ choices: [Element]) -> Element { choices[below(choices.count)] }
}
