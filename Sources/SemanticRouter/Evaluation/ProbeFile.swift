package import ConfigKit

/// A file of probes: prompts with the decision that a policy shall make of them, in upstream's manifest layout.
package struct ProbeFile: Configurable {
    package var schemaVersion = "v1"
    package var name = ""
    package var description = ""
    package var decisions: [ProbeGroup] = []
    package var acceptance = ProbeAcceptance()

    package init() {}

    package static let schema = Schema<Self>("probes", "Prompts with the decision that a policy shall make of them.") {
        Field("schema_version", \.schemaVersion, "The layout of this file.").check("must be v1") { $0 == "v1" }
        Field("name", \.name, "The name of the set.")
        Field("description", \.description, "For people.")
        Field("decisions", \.decisions, "Probes by the decision that is expected.").required().count(1...)
        Field("acceptance", \.acceptance, "How many probes must pass.")
        NotSupported("routing_assets", "the policy is given by --config")
        NotSupported("router_eval_endpoint", "probes are judged in this process")
        NotSupported("evaluation", "probes are judged in this process")
        NotSupported("coverage", "how much the probes cover is not judged")
    }
}

package struct ProbeAcceptance: Configurable {
    package var minProbePassRate = 100.0
    package var minDecisionPassRate = 100.0

    package init() {}

    package static let schema = Schema<Self>("acceptance", "How many probes must pass.") {
        Field("min_probe_pass_rate", \.minProbePassRate, "Percent of all probes.").range(0...100)
        Field("min_decision_pass_rate", \.minDecisionPassRate, "Percent of each decision's probes.").range(0...100)
    }
}

/// Probes that shall make one decision.
package struct ProbeGroup: Configurable {
    package var id: String?
    package var model: String?
    package var expectedDecision = ""
    package var expectedRecipe: String?
    package var expectedAlgorithm: String?
    package var expectedPlugins: [String] = []
    package var forbiddenPlugins: [String] = []
    package var expectedAlias: String?
    package var expectedSignals: [String: [String]] = [:]
    package var objective = ""
    package var notes = ""
    package var variants: [Probe] = []

    package init() {}

    package static let schema = Schema<Self>("probe group", "Probes that shall make one decision.") {
        Field("id", \.id, "The group's name.")
        Field("model", \.model, "The model that the probes ask for. Default: one that asks for a choice.")
        Field("expected_decision", \.expectedDecision, "The decision's name.").required().notEmpty()
        Field("expected_recipe", \.expectedRecipe, "The recipe that decides.")
        Field("expected_algorithm", \.expectedAlgorithm, "The decision's algorithm.")
        Field("expected_plugins", \.expectedPlugins, "Plugins that the decision must have.")
        Field("forbidden_plugins", \.forbiddenPlugins, "Plugins that it must not have.")
        Field("expected_alias", \.expectedAlias, "A model among the decision's.")
        Field("expected_signals", \.expectedSignals, "Signals that must be present, by kind.")
        Field("objective", \.objective, "For people.")
        Field("notes", \.notes, "For people.")
        Field("variants", \.variants, "The probes.").required().count(1...)
    }
}

/// One prompt.
package struct Probe: Configurable {
    package var id: String?
    package var query: String?
    package var messages: [ConfigNode] = []
    package var tools: [ConfigNode] = []
    package var repetitions = 1
    package var expectedSignals: [String: [String]] = [:]
    package var tags: [String] = []
    package var notes = ""

    package init() {}

    package static let schema = Schema<Self>("probe", "One prompt.") {
        Field("id", \.id, "The probe's name.")
        Field("query", \.query, "What the user says.").verbatim()
        Field("messages", \.messages, "The conversation, in place of `query`.").verbatim()
        Field("tools", \.tools, "The tools of the request.").verbatim()
        Field("repeat", \.repetitions, "How often `query` stands in the prompt, line by line.").range(1...10_000)
        Field("expected_signals", \.expectedSignals, "Signals that must be present, by kind.")
        Field("tags", \.tags, "For people.")
        Field("notes", \.notes, "For people.")
    }

    package func validate(_ report: inout ValidationReport) {
        if (query == nil) == messages.isEmpty, report.isSound("query"), report.isSound("messages") {
            report.error("needs either a `query` or `messages`", atPath: [])
        }
        // 16 MiB of text are more than any model takes.
        if let query, query.utf8.count * repetitions > 16 << 20 {
            report.error("makes a prompt of more than 16 MiB", at: "repeat")
        }
    }
}
