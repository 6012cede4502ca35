import ClassifierEngine
import Glibc
import Instruments
import Resilience
import Synchronization
import Tokenizers

/// A tool of Benchmarks/models.py. Answers with JSON, a line for each question:
///
///     classifier-probe load MODELS LIBRARY               what loading the default models takes, in time and memory
///     classifier-probe export MODELS NAME PRECISION FILE the ONNX model that the engine builds
///     classifier-probe outdated MODELS NAME PRECISION FILE  whether export would write another than is there
///     classifier-probe measure MODELS LIBRARY            reads `NAME PRECISION TOKENS ROUNDS [TEXTS]`: milliseconds of each
///                                                    run, and memory
///     classifier-probe static MODELS TOKENS              milliseconds of a static embedding, tokenizing included
///     classifier-probe tokenize MODELS NAME              nanoseconds for a token
///     classifier-probe budget MODELS LIBRARY RATE SECONDS  unique texts under deadlines of 10 ms, and the peak
struct Failure: Error, CustomStringConvertible {
    let description: String
}

func read(_ clock: clockid_t) -> Double {
    var time = timespec()
    clock_gettime(clock, &time)
    return Double(time.tv_sec) * 1e3 + Double(time.tv_nsec) / 1e6
}

func quantile(_ values: [Double], _ share: Double) -> Double {
    guard !values.isEmpty else { return 0 }
    let sorted = values.sorted()
    return sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
}

func rounded(_ value: Double) -> Double { (value * 10_000).rounded() / 10_000 }

/// A line of /proc/self/status, in MiB.
func memory(_ name: String) -> Double {
    guard let file = fopen("/proc/self/status", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, Int32(line.count), file) != nil {
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard text.hasPrefix(name + ":") else { continue }
        return (Double(text.filter { ("0"..."9").contains($0) }) ?? 0) / 1024
    }
    return 0
}

func settings(_ precision: String) -> TextModel.Settings {
    TextModel.Settings(precision: precision == "int8" ? .int8 : .float32)
}

/// The folder of a model: with int8 the one whose weights can be made so.
func folder(_ models: String, _ name: String, _ precision: String) -> String {
    let unpacked = "\(models)/\(name)-weights"
    return precision == "int8" && access(unpacked + "/config.json", R_OK) == 0 ? unpacked : "\(models)/\(name)"
}

// MARK: Commands

func load(_ models: String, _ library: String) throws {
    var all = ClassifierModels.Settings()
    all.library = library
    for name in ["all-MiniLM-L6-v2", "rampart"] {
        var entry = ClassifierModels.Entry(name: name, folder: folder(models, name, "int8"))
        entry.settings.encoder.model.precision = .int8
        all.encoders.append(entry)
    }
    all.staticModels = [("potion-base-8M", models + "/potion-base-8M")]
    let start = read(CLOCK_MONOTONIC)
    var problems: [String] = []
    let loaded = ClassifierModels(all, registry: MetricRegistry()) { problems.append("\($0): \($1)") }
    let seconds = (read(CLOCK_MONOTONIC) - start) / 1e3
    guard problems.isEmpty else { throw Failure(description: problems.joined(separator: "\n")) }
    print(
        #"{"seconds":\#(rounded(seconds)),"rss_mib":\#(rounded(memory("VmRSS"))),"peak_mib":\#(rounded(memory("VmHWM"))),"models":\#(loaded.encoders.count + loaded.staticModels.count)}"#
    )
}

