import TestSupport
import Testing

/// A real Envoy with the configurations of deploy/envoy, `sextant semantic`, `sextant router` and simulated workers.
///
/// One after the other: Envoy's deadlines are real seconds, and a machine with few cores shall keep them.
@Suite("Envoy", .serialized, .timeLimit(.minutes(3)))
enum EnvoyTests {
    /// A policy with a decision of each kind. The workers know `large` as `big`.
    static let policy = """
        version: v0.3
        providers:
          defaults:
            default_model: small
            reasoning_families: {qwen: {type: chat_template_kwargs, parameter: enable_thinking}}
          models:
            - {name: small}
            - {name: large, provider_model_id: big, reasoning_family: qwen}
        routing:
          signals:
            keywords: [{name: proof, keywords: [prove]}, {name: stop, keywords: [forbidden]}]
            role_bindings: [{name: vips, role: vip, subjects: [{kind: group, name: gold}]}]
          decisions:
            - name: proofs
              rules: {type: keyword, name: proof}
              modelRefs: [{model: large, use_reasoning: true}]
              plugins:
                - {type: system_prompt, configuration: {mode: insert, system_prompt: "Be rigorous."}}
                - type: header_mutation
                  configuration:
                    add: [{name: X-Tier, value: gold}]
                    update: [{name: X-Source, value: router}]
                    delete: [X-Debug-Trace]
            - name: refusal
              priority: 5
              rules: {type: keyword, name: stop}
              plugins: [{type: fast_response, configuration: {message: "Not  here, sorry."}}]
            - {name: vip, rules: {type: authz, name: vip}, modelRefs: [{model: large}]}
        """

    static func chat(_ text: String, model: String = "auto", more: String = "") -> String {
        #"{"model":"\#(model)","messages":[{"role":"user","content":"\#(text)"}]\#(more)}"#
    }

    /// What the worker gets when the decision `proofs` has been at a request of `chat`.
    static func proven(_ text: String, more: String = "") -> String {
        #"{"model":"big","messages":[{"role":"system","content":"Be rigorous."},{"role":"user","content":"\#(text)"}]\#(more),"chat_template_kwargs":{"enable_thinking":true}}"#
    }

    static let path = "/v1/chat/completions"
}
