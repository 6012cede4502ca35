package import Logging

/// How a log line looks.
package enum LogFormat: String, CaseIterable, Sendable {
    /// One JSON object a line: `timestamp`, `level`, `logger`, `message`, then the metadata keys in order.
    case json
    /// `2026-01-02T03:04:05.678Z INFO  logger: message key=value`.
    case text
}

extension LogFormat {
    /// A line with its line feed. Line feeds in the parts are escaped, so that a line is always one record.
    ///
    /// - Parameters:
    ///   - time: Nanoseconds since 1970, UTC.
    ///   - metadata: Shown in the order of their keys; values whose key names a secret are replaced (`Redaction`).
    package func line(
        time: Int64,
        level: Logger.Level,
        logger: String,
        message: String,
        metadata: Logger.Metadata
    ) -> [UInt8] {
        var line = LogLine()
        switch self {
        case .json:
            line.write("{\"timestamp\":\"")
            line.writeTimestamp(time)
            line.write("\",\"level\":\"")
            line.write(Self.name(of: level))
            line.write("\",\"logger\":")
            line.writeJSON(logger)
            line.write(",\"message\":")
            line.writeJSON(message)
            for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
                line.write(",")
                // A metadata key must not shadow the record's own.
                line.writeJSON(Self.ownKeys.contains(key) ? "metadata." + key : key)
                line.write(":")
                line.writeJSON(key, value)
            }
            line.write("}\n")
        case .text:
            line.writeTimestamp(time)
            line.write(" ")
            line.write(Self.shortName(of: level))
            line.write(" ")
            line.writeBare(logger)
            line.write(": ")
            line.writeBare(message)
            for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
                line.write(" ")
                line.writeBare(key)
                line.write("=")
                line.writeText(key, value)
            }
            line.write("\n")
        }
        return line.bytes
    }

    private static let ownKeys: Set<String> = ["timestamp", "level", "logger", "message"]

    /// The level names of Python's logging, which the tools around vLLM read.
    private static func name(of level: Logger.Level) -> String {
        level.rawValue.uppercased()
    }

    /// Five letters, so that columns line up.
    private static func shortName(of level: Logger.Level) -> String {
        switch level {
        case .trace: "TRACE"
        case .debug: "DEBUG"
        case .info: "INFO "
        case .notice: "NOTE "
        case .warning: "WARN "
        case .error: "ERROR"
        case .critical: "CRIT "
        }
    }
}

/// The bytes of a log line as they come together.
private struct LogLine {
    var bytes: [UInt8] = []

    init() {
        // A usual line; longer ones grow.
        bytes.reserveCapacity(256)
    }

    mutating func write(_ text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    mutating func writeTimestamp(_ nanoseconds: Int64) {
        UTCTime(nanoseconds: nanoseconds).write(into: &bytes)
    }

    /// Text as a JSON string (RFC 8259, section 7).
    mutating func writeJSON(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        writeEscaped(text, quote: true)
        bytes.append(UInt8(ascii: "\""))
    }

    mutating func writeJSON(_ key: String, _ value: Logger.Metadata.Value) {
        guard !Redaction.isSecret(key) else { return writeJSON(Redaction.replacement) }
        switch value {
        case .string(let text): writeJSON(text)
        case .stringConvertible(let value): writeJSON(value.description)
        case .array(let values):
            write("[")
            for (index, value) in values.enumerated() {
                if index > 0 { write(",") }
                writeJSON("", value)
            }
            write("]")
        case .dictionary(let values):
            write("{")
            for (index, (key, value)) in values.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { write(",") }
                writeJSON(key)
                write(":")
                writeJSON(key, value)
            }
            write("}")
        }
    }

    /// Text without quotes, control characters escaped.
    mutating func writeBare(_ text: String) {
        writeEscaped(text, quote: false)
    }

    /// A value, in quotes when a reader could not see where it ends.
    mutating func writeText(_ key: String, _ value: Logger.Metadata.Value) {
        switch value {
        case _ where Redaction.isSecret(key): write(Redaction.replacement)
        case .string(let text): writeWord(text)
        case .stringConvertible(let value): writeWord(value.description)
        case .array, .dictionary: writeJSON(key, value)
        }
    }

    private mutating func writeWord(_ text: String) {
        let needsQuotes = text.isEmpty || text.utf8.contains { $0 <= 0x20 || $0 == 0x22 || $0 == 0x3D || $0 == 0x5C }
        if needsQuotes { writeJSON(text) } else { writeBare(text) }
    }

    private mutating func writeEscaped(_ text: String, quote: Bool) {
        for byte in text.utf8 {
            switch byte {
            case 0x22 where quote: write("\\\"")
            case 0x5C where quote: write("\\\\")
            case 0x0A: write("\\n")
            case 0x0D: write("\\r")
            case 0x09: write("\\t")
            case 0x00..<0x20, 0x7F:
                write("\\u00")
                bytes.append(Self.hexDigit(byte >> 4))
                bytes.append(Self.hexDigit(byte & 0xF))
            default: bytes.append(byte)
            }
        }
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }
}
