import ConfigKit

/// A settings tree with one of everything, for the tests of decoding and rendering.
struct RoutingSettings: Configurable {
    var listen = HostPort(host: "0.0.0.0", port: 8080)
    var timeout = Duration.seconds(30)
    var maxBody = ByteCount.mebibytes(8)
    var threshold: Ratio = 0.7
    var defaultModel = ""
    var models: [ModelSettings] = []
    var decisions: [DecisionSettings] = []
    var families: [String: FamilySettings] = [:]
    var cache = CacheSettings()
    var apiKey: Secret?
    var labels: [String: String] = [:]
    var trusted: [CIDRBlock] = []
    var extra: ConfigNode = .scalar("")

    static let schema = Schema<Self>("routing", "Where requests go.") {
        Field("listen", \.listen, "The address to listen on.", example: "0.0.0.0:8080")
        Field("timeout", \.timeout, "How long an answer may take.").range(.milliseconds(1) ... .seconds(600))
        Field("max_body", \.maxBody, "The largest request.")
        Field("threshold", \.threshold, "How sure a match must be.")
        Field("default_model", \.defaultModel, "The model of requests that nothing matches.")
        Field("models", \.models, "The models that exist.").count(1...)
        Field("decisions", \.decisions, "Rules, tried in order of priority.")
        Field("families", \.families, "Reasoning families by name.")
        Field("cache", \.cache, "Answers kept for later.")
        Field("api_key", \.apiKey, "The key for upstream services.")
        Field("labels", \.labels, "Words for metrics.")
        Field("trusted", \.trusted, "Addresses whose headers are believed.").alias("trusted_cidrs")
        Field("extra", \.extra, "Handed on as it is.")
        NotSupported("looper", "every request is answered by one model")
    }

    func validate(_ report: inout ValidationReport) {
        guard report.isSound("models") else { return }
        let names = models.map(\.name)
        if !defaultModel.isEmpty, !names.contains(defaultModel) {
            report.unknown(defaultModel, among: names, at: "default_model")
        }
        for (index, decision) in decisions.enumerated() where !names.contains(decision.model) {
            report.unknown(decision.model, among: names, at: "decisions", .index(index), "model")
        }
    }
}

struct ModelSettings: Configurable {
    var name = ""
    var contextTokens = 4096
    var port: Port?
    var address: ServiceURL?

    static let schema = Schema<Self>("model", "One model.") {
        Field("name", \.name, "The name clients ask for.").required().notEmpty()
        Field("context_tokens", \.contextTokens, "The largest prompt.").range(1...1_000_000)
        Field("port", \.port, "Where it listens.").range(1...)
        Field("address", \.address, "Where it is.")
    }
}

struct DecisionSettings: Configurable {
    var model = ""
    var priority = 0
    var rules = RuleNode()

    static let schema = Schema<Self>("decision", "A rule and the model it chooses.") {
        Field("model", \.model, "The model.").required()
        Field("priority", \.priority, "Higher is tried first.").formerly("prio")
        Field("rules", \.rules, "What must hold.")
    }
}

/// Holds nodes of its own type.
struct RuleNode: Configurable {
    enum Operator: String, CaseIterable, ConfigValue {
        case and = "AND"
        case or = "OR"
        case not = "NOT"
    }

    var type: String?
    var name: String?
    var combination: Operator = .and
    var conditions: [RuleNode] = []

    static let schema = Schema<Self>("rule", "A condition, or several combined.") {
        Field("type", \.type, "The kind of signal.")
        Field("name", \.name, "The signal's name.")
        Field("operator", \.combination, "How conditions combine.")
        Field("conditions", \.conditions, "The conditions combined.")
    }
}

struct FamilySettings: Configurable {
    var parameter = TextOrList([])

    static let schema = Schema<Self>("family", "How a family of models is asked to reason.") {
        Field("parameter", \.parameter, "The parameter, or several.")
    }
}

/// Written as a text or as a list of them.
struct TextOrList: ConfigValue, Equatable {
    let texts: [String]

    init(_ texts: [String]) {
        self.texts = texts
    }

    static var configType: ConfigType { .union([.text, .list(.text)]) }

    static func decode(_ node: ConfigNode, with decoder: inout ConfigDecoder) -> TextOrList? {
        if let text = node.text { return TextOrList([text]) }
        guard node.elements != nil else {
            decoder.mismatch(node, expected: "a text or a list of texts")
            return nil
        }
        return decoder.decode([String].self, from: node).map { TextOrList($0) }
    }

    var configNode: ConfigNode { texts.count == 1 ? texts[0].configNode : texts.configNode }
}

struct CacheSettings: Configurable {
    var isEnabled = true
    var ttl = Duration.seconds(3600)
    var token = ""

    static let schema = Schema<Self>("cache", "Answers kept for later.") {
        Field("enabled", \.isEnabled, "Whether answers are kept.")
        Field("ttl", \.ttl, "How long an answer is kept.").unit(.minutes).addition()
        Field("token", \.token, "The store's password.").secret()
    }
}

extension ConfigResult {
    /// The diagnostics as text, for comparing.
    var messages: [String] { diagnostics.map(\.description) }
}

/// Options whose environment holds only `variables`.
func options(strict: Bool = false, _ variables: [String: String] = [:]) -> DecodingOptions {
    DecodingOptions(isStrict: strict, environment: ProcessEnvironment { variables[$0] })
}
