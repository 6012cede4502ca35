import NIOHTTP1

/// The paths of a worker.
enum Route: Sendable {
    enum TextEndpoint: Sendable {
        case embeddings, rerank, score, classify, pooling
    }

    case generate(GenerationRequest.API)
    case text(TextEndpoint)
    case transcriptions
    case tokenize, detokenize
    case models, health, version, metrics
    case sleepState, sleep, wakeUp
    case simRequests, simFaults

    static let all: [String: Route] = [
        "/v1/chat/completions": .generate(.chat),
        "/v1/completions": .generate(.completions),
        "/v1/responses": .generate(.responses),
        "/v1/messages": .generate(.messages),
        "/v1/embeddings": .text(.embeddings),
        "/v1/rerank": .text(.rerank),
        "/v2/rerank": .text(.rerank),
        "/rerank": .text(.rerank),
        "/v1/score": .text(.score),
        "/score": .text(.score),
        "/classify": .text(.classify),
        "/pooling": .text(.pooling),
        "/v1/audio/transcriptions": .transcriptions,
        "/tokenize": .tokenize,
        "/detokenize": .detokenize,
        "/v1/models": .models,
        "/health": .health,
        "/ping": .health,
        "/version": .version,
        "/metrics": .metrics,
        "/is_sleeping": .sleepState,
        "/sleep": .sleep,
        "/wake_up": .wakeUp,
        "/sim/requests": .simRequests,
        "/sim/faults": .simFaults,
    ]

    /// Whether its requests take model time.
    var asksModel: Bool {
        switch self {
        case .generate, .text: true
        default: false
        }
    }

    var methods: [HTTPMethod] {
        switch self {
        case .generate, .text, .transcriptions, .tokenize, .detokenize, .sleep, .wakeUp: [.POST]
        case .models, .version, .metrics, .sleepState: [.GET]
        // SageMaker's probe posts to /ping.
        case .health: [.GET, .POST]
        case .simRequests: [.GET, .DELETE]
        case .simFaults: [.GET, .POST, .DELETE]
        }
    }
}
