import HTTPTransport
import NIOCore
import NIOHTTP1
import OpenAIWire
import Synchronization
import TestSupport
import Testing

/// Clients that send requests through Envoy one after the other, while something else goes on.
///
/// The workers echo: that of the model `big` is Sextant's choice, that of `small` the router's when nobody has chosen.
final class EnvoyLoad: Sendable {
    private let chain: EnvoyStack
    private let isOver = Atomic<Bool>(false)
    private let number = Atomic<Int>(0)
    private let counts = Mutex<[Fate: Int]>([:])
    private let seen = Mutex<[String]>([])

    /// What became of a request.
    enum Fate: Hashable {
        /// Answered by the worker that Sextant chooses.
        case routed
        /// Answered by the worker to which a request goes that Sextant has not seen.
        case passed
        /// Answered by Envoy, with a 503 or 504 that says so in the form of the OpenAI API.
        case refused
    }

    /// Runs `body` under load of so many clients. Reports what was wrong with an answer as an issue.
    static func run(on chain: EnvoyStack, clients: Int = 4, _ body: (EnvoyLoad) async throws -> Void) async throws {
        let load = EnvoyLoad(chain)
        try await withThrowingTaskGroup { group in
            for client in 0..<clients {
                group.addTask {
                    while !load.isOver.load(ordering: .relaxed) { await load.request(isStream: client % 2 == 0) }
                }
            }
            let result: Result<Void, any Error>
            do {
                try await body(load)
                result = .success(())
            } catch {
                result = .failure(error)
            }
            load.isOver.store(true, ordering: .relaxed)
            try await group.waitForAll()
            try result.get()
        }
        let problems = load.problems
        #expect(problems.isEmpty, "\(problems.count) of \(load.total): \(problems.prefix(5))")
    }

    private init(_ chain: EnvoyStack) { self.chain = chain }

    func count(_ fate: Fate) -> Int { counts.withLock { $0[fate] ?? 0 } }

    var problems: [String] { seen.withLock { $0 } }
    var total: Int { number.load(ordering: .relaxed) }

    /// Waits until so many more requests have met a fate.
    func wait(for more: Int, _ fate: Fate, within deadline: Duration = .seconds(30)) async {
        let goal = count(fate) + more
        #expect(
            await eventually(within: deadline) { count(fate) >= goal || !problems.isEmpty },
            "\(count(fate)) of \(goal) were \(fate)"
        )
    }

    private func request(isStream: Bool) async {
        let text = "request \(number.add(1, ordering: .relaxed).newValue)"
        do {
            let json = EnvoyTests.chat(text, more: isStream ? #","stream":true"# : "")
            let answer = try await chain.post(EnvoyTests.path, json)
            let fate = try fate(of: answer, text: text, isStream: isStream)
            counts.withLock { $0[fate, default: 0] += 1 }
        } catch {
            seen.withLock { $0.append("\(text): \(error)") }
        }
    }

    private func fate(of answer: FetchedResponse, text: String, isStream: Bool) throws -> Fate {
        switch answer.status {
        case .ok:
            let said = isStream ? try Self.words(of: answer.body) : try Self.message(of: answer.body)
            guard said == text else { throw Unexpected("answered with \(said)") }
            switch answer.headers.first(name: "x-sim-worker") {
            case "b": return .routed
            case "s":
                guard !answer.headers.contains(name: "x-vsr-selected-model") else {
                    throw Unexpected("chosen, and lost")
                }
                return .passed
            case let other: throw Unexpected("answered by \(other ?? "nobody")")
            }
        case .serviceUnavailable, .gatewayTimeout:
            let type = try JSONDocument(answer.body).root["error"]?["type"]?.string
            guard type == "gateway_error" else { throw Unexpected("\(answer.status) of type \(type ?? "none")") }
            return .refused
        default:
            throw Unexpected("\(answer.status): \(String(buffer: answer.body).prefix(200))")
        }
    }

    private static func message(of body: ByteBuffer) throws -> String {
        try JSONDocument(body).root["choices"]?[0]?["message"]?["content"]?.string ?? String(buffer: body)
    }

    private static func words(of body: ByteBuffer) throws -> String {
        var decoder = SSEDecoder()
        decoder.receive(body)
        var text = ""
        while let event = try decoder.next() {
            guard String(buffer: event.data) != "[DONE]" else { return text }
            text += try JSONDocument(event.data).root["choices"]?[0]?["delta"]?["content"]?.string ?? ""
        }
        throw Unexpected("the stream has no end")
    }
}
