import NIOCore
import NIOHTTP1
import OpenAIWire

extension ManagementRoute {
    /// Every endpoint: the API answers, lists and documents these.
    ///
    /// Paths, permissions and shapes are vLLM Semantic Router's (`pkg/apiserver` as of August 2026) where it has them.
    package static let catalogue: [ManagementRoute] = [
        ManagementRoute(.GET, "/health", needs: .readHealth, "Whether the process answers.") { process in
            .immediate { _ in process.healthPage }
        },
        ManagementRoute(
            .GET,
            "/ready",
            needs: .readReadiness,
            "Whether it should be sent requests: 200, or 503 while it starts or drains."
        ) { process in .immediate { _ in process.readinessPage } },
        ManagementRoute(.GET, "/startup-status", needs: .readReadiness, "The same with what it is doing.") { process in
            .immediate { _ in process.startupPage }
        },
        ManagementRoute(.GET, "/api/v1", needs: .readDocumentation, "This list, for programs.") { process in
            .immediate { _ in process.indexPage }
        },
        ManagementRoute(
            .POST,
            "/api/v1/eval",
            needs: .invokeClassification,
            "What the policy would do with a request, and why. Asks no model, counts nothing.",
            // 1 MiB: a prompt that somebody tries out.
            maxBodyBytes: 1 << 20
        ) { process in
            process.evaluate.map { evaluate in .immediate { process.evaluationPage($0, by: evaluate) } }
        },
        ManagementRoute(
            .POST,
            "/api/v1/embeddings",
            needs: .invokeClassification,
            "One vector for each text.",
            maxBodyBytes: maxTextsBytes
        ) { process in .waiting { await process.embeddingsPage($0) } },
        ManagementRoute(
            .GET,
            "/api/v1/embeddings/models",
            needs: .readConfiguration,
            "The models that make vectors."
        ) { process in .immediate { _ in process.embeddingModelsPage } },
        ManagementRoute(
            .POST,
            "/api/v1/similarity",
            needs: .invokeClassification,
            "How alike two texts are.",
            maxBodyBytes: maxTextsBytes
        ) { process in .waiting { await process.similarityPage($0) } },
        ManagementRoute(
            .POST,
            "/api/v1/similarity/batch",
            needs: .invokeClassification,
            "The texts of a list that are most like one text.",
            maxBodyBytes: maxTextsBytes
        ) { process in .waiting { await process.batchSimilarityPage($0) } },
        ManagementRoute(
            .GET,
            "/info/models",
            needs: .readConfiguration,
            "The models that run in the process, and the machine."
        ) { process in .immediate { _ in process.modelInformationPage } },
        ManagementRoute(
            .GET,
            "/v1/models",
            needs: .readConfiguration,
            "The model names that clients may ask for."
        ) { process in
            process.modelList.map { list in .immediate { _ in .json(list().json) } }
        },
        ManagementRoute(
            .GET,
            "/config/hash",
            needs: .readConfiguration,
            "SHA-256 of the policy file as it was last read, and of the one in force."
        ) { process in
            process.configuration.map { state in .immediate { _ in .json(state().json.bytes) } }
        },
        ManagementRoute(
            .POST,
            "/config/router/validate",
            needs: .readConfiguration,
            "Every mistake in a policy. Applies nothing.",
            // 1 MiB: ten times upstream's exhaustive reference file.
            maxBodyBytes: 1 << 20
        ) { process in
            process.judge.map { judge in .waiting { await process.validationPage($0, by: judge) } }
        },
        metrics,
    ]

    /// 1 MiB, what upstream takes of texts in one request.
    private static let maxTextsBytes = 1 << 20

    /// Also what a port for metrics alone serves.
    package static let metrics = ManagementRoute(
        .GET,
        "/metrics",
        needs: .readMetrics,
        "Metrics as Prometheus text, or as OpenMetrics where `accept` asks for that."
    ) { process in
        process.metricsPage.map { page in .waiting { await page($0.accept) } }
    }
}

extension ManagedProcess {
    /// In the shape of upstream's `GET /api/v1`.
    fileprivate var indexPage: LocalResponse {
        let routes = ManagementRoute.catalogue.filter { $0.handler(self) != nil }
        let endpoints: [JSONFragment] = routes.map { route in
            [
                "path": JSONFragment(route.path), "method": JSONFragment(route.method.rawValue),
                "description": JSONFragment(route.summary), "permission": JSONFragment(route.permission.rawValue),
            ]
        }
        let index: JSONFragment = [
            "service": JSONFragment(service), "version": "v1",
            "description": "Health, configuration and routing decisions of this process.",
            "endpoints": .array(endpoints),
            "links": ["health": "/health", "ready": "/ready", "models": "/info/models"],
        ]
        return .json(index.bytes)
    }
}
