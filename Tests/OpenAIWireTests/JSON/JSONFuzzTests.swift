import Foundation
import Testing

/// Differential fuzzing: what we make of any bytes, valid or not, is what Foundation's parser makes of them.
@Suite struct JSONFuzzTests {
    /// What a share of the documents came to.
    private struct Tally {
        var bytes = 0
        var accepted = 0
        var rejected = 0
        var deviations: [FoundationYardstick.Deviation: Int] = [:]
        var mismatches: [String] = []

        mutating func add(_ other: Tally) {
            bytes += other.bytes
            accepted += other.accepted
            rejected += other.rejected
            deviations.merge(other.deviations, uniquingKeysWith: +)
            mismatches += other.mismatches
        }
    }

    @Test("Random documents get Foundation's verdict and Foundation's values")
    func agreesWithFoundation() async {
        let documents = FuzzSettings.documents
        let seed = FuzzSettings.seed
        let shares = ProcessInfo.processInfo.activeProcessorCount
        let clock = ContinuousClock()
        let start = clock.now
        let tally = await withTaskGroup(of: Tally.self) { group in
            for share in 0..<shares {
                group.addTask { Self.judge(stride(from: share, to: documents, by: shares), seed: seed) }
            }
            return await group.reduce(into: Tally()) { $0.add($1) }
        }
        print("JSON fuzzing: \(documents) documents in \(clock.now - start), SEXTANT_FUZZ_SEED=\(seed)")
        print("  \(tally.bytes) bytes, accepted by both \(tally.accepted), rejected by both \(tally.rejected)")
        for deviation in FoundationYardstick.Deviation.allCases {
            print("  Foundation deviates, \(deviation.rawValue): \(tally.deviations[deviation] ?? 0)")
        }
        let mismatches = tally.mismatches.count
        #expect(mismatches == 0, "\(tally.mismatches.prefix(5).joined(separator: "\n"))")
        // A fuzzer whose documents are nearly all good or nearly all bad tests little.
        #expect(tally.accepted > documents / 5)
        #expect(tally.rejected > documents / 5)
    }

    /// Each document has a seed of its own, so that the number of shares does not change what is tested.
    private static func judge(_ documents: some Sequence<Int>, seed: UInt64) -> Tally {
        var tally = Tally()
        for document in documents {
            var generator = JSONGenerator(seed: seed &+ UInt64(document) &* 0x2545_F491_4F6C_DD1D)
            let bytes = generator.document()
            tally.bytes += bytes.count
            switch FoundationYardstick.judge(bytes) {
            case .accepted: tally.accepted += 1
            case .rejected: tally.rejected += 1
            case .deviating(let deviations):
                for deviation in deviations { tally.deviations[deviation, default: 0] += 1 }
            case .mismatch(let reason):
                let text = String(decoding: bytes, as: UTF8.self).debugDescription
                let hex = bytes.map { String($0, radix: 16) }.joined(separator: " ")
                tally.mismatches.append("document \(document), \(reason): \(text), bytes \(hex)")
            }
        }
        return tally
    }
}
