import Foundation
import NIOCore
import OpenAIWire
import TestRandom
import Testing

/// Random edits of random documents, against a tree of Foundation's that is edited naively.
@Suite struct JSONEditPropertyTests {
    @Test("Splicing the bytes comes to the same as editing the tree")
    func agreesWithTree() throws {
        let seed = FuzzSettings.seed
        print("JSON edits: SEXTANT_FUZZ_SEED=\(seed)")
        var applied = 0
        var refused = 0
        for number in 0..<UInt64(20_000) {
            var generator = JSONGenerator(seed: seed &+ number &* 0x2545_F491_4F6C_DD1D)
            let bytes = generator.valid(budget: 20)
            // Only documents that Foundation reads as everybody does.
            guard case .accepted = FoundationYardstick.judge(bytes) else { continue }
            let document = try JSONDocument(ByteBuffer(bytes: bytes))
            let edits = (0...generator.random.below(4)).map { _ in randomEdit(of: document, &generator.random) }
            let text = String(decoding: bytes, as: UTF8.self)
            guard !overlap(edits) else {
                refused += 1
                #expect(throws: JSONEditError.self, "\(text) \(edits)") { try edits.applied(to: document) }
                continue
            }
            applied += 1
            let result = try edits.applied(to: document)
            let tree = try JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)
            let expected = try Self.edit(tree, edits.map { ($0.path.steps[...], $0) })
            let difference = FoundationYardstick.difference(try JSONDocument(result).root, expected)
            #expect(difference == nil, "document \(number): \(text) with \(edits) became \(String(buffer: result))")
            try expectOtherBytesKept(document, edits, result, number)
        }
        print("  \(applied) sets of edits applied, \(refused) refused for overlaps")
        #expect(applied > 5_000)
        #expect(refused > 500)
    }

    /// Replacements alone: all bytes between the replaced values must be the old ones.
    private func expectOtherBytesKept(
        _ document: JSONDocument,
        _ edits: [JSONEdit],
        _ result: ByteBuffer,
        _ number: UInt64
    ) throws {
        let sets = try edits.map { edit -> (Range<Int>, JSONFragment)? in
            guard case .set(let path, let fragment) = edit else { return nil }
            var value = document.root
            for step in path.steps {
                switch step {
                case .key(let key):
                    let places = value.members.filter { $0.key.isString(equalTo: key) }
                    guard places.count == 1 else { return nil }
                    value = places[0].value
                case .index(let index):
                    value = try #require(value[index])
                }
            }
            return (value.byteRange, fragment)
        }
        let ranges = sets.compactMap { $0 }
        guard ranges.count == edits.count else { return }
        var bytes = Array(document.bytes.readableBytesView)
        for (range, fragment) in ranges.sorted(by: { $0.0.lowerBound > $1.0.lowerBound }) {
            bytes.replaceSubrange(range, with: fragment.bytes.readableBytesView)
        }
        #expect(bytes == Array(result.readableBytesView), "document \(number)")
    }

    // MARK: Random edits

    private func randomEdit(of document: JSONDocument, _ random: inout SeededRandom) -> JSONEdit {
        var value = document.root
        var steps: [JSONPath.Step] = []
        while !random.once(in: 4) {
            let members = value.members.map { ($0.key.string ?? "").step }
            let elements = value.elements.enumerated().map { JSONPath.Step.index($0.offset) }
            guard let step = (members + elements).randomElement(using: &random) else { break }
            steps.append(step)
            switch step {
            case .key(let key): value = value[key] ?? value
            case .index(let index): value = value[index] ?? value
            }
        }
        let path = JSONPath(steps)
        let fragment: JSONFragment = random.pick([1, "x", [], ["k": [true]], nil, 2.5, "é\n"])
        if value.isArray, random.once(in: 2) {
            let count = value.elements.reduce(0) { count, _ in count + 1 }
            return .insert(path, index: random.below(count + 2) - 1, fragment)
        }
        if value.isObject, random.once(in: 2) {
            return .set(path.appending(.key(random.pick(["new", "a", "model", "ü"]))), fragment)
        }
        return steps.isEmpty || random.once(in: 2) ? .set(path, fragment) : .remove(path)
    }

    /// Whether one edit changes what another names, or what lies around it.
    private func overlap(_ edits: [JSONEdit]) -> Bool {
        edits.enumerated().contains { first, edit in
            if case .insert = edit { return false }
            return edits.enumerated().contains { second, other in
                first != second && other.path.steps.starts(with: edit.path.steps)
            }
        }
    }

    // MARK: The model

    /// The tree after the edits, which are given with the steps that are left of their paths.
    private static func edit(_ tree: Any, _ edits: [(steps: ArraySlice<JSONPath.Step>, edit: JSONEdit)]) throws -> Any {
        for case (let steps, .set(_, let fragment)) in edits where steps.isEmpty { return try value(fragment) }
        if let members = tree as? [String: Any] {
            var result = members
            for key in Set(edits.compactMap { $0.steps.first?.key }) {
                result[key] = try child(members[key], .key(key), edits)
            }
            return result
        }
        guard let elements = tree as? [Any] else { return tree }
        var result: [Any] = []
        for index in 0...elements.count {
            for case (let steps, .insert(_, index: let place, let fragment)) in edits
            where steps.isEmpty && place == index { result.append(try value(fragment)) }
            guard index < elements.count else { break }
            if let element = try child(elements[index], .index(index), edits) { result.append(element) }
        }
        for case (let steps, .insert(_, index: JSONEdit.end, let fragment)) in edits where steps.isEmpty {
            result.append(try value(fragment))
        }
        return result
    }

    private static func child(
        _ old: Any?,
        _ step: JSONPath.Step,
        _ edits: [(steps: ArraySlice<JSONPath.Step>, edit: JSONEdit)]
    ) throws -> Any? {
        let inner = edits.filter { $0.steps.first == step }.map { (steps: $0.steps.dropFirst(), edit: $0.edit) }
        for case (let steps, .remove) in inner where steps.isEmpty { return nil }
        guard let old else {
            for case (let steps, .set(_, let fragment)) in inner where steps.isEmpty { return try value(fragment) }
            return nil
        }
        return try edit(old, inner)
    }

    private static func value(_ fragment: JSONFragment) throws -> Any {
        try JSONSerialization.jsonObject(with: Data(fragment.bytes.readableBytesView), options: .fragmentsAllowed)
    }
}

extension JSONPath.Step {
    fileprivate var key: String? { if case .key(let key) = self { key } else { nil } }
}

extension String {
    fileprivate var step: JSONPath.Step { .key(self) }
}
