import ConfigKit
import Instruments
import SemanticRouter

/// `sextant eval`: judges a policy by probes.
struct EvalCommand {
    struct Options: Configurable {
        var config: String?
        var probes: String?
        var judgesRulesOnly = false

        static let schema = Schema<Self>("eval", "Judges a policy by prompts with expected decisions.") {
            Field("config", \.config, "The policy file.", example: "policy.yaml").required()
            Field("probes", \.probes, "The probes file.", example: "probes.yaml").required()
            Field(
                "rules-only",
                \.judgesRulesOnly,
                "Whether only those probes count whose decision does not depend on signals that are not evaluated."
            )
        }
    }

    static let reader = CommandLineReader<Options>(command: "sextant eval", version: Version.text)

    /// 0 where as many probes pass as the file asks for, else 1.
    func run(_ arguments: [String]) -> Int32 {
        let options: Options
        switch Self.reader.settings(from: arguments) {
        case .settings(let given): options = given
        case .exit(let status): return status
        }
        let policy = SemanticConfig.load(options.config ?? "", options: .policy(isStrict: false))
        let probes = ProbeFile.load(options.probes ?? "")
        let mistakes = (policy.diagnostics + probes.diagnostics).filter { $0.severity == .error }
        guard let config = policy.value, let file = probes.value else {
            for mistake in mistakes { Console.complain("\(mistake)") }
            return 1
        }
        let router = SemanticRouter(config, metrics: SemanticMetrics())
        let run = ProbeRun(file, router)
        Console.print(Self.table(run))
        return Self.isAccepted(run, file, rulesOnly: options.judgesRulesOnly) ? 0 : 1
    }

    private static func isAccepted(_ run: ProbeRun, _ file: ProbeFile, rulesOnly: Bool) -> Bool {
        let judged = run.outcomes.filter { !rulesOnly || $0.isSettled }
        func rate(_ outcomes: [ProbeRun.Outcome]) -> Double {
            outcomes.isEmpty ? 100 : 100 * Double(outcomes.count { $0.passes }) / Double(outcomes.count)
        }
        let groups = Dictionary(grouping: judged, by: \.expected)
        return rate(judged) >= file.acceptance.minProbePassRate
            && groups.values.allSatisfy { rate($0) >= file.acceptance.minDecisionPassRate }
    }

    private static func table(_ run: ProbeRun) -> String {
        var lines: [String] = []
        var order: [String] = []
        for outcome in run.outcomes where !order.contains(outcome.expected) { order.append(outcome.expected) }
        let width = (order.map(\.count).max() ?? 0) + 2
        func padded(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(0, width - text.count))
        }
        lines.append("\(padded("decision", width))probes  agree  by rules alone")
        for name in order {
            let outcomes = run.outcomes.filter { $0.expected == name }
            let settled = outcomes.filter(\.isSettled)
            lines.append(
                padded(name, width) + padded("\(outcomes.count)", 8)
                    + padded("\(outcomes.count { $0.agrees })", 7)
                    + "\(settled.count { $0.agrees }) of \(settled.count)"
            )
        }
        let settled = run.outcomes.filter(\.isSettled)
        lines.append(
            padded("all", width) + padded("\(run.outcomes.count)", 8)
                + padded("\(run.outcomes.count { $0.agrees })", 7)
                + "\(settled.count { $0.agrees }) of \(settled.count)"
        )
        let missed = run.outcomes.filter { !$0.passes }
        if !missed.isEmpty { lines += ["", "Misses"] }
        for outcome in missed {
            lines.append("  \(outcome.name)\(outcome.isSettled ? " (settled by rules)" : "")")
            lines += outcome.misses.map { "    \($0)" }
        }
        return lines.joined(separator: "\n")
    }
}
