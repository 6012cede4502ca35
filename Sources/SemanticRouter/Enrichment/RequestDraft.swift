import OpenAIWire

/// The top-level members of a request while one plugin after another changes them.
///
/// Each step sees what the steps before it left. Of a member that several steps set or remove, the last one decides;
/// changes inside a member add up until it is set or removed as a whole. So the edits that come out never overlap.
///
/// - Complexity: O(members of the body) per question; nothing is copied.
struct RequestDraft {
    private enum Change {
        case set(JSONFragment)
        case remove
        /// Edits of paths below the member.
        case inside([JSONEdit])
        /// Was set and removed again; the client sent none.
        case undone
    }

    let endpoint: TextEndpoint
    private let root: JSONValue
    /// A path's step, because keys are told apart by their bytes, as `String` does not.
    private var changes: [JSONPath.Step: Change] = [:]
    /// The keys of `changes` in the order in which they came, which is the order of members that are added.
    private var order: [JSONPath.Step] = []

    init(_ request: TextRequest) {
        endpoint = request.endpoint
        root = request.root
    }

    /// The client's value of the member, as long as no step has set or removed it. Of several with that name the last.
    func client(_ key: String) -> JSONValue? {
        switch changes[.key(key)] {
        case .set, .remove: nil
        case .inside, .undone, nil: root[key]
        }
    }

    /// Whether the request has such a member now.
    func has(_ key: String) -> Bool {
        switch changes[.key(key)] {
        case .set, .inside: true
        case .remove, .undone: false
        case nil: root[key] != nil
        }
    }

    /// Gives the member a value; no edit where it has that value already.
    mutating func set(_ key: String, _ value: JSONFragment) {
        if changes[.key(key)] == nil, root.says(key, value) { return }
        change(key, .set(value))
    }

    /// Takes the member away, if there is one.
    mutating func remove(_ key: String) {
        if root[key] != nil {
            change(key, .remove)
        } else if changes[.key(key)] != nil {
            change(key, .undone)
        }
    }

    /// Takes away the client's members whose names say so.
    /// - Complexity: O(members), however many go.
    mutating func removeMembers(where isRemoved: (String) -> Bool) {
        for member in root.members {
            guard let key = member.key.string, isRemoved(key) else { continue }
            change(key, .remove)
        }
    }

    /// Adds changes below a member that is the client's.
    mutating func edit(inside key: String, _ edits: [JSONEdit]) {
        guard !edits.isEmpty else { return }
        precondition(client(key) != nil, "only what the client sent can be changed inside")
        if case .inside(let others) = changes[.key(key)] {
            changes[.key(key)] = .inside(others + edits)
        } else {
            change(key, .inside(edits))
        }
    }

    private mutating func change(_ key: String, _ change: Change) {
        if changes.updateValue(change, forKey: .key(key)) == nil { order.append(.key(key)) }
    }

    /// All changes as edits of the document, in the order in which they were made.
    var edits: [JSONEdit] {
        order.flatMap { step -> [JSONEdit] in
            switch changes[step] {
            case .set(let value): [.set([step], value)]
            case .remove: [.remove([step])]
            case .inside(let edits): edits
            case .undone, nil: []
            }
        }
    }
}

extension JSONValue {
    /// Whether the object has a member of that name, and everywhere with just that value.
    func says(_ key: String, _ value: JSONFragment) -> Bool {
        var isThere = false
        for member in members where member.key.isString(equalTo: key) {
            guard JSONFragment(member.value) == value else { return false }
            isThere = true
        }
        return isThere
    }
}
