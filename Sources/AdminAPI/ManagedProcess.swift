package import NIOCore
package import OpenAIWire

/// What the management API knows of the process that it speaks for. What is nil is not there: its path is a 404, if nothing
/// else is said.
package struct ManagedProcess: Sendable {
    /// `sextant-gateway`.
    package let service: String
    package let version: String
    /// The time, as RFC 3339.
    package let timestamp: @Sendable () -> String
    package let readiness: @Sendable () -> Readiness
    /// What is built in and runs in this process, such as the language detector. `models` has the others.
    package var loadedModels: @Sendable () -> [LoadedModel] = { [] }
    /// The models that run in this process, not those that workers serve. Without them the paths that ask them are there
    /// and answer 503, as upstream's.
    package var models: (any ManagedModels)?
    /// What answers take is measured with it.
    package var now: @Sendable () -> NIODeadline = { .now() }
    /// Memory that the process takes; nil where the system does not tell.
    package var residentBytes: @Sendable () -> Double? = { nil }
    /// Takes the request's `accept` header. Runs apart from event loops.
    package var metricsPage: (@Sendable (String?) async -> LocalResponse)?
    /// What clients may ask for.
    package var modelList: (@Sendable () -> ModelList)?
    package var configuration: (@Sendable () -> ConfigurationState)?
    /// Judges a configuration without applying it. Runs apart from event loops.
    package var judge: (@Sendable (ByteBuffer) async -> ConfigurationVerdict)?
    package var evaluate: Evaluate?

    /// Takes the body and the query of `POST /api/v1/eval`.
    package typealias Evaluate = @Sendable (ByteBuffer, String) throws(RouterError) -> JSONFragment

    package init(
        service: String,
        version: String,
        timestamp: @escaping @Sendable () -> String,
        readiness: @escaping @Sendable () -> Readiness
    ) {
        self.service = service
        self.version = version
        self.timestamp = timestamp
        self.readiness = readiness
    }
}

/// How far a process is.
package struct Readiness: Sendable, Hashable {
    package enum Phase: String, Sendable, CaseIterable {
        case starting
        case ready
        /// On its way out: answers under way complete, load balancers should look elsewhere.
        case draining
    }

    package let phase: Phase
    /// For people.
    package let message: String
    /// When the phase began, as RFC 3339.
    package let since: String

    package init(phase: Phase, message: String, since: String) {
        self.phase = phase
        self.message = message
        self.since = since
    }
}

/// The policy file as it was last read, and the one in force.
package struct ConfigurationState: Sendable, Hashable {
    /// Upstream's words.
    package enum Status: String, Sendable {
        /// What was read last is in force.
        case active
        /// What was read last has mistakes; the former one is in force.
        case failed
    }

    /// SHA-256 of the file's bytes, 64 hexadecimal digits.
    package let sourceHash: String
    package let activeHash: String

    package init(sourceHash: String, activeHash: String) {
        self.sourceHash = sourceHash
        self.activeHash = activeHash
    }

    package var status: Status { sourceHash == activeHash ? .active : .failed }
}

/// What is said of a configuration that was handed in.
package struct ConfigurationVerdict: Sendable, Hashable {
    package struct Problem: Sendable, Hashable {
        package enum Severity: String, Sendable {
            case error
            case warning
        }

        package let severity: Severity
        /// From 1; 0 where the problem has no place.
        package let line: Int
        package let column: Int
        /// `routing.decisions[2].model`; empty for the whole.
        package let key: String
        package let message: String

        package init(severity: Severity, line: Int, column: Int, key: String, message: String) {
            self.severity = severity
            self.line = line
            self.column = column
            self.key = key
            self.message = message
        }
    }

    package let problems: [Problem]
    /// False for what is not YAML at all.
    package let isReadable: Bool
    /// The settings with their defaults as YAML, secrets left out; nil when there is an error.
    package let normalized: String?

    package init(problems: [Problem], isReadable: Bool, normalized: String?) {
        self.problems = problems
        self.isReadable = isReadable
        self.normalized = normalized
    }

    package var errors: [Problem] { problems.filter { $0.severity == .error } }
    package var warnings: [Problem] { problems.filter { $0.severity == .warning } }
}
