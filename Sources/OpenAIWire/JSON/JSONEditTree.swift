import NIOCore

/// The edits of a document as a tree of the steps that their paths share, so that each container is walked once,
/// however many edits lie inside it. Lives for one call; a class because branches are reached far more often than made.
final class JSONEditTree {
    private enum Change {
        case set(ByteBuffer)
        case remove
    }

    /// What happens to the value here; nothing else may happen inside it then.
    private var change: Change?
    /// What comes into the array here, in the order it was asked for.
    private var inserts: [JSONSplices.Addition] = []
    private var steps: [JSONPath.Step] = []
    /// Where each of `steps` leads.
    private var children: [JSONEditTree] = []
    /// The places of `steps`, once these are more than `fewChildren`.
    private var lookup: [JSONPath.Step: Int] = [:]
    /// The first edit that leads here, for errors.
    private let path: JSONPath

    /// Up to this many steps are compared one by one, which allocates nothing; more are looked up.
    private static let fewChildren = 8

    convenience init(_ edits: [JSONEdit]) throws(JSONEditError) {
        self.init(path: [])
        for edit in edits {
            try add(edit, edit.path.steps[...])
        }
    }

    private init(path: JSONPath) {
        self.path = path
    }

    /// - Complexity: O(steps).
    private func add(_ edit: JSONEdit, _ steps: ArraySlice<JSONPath.Step>) throws(JSONEditError) {
        guard change == nil else { throw .overlapping(edit.path) }
        if let step = steps.first {
            let child = place(of: step) ?? append(step, JSONEditTree(path: edit.path))
            try children[child].add(edit, steps.dropFirst())
            return
        }
        switch edit {
        case .insert(_, let index, let value):
            let position = index == JSONEdit.end ? Int.max : index
            inserts.append(JSONSplices.Addition(position: position, value: value.bytes))
        case .set(_, let value):
            guard isBlank else { throw .overlapping(edit.path) }
            change = .set(value.bytes)
        case .remove(let path):
            guard isBlank else { throw .overlapping(edit.path) }
            guard !path.steps.isEmpty else { throw .removesRoot }
            change = .remove
        }
    }

    private var isBlank: Bool { inserts.isEmpty && children.isEmpty }

    private func place(of step: JSONPath.Step) -> Int? {
        lookup.isEmpty ? steps.firstIndex(of: step) : lookup[step]
    }

    private func append(_ step: JSONPath.Step, _ child: JSONEditTree) -> Int {
        steps.append(step)
        children.append(child)
        if !lookup.isEmpty {
            lookup[step] = children.count - 1
        } else if children.count > JSONEditTree.fewChildren {
            for (place, step) in steps.enumerated() { lookup[step] = place }
        }
        return children.count - 1
    }

    // MARK: Applying

    /// The splices that make the edits of this branch in `value`, to which it leads.
    func collect(in value: JSONValue, _ splices: inout JSONSplices) throws(JSONEditError) {
        switch change {
        case .set(let replacement):
            splices.replace(value.byteRange, by: replacement)
        case .remove:
            // The container has taken it away.
            break
        case nil:
            if value.isArray {
                try collectElements(of: value, &splices)
            } else {
                guard inserts.isEmpty else { throw .notAnArray(path) }
                guard value.isObject else { throw .notFound(children.first?.path ?? path) }
                try collectMembers(of: value, &splices)
            }
        }
    }

    private func collectMembers(of object: JSONValue, _ splices: inout JSONSplices) throws(JSONEditError) {
        // The members that edits name, and which of them is the last of its name.
        var hits: [(position: Int, child: Int, value: JSONValue)] = []
        var last = Array(repeating: -1, count: children.count)
        for (position, member) in object.members.enumerated() {
            guard let child = place(of: member.key) else { continue }
            hits.append((position, child, member.value))
            last[child] = position
        }
        var removed: [Int] = []
        for hit in hits {
            let child = children[hit.child]
            switch child.change {
            case .set:
                try child.collect(in: hit.value, &splices)
            case nil where last[hit.child] == hit.position:
                try child.collect(in: hit.value, &splices)
            case .remove, nil:
                // What an edit removes, or a duplicate that no path can name.
                removed.append(hit.position)
            }
        }
        var added: [JSONSplices.Addition] = []
        for (place, child) in children.enumerated() where last[place] < 0 {
            switch (steps[place], child.change) {
            case (.key(let key), .set(let value)):
                added.append(JSONSplices.Addition(position: .max, key: key, value: value))
            case (.key, .remove):
                break
            default:
                throw .notFound(child.path)
            }
        }
        guard !removed.isEmpty || !added.isEmpty else { return }
        let ranges = object.members.map { $0.key.byteRange.lowerBound..<$0.value.byteRange.upperBound }
        splices.change(object.byteRange, children: ranges, removed: removed, added: added)
    }

    /// The child whose key is `key`.
    private func place(of key: JSONValue) -> Int? {
        guard lookup.isEmpty else { return key.string.flatMap { lookup[.key($0)] } }
        return steps.firstIndex { step in
            if case .key(let text) = step { key.isString(equalTo: text) } else { false }
        }
    }

    private func collectElements(of array: JSONValue, _ splices: inout JSONSplices) throws(JSONEditError) {
        var removed: [Int] = []
        var count = 0
        var found = 0
        for element in array.elements {
            defer { count += 1 }
            guard found < children.count, let child = place(of: .index(count)) else { continue }
            found += 1
            if case .remove = children[child].change {
                removed.append(count)
            } else {
                try children[child].collect(in: element, &splices)
            }
        }
        guard found == children.count else {
            let missing = steps.firstIndex { step in
                if case .index(let index) = step { !(0..<count).contains(index) } else { true }
            }
            throw .notFound(missing.map { children[$0].path } ?? path)
        }
        guard !removed.isEmpty || !inserts.isEmpty else { return }
        for insert in inserts where insert.position != .max && !(0...count).contains(insert.position) {
            throw .outOfBounds(path, index: insert.position)
        }
        let ranges = array.elements.map(\.byteRange)
        splices.change(array.byteRange, children: ranges, removed: removed, added: inserts)
    }
}
