import Testing
import Tokenizers

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Prints what tokenizers cost, in a release build:
///
///     SEXTANT_TOKENIZER_BENCHMARK=1 SEXTANT_TOKENIZER_FILES=a.json:b.json swift test -c release --filter TokenizerBenchmark
///
/// Asserts nothing about time.
@Suite(.serialized)
struct TokenizerBenchmark {
    static let isWanted = getenv("SEXTANT_TOKENIZER_BENCHMARK") != nil
    static let files =
        TokenizerGoldenTests.families.map { Fixture.path("\($0).json") } + TokenizerGoldenTests.namedFiles

    @Test("what a tokenizer costs", .enabled(if: isWanted), arguments: files)
    func cost(path: String) throws {
        let clock = ContinuousClock()
        var loads: [Duration] = []
        for _ in 0..<3 { loads.append(try clock.measure { _ = try Tokenizer(path: path) }) }
        let tokenizer = try Tokenizer(path: path)
        var line = "\(path.split(separator: "/").last ?? ""): load \(milliseconds(loads.min() ?? .zero)) ms;"
        for (name, text) in Self.samples {
            let tokens = tokenizer.encode(text, addsSpecialTokens: false).count
            let rounds = max(1, 200_000 / text.utf8.count)
            var best = Duration.seconds(1000)
            for _ in 0..<5 {
                best = min(
                    best,
                    clock.measure {
                        for _ in 0..<rounds { precondition(tokenizer.encode(text).count >= tokens) }
                    }
                )
            }
            let nanoseconds = Double(best.components.attoseconds) / 1e9 + Double(best.components.seconds) * 1e9
            let each = nanoseconds / Double(rounds * max(tokens, 1))
            line += " \(name) \(tokens) tokens \(Int(each)) ns each;"
        }
        print(line)
    }

    private static let samples: [(String, String)] = [
        (
            "English",
            String(
                repeating: """
                    Please explain how the garbage collector decides when to run and what it costs us, then compare both.
                    The server answered 1,024 requests in 3.5 seconds; isn't that a bit slow for "production" use?

                    """,
                count: 8
            )
        ),
        (
            "code",
            String(repeating: "    for (int i = 0; i < count; ++i) { total += values[i] * weights[i]; }\n", count: 16)
        ),
        (
            "Russian",
            String(repeating: "Объясните, пожалуйста, как сборщик мусора решает, когда ему работать. ", count: 12)
        ),
        ("Chinese", String(repeating: "请解释一下垃圾回收器如何决定何时运行，以及它会带来多少开销，然后比较这两种方法。", count: 12)),
        ("short", "What is the capital of France?"),
    ]

    private func milliseconds(_ duration: Duration) -> Double {
        let value = Double(duration.components.attoseconds) / 1e15 + Double(duration.components.seconds) * 1e3
        return Double(Int(value * 10)) / 10
    }
}
