import NIOCore
import NIOHTTP1
import OpenAIWire

// The answers' shapes. Keys are upstream's; those of Go's runtime and of downloads have no counterpart here and are left
// out or say that there are none.

extension ManagedProcess {
    var healthPage: LocalResponse {
        .json(
            JSONFragment.object([
                ("status", "healthy"), ("service", JSONFragment(service)), ("version", JSONFragment(version)),
            ]).bytes
        )
    }

    var readinessPage: LocalResponse {
        let readiness = readiness()
        let members: [(String, JSONFragment)] = [
            ("status", JSONFragment(readiness.phase.rawValue)), ("service", JSONFragment(service)),
            ("ready", JSONFragment(readiness.isReady)), ("phase", JSONFragment(readiness.phase.rawValue)),
            ("message", JSONFragment(readiness.message)), ("downloading_model", ""), ("pending_models", []),
        ]
        return .json(JSONFragment.object(members + modelCounts("ready_models")).bytes, status: readiness.status)
    }

    var startupPage: LocalResponse {
        let readiness = readiness()
        let members: [(String, JSONFragment)] = readiness.members + modelCounts("ready_models") + since(readiness)
        return .json(JSONFragment.object(members).bytes, status: readiness.status)
    }

    var modelInformationPage: LocalResponse {
        let readiness = readiness()
        let models = allModels.map(\.json)
        let summary: [(String, JSONFragment)] =
            [("ready", JSONFragment(readiness.isReady)), ("phase", JSONFragment(readiness.phase.rawValue))]
            + [("message", JSONFragment(readiness.message))] + modelCounts("loaded_models") + since(readiness)
        let page = JSONFragment.object([
            ("models", .array(models)), ("summary", .object(summary)), ("system", Machine.json(residentBytes())),
        ])
        return .json(page.bytes)
    }

    /// Those of the models that make vectors.
    var embeddingModelsPage: LocalResponse {
        let models = (models?.all ?? []).filter { $0.embedding != nil }.map(\.json)
        return .json(JSONFragment.object([("models", .array(models)), ("count", JSONFragment(models.count))]).bytes)
    }

    private var allModels: [LoadedModel] { loadedModels() + (models?.all ?? []) }

    private func modelCounts(_ loadedKey: String) -> [(String, JSONFragment)] {
        let models = allModels
        return [
            (loadedKey, JSONFragment(models.count(where: \.isLoaded))), ("total_models", JSONFragment(models.count)),
        ]
    }

    private func since(_ readiness: Readiness) -> [(String, JSONFragment)] {
        [("updated_at", JSONFragment(readiness.since))]
    }

    func evaluationPage(_ request: ManagementRequest, by evaluate: Evaluate) -> LocalResponse {
        do throws(RouterError) {
            return .json(try evaluate(request.body, request.query).bytes)
        } catch {
            return error.managementResponse(at: timestamp())
        }
    }

    /// The body is the configuration, or upstream's `{"yaml": "…"}` around it.
    func validationPage(
        _ request: ManagementRequest,
        by judge: @Sendable (ByteBuffer) async -> ConfigurationVerdict
    ) async -> LocalResponse {
        let text = Self.wrappedText(in: request.body) ?? request.body
        guard text.readableBytesView.contains(where: { !Self.whitespace.contains($0) }) else {
            let error = RouterError.invalidRequest("The body holds no configuration.")
            return error.managementResponse(at: timestamp())
        }
        return await judge(text).response(at: timestamp())
    }

    private static let whitespace: Set<UInt8> = [0x20, 0x09, 0x0A, 0x0D]

    private static func wrappedText(in body: ByteBuffer) -> ByteBuffer? {
        (try? JSONDocument(body))?.root["yaml"]?.string.map { ByteBuffer(string: $0) }
    }
}

extension Readiness {
    fileprivate var isReady: Bool { phase == .ready }
    fileprivate var status: HTTPResponseStatus { isReady ? .ok : .serviceUnavailable }

    fileprivate var members: [(String, JSONFragment)] {
        [
            ("phase", JSONFragment(phase.rawValue)), ("ready", JSONFragment(isReady)),
            ("message", JSONFragment(message)),
        ]
    }
}

extension ConfigurationState {
    /// One file is both upstream's source and what it generates from it.
    var json: JSONFragment {
        [
            "hash": JSONFragment(sourceHash), "runtime_hash": JSONFragment(sourceHash),
            "active_hash": JSONFragment(activeHash), "status": JSONFragment(status.rawValue),
        ]
    }
}

