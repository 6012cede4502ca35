package import NIOCore

/// The answer to `GET /v1/models`.
package struct ModelList: Hashable, Sendable {
    /// One model, or one LoRA adapter, that can be asked for by name.
    package struct Entry: Hashable, Sendable {
        /// The name to ask for.
        package var id: String
        /// Seconds since 1970.
        package var created: Int
        package var ownedBy: String
        /// The weights behind the name (vLLM).
        package var root: String?
        /// For an adapter: the model that it adapts (vLLM).
        package var parent: String?
        /// The longest prompt and answer together, in tokens (vLLM).
        package var maxModelTokens: Int?

        package init(
            id: String,
            created: Int = 0,
            ownedBy: String = "vllm",
            root: String? = nil,
            parent: String? = nil,
            maxModelTokens: Int? = nil
        ) {
            self.id = id
            self.created = created
            self.ownedBy = ownedBy
            self.root = root
            self.parent = parent
            self.maxModelTokens = maxModelTokens
        }
    }

    package var entries: [Entry]

    /// Each name once: of entries with the same one, the first.
    package init(_ entries: [Entry] = []) {
        var seen: Set<String> = []
        self.entries = entries.filter { seen.insert($0.id).inserted }
    }

    /// Reads a worker's list. Fields that a worker leaves out, or spells in its own way, are nil or empty: a list is
    /// useful for its names alone.
    /// - Throws: `.workerUnavailable` when the body is no list of models.
    package init(parsing body: ByteBuffer) throws(RouterError) {
        guard let data = (try? JSONDocument(body))?.root["data"], data.isArray else {
            throw RouterError(.workerUnavailable, origin: .upstream, "the worker's answer is not a list of models")
        }
        entries = data.elements.compactMap(Entry.init)
    }

    /// The list as OpenAI's API has it.
    package var json: ByteBuffer {
        JSONFragment.object([("object", "list"), ("data", .array(entries.map(\.json)))]).bytes
    }
}

extension ModelList.Entry {
    fileprivate init?(_ value: JSONValue) {
        guard let id = value["id"]?.string else { return nil }
        self.init(
            id: id,
            created: value["created"]?.int ?? 0,
            ownedBy: value["owned_by"]?.string ?? "",
            root: value["root"]?.string,
            parent: value["parent"]?.string,
            maxModelTokens: value["max_model_len"]?.int
        )
    }

    /// The entry as OpenAI's API has it.
    package var json: JSONFragment {
        var members: [(String, JSONFragment)] = [
            ("id", JSONFragment(id)), ("object", "model"), ("created", JSONFragment(created)),
            ("owned_by", JSONFragment(ownedBy)),
        ]
        if let root { members.append(("root", JSONFragment(root))) }
        if let parent { members.append(("parent", JSONFragment(parent))) }
        if let maxModelTokens { members.append(("max_model_len", JSONFragment(maxModelTokens))) }
        return .object(members)
    }
}
