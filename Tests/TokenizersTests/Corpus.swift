import NIOCore
import OpenAIWire
import TestRandom
import Testing
import Tokenizers

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// The texts that tokenizers are compared on: written for it, and put together at random from parts.
struct Corpus: Sendable {
    static let standard = Corpus()

    let texts: [String]
    private let fragments: [String]
    private let ranges: [ClosedRange<UInt32>]

    private init() {
        do {
            let document = try JSONDocument(ByteBuffer(string: try Fixture.text("corpus.json")))
            func strings(_ key: String) -> [String] { document.root[key]?.elements.compactMap(\.string) ?? [] }
            texts = strings("texts")
            fragments = strings("fragments")
            ranges =
                document.root["ranges"]?.elements.compactMap { range in
                    guard let first = range[0]?.int, let last = range[1]?.int else { return nil }
                    return UInt32(first)...UInt32(last)
                } ?? []
        } catch {
            preconditionFailure("corpus.json is broken: \(error)")
        }
    }

    /// The text that `scripts/tokenizers/make-tokenizer-fixtures` makes of the same number.
    func randomText(_ number: UInt64) -> String {
        var random = SeededRandom(seed: number)
        func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
        var text = String.UnicodeScalarView()
        for _ in 0..<(1 + below(12)) {
            let kind = below(10)
            if kind < 4 {
                text.append(contentsOf: fragments[below(fragments.count)].unicodeScalars)
            } else if kind < 7 {
                let range = ranges[below(ranges.count)]
                for _ in 0..<(1 + below(3)) {
                    let value = range.lowerBound + UInt32(below(range.count))
                    if let scalar = Unicode.Scalar(value) { text.append(scalar) }
                }
            } else {
                let source = Array(texts[below(texts.count)].unicodeScalars)
                let start = below(source.count + 1)
                text.append(contentsOf: source[start...].prefix(below(12)))
            }
        }
        return String(text)
    }
}

extension Tokenizer {
    /// The tokens of an encoding as their file writes them.
    func tokens(of encoding: Encoding) -> [String] { encoding.ids.map { token(of: $0) ?? "" } }
}

/// Files beside the tests.
enum Fixture {
    static func path(_ name: String) -> String {
        // This source file lies beside the folder.
        let folder = #filePath.prefix(upTo: #filePath.lastIndex(of: "/") ?? #filePath.startIndex)
        return "\(folder)/Fixtures/\(name)"
    }

    static func text(_ name: String) throws -> String { try String(decoding: bytes(path(name)), as: UTF8.self) }

    static func bytes(_ path: String) throws -> [UInt8] {
        let file = try #require(fopen(path, "rb"), "\(path) cannot be opened")
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            guard count > 0 else { return bytes }
            bytes += chunk[..<count]
        }
    }
}
