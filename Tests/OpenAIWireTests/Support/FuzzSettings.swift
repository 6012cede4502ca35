import Foundation

/// How much the randomised tests do, and with which numbers.
enum FuzzSettings {
    /// Documents of a fuzzing run: `SEXTANT_FUZZ_DOCUMENTS`, or 200 000, which take seconds.
    static let documents = environment("SEXTANT_FUZZ_DOCUMENTS").map(Int.init) ?? 200_000

    /// The seed of every randomised test: `SEXTANT_FUZZ_SEED`, or a fixed one.
    static let seed = environment("SEXTANT_FUZZ_SEED") ?? 20_250_601

    private static func environment(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }
}
