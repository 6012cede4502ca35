import ConfigKit
import HTTPTransport
import Instruments
import NIOCore
import OpenAIWire
import SemanticRouter

/// `sextant config explain`: how a request is routed, and why.
struct ExplainCommand {
    struct Options: Configurable {
        var config: String?
        var prompt: String?
        var request: String?
        var path = "/v1/chat/completions"
        var model: String?
        var user: String?
        var groups: [String] = []
        var served: [String] = []
        var showsAllSettings = false

        static let schema = Schema<Self>("explain", "How a request is routed, and why.") {
            Field("config", \.config, "The policy file.", example: "policy.yaml").required()
            Field("prompt", \.prompt, "What the user says.").verbatim()
            Field("request", \.request, "A file with the body of a request, in place of a prompt.")
            Field("path", \.path, "The path that the body of --request goes to.").check(
                "must be a path that carries text"
            ) {
                TextEndpoint(path: $0) != nil
            }
            Field("model", \.model, "The model that the prompt asks for. Default: one that asks for a choice.")
            Field("user", \.user, "Whose request it is.")
            Field("groups", \.groups, "The user's groups.")
            Field("served", \.served, "The names of the models that workers serve. Default: all.")
            Field("all-settings", \.showsAllSettings, "Whether all settings are shown, not only the general ones.")
        }

        func validate(_ report: inout ValidationReport) {
            if prompt != nil, request != nil { report.error("goes without --request", at: "prompt") }
            if request == nil, report.isWritten("path") { report.error("goes with --request", at: "path") }
        }
    }

    static let reader = CommandLineReader<Options>(command: "sextant config explain", version: Version.text)

    func run(_ arguments: [String]) -> Int32 {
        let options: Options
        switch Self.reader.settings(from: arguments) {
        case .settings(let given): options = given
        case .exit(let status): return status
        }
        let path = options.config ?? ""
        let result = SemanticConfig.load(path, options: .policy(isStrict: false))
        guard let config = result.value else {
            for line in result.diagnostics.condensedLines { Console.complain(line) }
            return 1
        }
        let router = SemanticRouter(config, metrics: SemanticMetrics())
        do throws(RouterError) {
            if let request = try request(options, router) {
                let explanation = router.explain(request) { options.served.isEmpty || options.served.contains($0) }
                Console.print(ExplanationText(explanation).text(of: request) + "\n")
            }
        } catch {
            Console.complain("\(options.request ?? "--prompt"): \(error.message)")
            return 1
        }
        Console.print("Settings")
        for setting in result.explained() where options.showsAllSettings || Self.isGeneral(setting.path) {
            Console.print("  \(setting)")
        }
        return 0
    }

    /// What holds for every request.
    private static func isGeneral(_ path: String) -> Bool {
        path.hasPrefix("global.") || path.hasPrefix("providers.defaults.") || path == "routing.strategy"
    }

    /// Nil where none was given.
    private func request(_ options: Options, _ router: SemanticRouter) throws(RouterError) -> InboundRequest? {
        let model = options.model ?? router.config.global.router.automaticName
        let endpoint = TextEndpoint(path: options.path) ?? .chatCompletions
        let body: ByteBuffer
        if let prompt = options.prompt {
            let message = JSONFragment.object([("role", "user"), ("content", JSONFragment(prompt))])
            body = JSONFragment.object([("model", JSONFragment(model)), ("messages", .array([message]))]).bytes
        } else if let path = options.request {
            guard let bytes = SystemFiles().contents(of: path) else {
                throw .invalidRequest("cannot be read")
            }
            body = ByteBuffer(bytes: bytes)
        } else {
            return nil
        }
        return InboundRequest(
            try TextRequest(endpoint: options.prompt == nil ? endpoint : .chatCompletions, body: body),
            identity: Identity(user: options.user, groups: options.groups),
            wantsDebugHeaders: true
        )
    }
}