func export(_ models: String, _ name: String, _ precision: String, _ file: String) throws {
    let bytes = try TextModel.export(folder: folder(models, name, precision), settings: settings(precision))
    guard let output = fopen(file, "w") else {
        throw Failure(description: "\(file): \(String(cString: strerror(errno)))")
    }
    defer { fclose(output) }
    let written = bytes.withUnsafeBytes { fwrite($0.baseAddress, 1, $0.count, output) }
    // A disk that is full says so at the latest when the bytes have left the buffers.
    guard written == bytes.count, fflush(output) == 0, fsync(fileno(output)) == 0 else {
        throw Failure(description: "\(file) cannot be written whole: \(String(cString: strerror(errno)))")
    }
    print(#"{"bytes":\#(bytes.count)}"#)
}

func isOutdated(_ models: String, _ name: String, _ precision: String, _ file: String) throws {
    let folder = folder(models, name, precision)
    let isMissing = access(file, F_OK) != 0
    let isOutdated = try isMissing || TextModel.isOutdated(file, folder: folder, settings: settings(precision))
    print(#"{"outdated":\#(isOutdated)}"#)
}

func measure(_ models: String, _ library: String) throws {
    let runtime = try OnnxRuntime(path: library)
    print(#"{"version":"\#(runtime.version)"}"#)
    // All streams.
    fflush(nil)
    var loaded: [String: TextModel] = [:]
    while let line = readLine() {
        let words = line.split(separator: " ").map(String.init)
        guard words.count >= 4, let tokens = Int(words[2]), let rounds = Int(words[3]),
            let texts = words.count == 4 ? 1 : Int(words[4])
        else {
            throw Failure(description: "NAME PRECISION TOKENS ROUNDS [TEXTS] are asked for")
        }
        let key = words[0] + words[1]
        let model =
            try loaded[key]
            ?? TextModel(folder: folder(models, words[0], words[1]), runtime: runtime, settings: settings(words[1]))
        loaded[key] = model
        // The same as in Benchmarks/harness/onnx_yardstick.py.
        let sequence = TokenSequence(ids: [101] + (0..<tokens - 2).map { Int32(1000 + $0 * 37 % 15_000) } + [102])
        let batch = [TokenSequence](repeating: sequence, count: texts)
        for _ in 0..<min(3, rounds) { try model.run(batch) { _, _ in } }
        var wall: [Double] = []
        var processor: [Double] = []
        for _ in 0..<rounds {
            let start = (read(CLOCK_MONOTONIC), read(CLOCK_THREAD_CPUTIME_ID))
            try model.run(batch) { _, _ in }
            wall.append(read(CLOCK_MONOTONIC) - start.0)
            processor.append(read(CLOCK_THREAD_CPUTIME_ID) - start.1)
        }
        print(
            #"{"wall":\#(wall.map(rounded)),"cpu":\#(processor.map(rounded)),"rss_mib":\#(rounded(memory("VmRSS"))),"peak_mib":\#(rounded(memory("VmHWM")))}"#
        )
        fflush(nil)
    }
}

/// English without repetitions that a cache of words would profit from.
func text(tokens: Int) -> String {
    let words = [
        "the", "quick", "answer", "to", "a", "long", "question", "about", "river", "water", "and", "stone", "is",
        "that",
        "people", "measure", "time", "in", "many", "ways", "while", "birds", "travel", "south",
    ]
    return (0..<tokens).map { words[($0 * 7 + $0 / 24) % words.count] }.joined(separator: " ")
}

func embedStatically(_ models: String, _ tokens: Int) throws {
    let model = try StaticModel("potion", folder: models + "/potion-base-8M")
    let text = text(tokens: tokens)
    var times: [Double] = []
    for _ in 0..<200 {
        let start = read(CLOCK_THREAD_CPUTIME_ID)
        _ = try model.embed(text)
        times.append(read(CLOCK_THREAD_CPUTIME_ID) - start)
    }
    print(#"{"p50":\#(rounded(quantile(times, 0.5))),"p99":\#(rounded(quantile(times, 0.99)))}"#)
}

func tokenize(_ models: String, _ name: String) throws {
    let tokenizer = try Tokenizer(path: "\(models)/\(name)/tokenizer.json")
    let text = text(tokens: 1_000)
    var times: [Double] = []
    var tokens = 0
    for _ in 0..<200 {
        let start = read(CLOCK_THREAD_CPUTIME_ID)
        tokens = tokenizer.encode(text).count
        times.append((read(CLOCK_THREAD_CPUTIME_ID) - start) * 1e6 / Double(tokens))
    }
    print(#"{"tokens":\#(tokens),"nanoseconds":\#(rounded(quantile(times, 0.5)))}"#)
}

// MARK: The budget

/// What became of calls.
final class Tally: Sendable {
    struct Outcomes {
        var answered = 0
        var refused = 0
        var late = 0
        var milliseconds: [Double] = []
    }

    private let outcomes = Mutex(Outcomes())

    func add(_ result: Result<TextAnswer, ComputeError>, after milliseconds: Double) {
        outcomes.withLock { outcomes in
            outcomes.milliseconds.append(milliseconds)
            switch result {
            case .success: outcomes.answered += 1
            case .failure(.deadline): outcomes.late += 1
            case .failure: outcomes.refused += 1
            }
        }
    }

    var all: Outcomes { outcomes.withLock { $0 } }
}

func budget(_ models: String, _ library: String, rate: Double, seconds: Double) throws {
    var encoder = ServingModel.Settings()
    encoder.encoder.model.precision = .int8
    let pool = try ComputePool(.init(schedule: .init(threads: 2)))
    let model = try ServingModel(
        "all-MiniLM-L6-v2",
        folder: models + "/all-MiniLM-L6-v2",
        runtime: OnnxRuntime(path: library),
        settings: encoder,
        on: pool,
        metrics: ComputeMetrics(registry: MetricRegistry())
    )
    let numbers = Atomic<Int>(0)
    /// 8 to 40 words, each text another.
    @Sendable func prompt() -> String {
        let number = numbers.add(1, ordering: .relaxed).newValue
        return "question \(number) " + text(tokens: 6 + number * 13 % 33)
    }
    /// As many as are answered: 64 under way, with time for all.
    func peak() -> Double {
        let tally = Tally()
        let underWay = Atomic<Int>(0)
        let start = read(CLOCK_MONOTONIC)
        while read(CLOCK_MONOTONIC) - start < seconds * 500 {
            guard underWay.load(ordering: .relaxed) < 64 else {
                usleep(100)
                continue
            }
            underWay.add(1, ordering: .relaxed)
            model.submit(prompt(), by: .now() + .seconds(10)) { result in
                tally.add(result, after: 0)
                underWay.subtract(1, ordering: .relaxed)
            }
        }
        let end = read(CLOCK_MONOTONIC)
        while underWay.load(ordering: .relaxed) > 0 { usleep(100) }
        return Double(tally.all.answered) / (end - start) * 1e3
    }
    func offered() -> Tally.Outcomes {
        let tally = Tally()
        let count = Int(rate * seconds)
        let start = read(CLOCK_MONOTONIC)
        for index in 0..<count {
            let due = start + Double(index) / rate * 1e3
            let wait = due - read(CLOCK_MONOTONIC)
            if wait > 0.05 { usleep(UInt32(wait * 1e3)) }
            let begin = read(CLOCK_MONOTONIC)
            model.submit(prompt(), by: .now() + .milliseconds(10)) { result in
                tally.add(result, after: read(CLOCK_MONOTONIC) - begin)
            }
        }
        while tally.all.milliseconds.count < count { usleep(1000) }
        return tally.all
    }
    _ = peak()
    let before = peak()
    let found = offered()
    let after = peak()
    pool.stop()
    let throughput = Double(found.answered) / seconds
    print(
        #"{"peak":\#(rounded((before + after) / 2)),"throughput":\#(rounded(throughput)),"answered":\#(found.answered),"refused":\#(found.refused),"late":\#(found.late),"p50":\#(rounded(quantile(found.milliseconds, 0.5))),"p99":\#(rounded(quantile(found.milliseconds, 0.99))),"p999":\#(rounded(quantile(found.milliseconds, 0.999))),"longest":\#(rounded(found.milliseconds.max() ?? 0))}"#
    )
}

let arguments = Array(CommandLine.arguments.dropFirst())
do {
    switch (arguments.first, arguments.count) {
    case ("load", 3): try load(arguments[1], arguments[2])
    case ("export", 5): try export(arguments[1], arguments[2], arguments[3], arguments[4])
    case ("outdated", 5): try isOutdated(arguments[1], arguments[2], arguments[3], arguments[4])
    case ("measure", 3): try measure(arguments[1], arguments[2])
    case ("static", 3): try embedStatically(arguments[1], Int(arguments[2]) ?? 128)
    case ("tokenize", 3): try tokenize(arguments[1], arguments[2])
    case ("budget", 5):
        try budget(arguments[1], arguments[2], rate: Double(arguments[3]) ?? 0, seconds: Double(arguments[4]) ?? 0)
    default: throw Failure(description: "see the head of Sources/classifier-probe/main.swift")
    }
} catch {
    let text = "classifier-probe: \(error)\n"
    _ = text.withCString { write(STDERR_FILENO, $0, strlen($0)) }
    exit(1)
}
