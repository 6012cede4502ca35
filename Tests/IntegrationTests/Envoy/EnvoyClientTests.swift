import RouterApp
import SimWorker
import TestSupport
import Testing

extension EnvoyTests {
    @Suite("The official OpenAI client, through Envoy")
    struct ClientTests {
        @Test("Models, chat, streams, tools, embeddings and every kind of error, as without Envoy")
        func checks() async throws {
            try await OpenAIChecks.withKeys { keys in
                try await EnvoyStack.with(
                    policy: OpenAIChecks.policy,
                    workers: OpenAIChecks.workers,
                    options: {
                        $0.apiKeysFile = keys
                        $0.defaultModel = "sim-model"
                    }
                ) { chain in
                    await chain.workers[2].refuse()
                    try await OpenAIChecks.run(port: chain.envoy.port)
                }
            }
        }
    }
}