extension ConfigurationVerdict {
    /// 200 for a configuration that can be used; else 422, or 400 for what is not YAML, with upstream's error object beside
    /// the mistakes.
    fileprivate func response(at timestamp: String) -> LocalResponse {
        let isValid = errors.isEmpty
        var members: [(String, JSONFragment)] = [("valid", JSONFragment(isValid))]
        if let normalized { members.append(("normalized_yaml", JSONFragment(normalized))) }
        members.append(("errors", .array(errors.map(\.json))))
        members.append(("warnings", .array(warnings.map(\.json))))
        guard !isValid else { return .json(JSONFragment.object(members).bytes) }
        let error = ManagementError(
            isReadable ? "CONFIG_VALIDATION_ERROR" : "YAML_PARSE_ERROR",
            isReadable ? .unprocessableEntity : .badRequest,
            errors.map(\.description).joined(separator: "\n")
        )
        members.append(("error", error.json(at: timestamp)))
        return .json(JSONFragment.object(members).bytes, status: error.status)
    }
}

extension ConfigurationVerdict.Problem {
    fileprivate var json: JSONFragment {
        [
            "severity": JSONFragment(severity.rawValue), "line": JSONFragment(line), "column": JSONFragment(column),
            "key": JSONFragment(key), "message": JSONFragment(message),
        ]
    }

    /// `14:3: routing.decisions[2].model: …`.
    fileprivate var description: String {
        [line > 0 ? "\(line):\(column)" : "", key, message].filter { !$0.isEmpty }.joined(separator: ": ")
    }
}

extension LoadedModel {
    /// What is not known is left out, as upstream does.
    fileprivate var json: JSONFragment {
        var members: [(String, JSONFragment)] = [
            ("name", JSONFragment(name)), ("type", JSONFragment(type)), ("loaded", JSONFragment(isLoaded)),
        ]
        if let path { members.append(("model_path", JSONFragment(path))) }
        if !categories.isEmpty { members.append(("categories", .array(categories.map { JSONFragment($0) }))) }
        let facts = metadata.merging(embeddingFacts) { $1 }.sorted { $0.key < $1.key }
        members.append(("metadata", .object(facts.map { ($0.key, JSONFragment($0.value)) })))
        if let loadTime { members.append(("load_time", JSONFragment(Decimals.seconds(loadTime)))) }
        if let memoryBytes {
            members.append(("memory_usage", JSONFragment(Decimals.megabytes(Double(memoryBytes)))))
        }
        return .object(members)
    }

    /// Under upstream's names; it has none for the lengths that may be asked for.
    private var embeddingFacts: [String: String] {
        guard let embedding else { return [:] }
        return [
            "model_type": name, "max_sequence_length": "\(embedding.maxTokens)",
            "default_dimension": "\(embedding.defaultDimension)",
            "dimensions": embedding.dimensions.map(String.init).joined(separator: ","),
            "matryoshka_supported": "\(embedding.dimensions.count > 1)",
        ]
    }
}

/// What runs the process.
private enum Machine {
    static func json(_ residentBytes: Double?) -> JSONFragment {
        [
            // Upstream's clients look for this key; the value says what it is here.
            "go_version": JSONFragment("Swift \(swiftVersion)"), "architecture": JSONFragment(architecture),
            "os": JSONFragment(system),
            "memory_usage": JSONFragment(residentBytes.map(Decimals.megabytes) ?? "unknown"),
            // Nothing here runs on one.
            "gpu_available": false,
        ]
    }

    /// The compiler's, which is the embedded runtime's.
    private static var swiftVersion: String {
        #if compiler(>=6.4)
        "6.4 or later"
        #elseif compiler(>=6.3)
        "6.3"
        #else
        "6.2"
        #endif
    }

    /// In Go's words, as upstream's.
    private static var architecture: String {
        #if arch(x86_64)
        "amd64"
        #elseif arch(arm64)
        "arm64"
        #else
        "unknown"
        #endif
    }

    private static var system: String {
        #if os(Linux)
        "linux"
        #elseif os(macOS)
        "darwin"
        #else
        "unknown"
        #endif
    }
}

/// Figures as upstream writes them.
private enum Decimals {
    /// `12.34 MB`, a MB being 2²⁰ bytes.
    static func megabytes(_ bytes: Double) -> String {
        "\(text(Int((bytes / 1_048_576 * 100).rounded()), places: 2)) MB"
    }

    /// `1.234s`.
    static func seconds(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        return "\(text(Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000), places: 3))s"
    }

    /// A number that is not negative, counted in its last decimal.
    private static func text(_ number: Int, places: Int) -> String {
        let digits = String(number)
        let padded = String(repeating: "0", count: max(places + 1 - digits.count, 0)) + digits
        return "\(padded.dropLast(places)).\(padded.suffix(places))"
    }
}
