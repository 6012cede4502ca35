/// Something that goes wrong on purpose.
///
/// Written as `kind[=value][;rate=0.2][;times=3][;path=/v1/chat]`, in the `--fault` flag, in the request header
/// `x-sim-fault`, and in the list that `POST /sim/faults` takes.
package struct Fault: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        /// `refuse=5`: the port is closed for so many seconds from when the fault is set, and all connections with it, as
        /// when a worker crashes and is started again.
        case refuse(Duration)
        /// `hang`: the request is read and never answered.
        case hang
        /// `status=503`: answers so, with vLLM's error body.
        case status(Int)
        /// `reset`: closes the connection before the answer's head.
        case reset
        /// `reset-mid-stream=3`: closes the connection after so many chunks of a stream (of a whole body: within it).
        case resetMidStream(chunks: Int)
        /// `slow=5`: all times are so many times longer; no difference without latency.
        case slow(Double)
        /// `kv-full`: requests wait as if no KV block were free. While it is set for all requests, the whole worker is
        /// full; in a request's header it means that this request waits for ever.
        case kvFull

        /// As it is written, without its value.
        var name: String {
            switch self {
            case .refuse: "refuse"
            case .hang: "hang"
            case .status: "status"
            case .reset: "reset"
            case .resetMidStream: "reset-mid-stream"
            case .slow: "slow"
            case .kvFull: "kv-full"
            }
        }
    }

    package let kind: Kind
    /// The share of the requests that it hits, 0…1.
    package let rate: Double
    /// How many requests it hits before it is over; nil for no end.
    package let times: Int?
    /// Only paths that start so; nil for all but probes (`/health`, `/ping`), `/metrics` and `/sim/…`.
    package let path: String?

    package init(_ kind: Kind, rate: Double = 1, times: Int? = nil, path: String? = nil) {
        self.kind = kind
        self.rate = rate
        self.times = times
        self.path = path
    }

    /// What is wrong with a fault's text.
    package struct SyntaxError: Error, Hashable, Sendable, CustomStringConvertible {
        package let description: String
    }

    /// Reads the written form.
    package init(_ text: String) throws(SyntaxError) {
        let parts = text.split(separator: ";").map { Self.pair(String($0)) }
        guard let (name, value) = parts.first else { throw SyntaxError(description: "a fault has no kind") }
        kind = try Self.kind(name, value)
        var rate = 1.0
        var times: Int?
        var path: String?
        for (key, value) in parts.dropFirst() {
            switch key {
            case "rate":
                guard let number = Double(value), (0...1).contains(number) else {
                    throw SyntaxError(description: "rate=\(value) is not a number in 0…1")
                }
                rate = number
            case "times":
                guard let number = Int(value), number >= 1 else {
                    throw SyntaxError(description: "times=\(value) is not a whole number of at least 1")
                }
                times = number
            case "path":
                guard value.hasPrefix("/") else {
                    throw SyntaxError(description: "path=\(value) does not begin with /")
                }
                path = value
            default:
                throw SyntaxError(description: "\(key) is not one of rate, times, path")
            }
        }
        self.rate = rate
        self.times = times
        self.path = path
    }

    private static func kind(_ name: String, _ value: String) throws(SyntaxError) -> Kind {
        switch name {
        case "refuse":
            guard let seconds = Double(value), seconds > 0, seconds <= 86_400 else {
                throw SyntaxError(description: "refuse=\(value) is not a number of seconds up to a day")
            }
            return .refuse(.seconds(seconds))
        case "hang": return .hang
        case "reset": return .reset
        case "kv-full": return .kvFull
        case "status":
            guard let status = Int(value), (100...599).contains(status) else {
                throw SyntaxError(description: "status=\(value) is not a status in 100…599")
            }
            return .status(status)
        case "reset-mid-stream":
            guard let chunks = Int(value.isEmpty ? "1" : value), chunks >= 0 else {
                throw SyntaxError(description: "reset-mid-stream=\(value) is not a number of chunks")
            }
            return .resetMidStream(chunks: chunks)
        case "slow":
            guard let factor = Double(value), factor >= 1, factor.isFinite else {
                throw SyntaxError(description: "slow=\(value) is not a factor of at least 1")
            }
            return .slow(factor)
        default:
            throw SyntaxError(
                description: "\(name) is not one of refuse, hang, status, reset, reset-mid-stream, slow, kv-full"
            )
        }
    }

    private static func pair(_ text: String) -> (String, String) {
        let halves = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        func trimmed(_ text: Substring) -> String {
            String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
        return (trimmed(halves.first ?? ""), halves.count == 2 ? trimmed(halves[1]) : "")
    }
}

extension Fault: CustomStringConvertible {
    /// The written form.
    package var description: String {
        var text = kind.name
        switch kind {
        case .refuse(let duration): text += "=\(duration / .seconds(1))"
        case .status(let status): text += "=\(status)"
        case .resetMidStream(let chunks): text += "=\(chunks)"
        case .slow(let factor): text += "=\(factor)"
        case .hang, .reset, .kvFull: break
        }
        if rate != 1 { text += ";rate=\(rate)" }
        if let times { text += ";times=\(times)" }
        if let path { text += ";path=\(path)" }
        return text
    }
}
