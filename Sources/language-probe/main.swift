import LanguageDetection

/// A tool of scripts/evaluate-language-model: answers every line of the input with `CODE CONFIDENCE`, or, with the
/// argument `cost`, prints the time of one detection at several lengths.
let detector = LanguageDetector()

func detect(_ text: String) -> DetectedLanguage? {
    var text = text
    return text.withUTF8 { detector.detect(UnsafeRawBufferPointer($0)) }
}

if CommandLine.arguments.dropFirst().first == "cost" {
    let sentence =
        "Please explain how the garbage collector decides when to run and what it costs us, then compare both. "
    let russian =
        "Объясните, пожалуйста, как сборщик мусора решает, когда ему работать, и сколько это нам стоит сегодня. "
    let chinese = "请解释一下垃圾回收器如何决定何时运行，以及它会给我们带来多少开销，然后比较这两种方法。"
    for (name, unit) in [("Latin", sentence), ("Cyrillic", russian), ("Han", chinese)] {
        for bytes in [20, 200, 1024, 4096, 65536] {
            let text = Array(String(repeating: unit, count: bytes / unit.utf8.count + 1).utf8.prefix(bytes))
            let rounds = 20_000
            var found = 0
            var best = Duration.seconds(1000)
            for _ in 0..<5 {
                let time = ContinuousClock().measure {
                    for _ in 0..<rounds / 5 {
                        text.withUnsafeBytes { found += detector.detect($0) == nil ? 0 : 1 }
                    }
                }
                best = min(best, time)
            }
            let nanoseconds = Double(best.components.attoseconds) / 1e9 + Double(best.components.seconds) * 1e9
            let microseconds = Double(Int(nanoseconds / Double(rounds / 5) / 10 + 0.5)) / 100
            print("\(name) \(bytes) B: \(microseconds) µs")
        }
    }
} else {
    while let line = readLine() {
        if let found = detect(line) { print(found.code, found.confidence) } else { print("-", 0) }
    }
}
