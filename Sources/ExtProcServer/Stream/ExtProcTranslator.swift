import NIOCore
package import OpenAIWire
package import SemanticRouter

/// Says in Envoy's words what the semantic core has decided. Decides nothing.
package enum ExtProcTranslator {
    /// What becomes of a request for which `router` came to `outcome`.
    ///
    /// - Throws: `internalError` for edits that cannot be made.
    package static func verdict(
        _ outcome: RoutingOutcome,
        for text: TextRequest,
        head: RequestHead,
        by router: SemanticRouter
    ) throws(RouterError) -> ExtProcStream.Verdict {
        var proceeding = ExtProcStream.Proceeding()
        proceeding.clearsRouteCache = router.config.global.router.clearsRouteCache
        switch outcome {
        case .respond(let local):
            return .respond(ImmediateResponse(local, to: head, details: "sextant_local_response"))
        case .bypass(let reason):
            proceeding.answer = ExtProcStream.AnswerFields(router.bypassHeaders)
            proceeding.clearsRouteCache = false
            // Who asks for a choice and gets none is answered by the inference router's own default.
            guard let model = reason == .explicitModel ? text.model : ModelName.automatic else { break }
            proceeding.modelName = model
            // Of several models a worker might read another than we did.
            proceeding.body = try RequestEdits().body(of: text.document, model: model)
        case .forward(let routed):
            proceeding.answer = ExtProcStream.AnswerFields(routed.headers)
            proceeding.modelName = routed.modelName
            proceeding.body = try routed.edits.body(of: text.document, model: routed.model)
            var edits = routed.edits.headers
            if let destination = routed.destination {
                edits.insert(.set(name: RoutingHeaders.destinationEndpoint, value: destination), at: 0)
            }
            proceeding.headers = HeaderMutation(edits)
        }
        return .proceed(proceeding)
    }
}

extension ExtProcStream.AnswerFields {
    init(_ headers: AnswerHeaders) {
        self.init()
        always = headers.always
        onSuccess = headers.onSuccess
    }
}

extension HeaderMutation {
    /// What a list of edits comes to. Ours are made one after the other; Envoy removes first and then sets, so that each
    /// name is told once how it ends.
    package init(_ edits: [HeaderEdit]) {
        self.init()
        var order: [String] = []
        var ends: [String: End] = [:]
        for edit in edits {
            let name = edit.name.lowercased()
            // Envoy answers 500 to a mutation that it cannot carry out, even where it is to fail open.
            guard Self.canSend(name: name, value: edit.value) else { continue }
            if ends[name] == nil { order.append(name) }
            var end = ends[name] ?? End()
            switch edit {
            case .add(_, let value):
                end.values.append(value)
            case .set(_, let value):
                end = End(replaces: true, values: [value])
            case .remove:
                end = End(replaces: true)
            }
            ends[name] = end
        }
        for name in order {
            guard let end = ends[name] else { continue }
            if end.replaces, end.values.isEmpty { removed.append(name) }
            for (index, value) in end.values.enumerated() {
                fields.append(Field(name, value, end.replaces && index == 0 ? .overwrite : .append))
            }
        }
    }

    /// What is left of a name's fields.
    private struct End {
        /// Whether those that came go.
        var replaces = false
        var values: [String] = []
    }

    /// Whether Envoy takes a field: a name of RFC 9110's token characters, a value without control characters.
    static func canSend(name: String, value: String?) -> Bool {
        HeaderField.isName(name) && value.map(HeaderField.isValue) ?? true
    }
}

extension HeaderEdit {
    fileprivate var name: String {
        switch self {
        case .add(let name, _), .set(let name, _), .remove(let name): name
        }
    }

    fileprivate var value: String? {
        switch self {
        case .add(_, let value), .set(_, let value): value
        case .remove: nil
        }
    }
}

extension ImmediateResponse {
    /// An answer of ours as Envoy sends it: at once, with a length, events too.
    package init(_ local: LocalResponse, to head: RequestHead?, details: String) {
        var edits = local.fields.map { HeaderEdit.add(name: $0.name, value: $0.value) }
        if let id = head?.id { edits.append(.set(name: RoutingHeaders.requestID, value: id)) }
        if let id = head?.traceID { edits.append(.set(name: RoutingHeaders.traceID, value: id)) }
        let body: ByteBuffer
        switch local.body {
        case .whole(let bytes): body = bytes
        case .events(let events):
            var bytes = ByteBuffer()
            for event in events { bytes.writeImmutableBuffer(event) }
            body = bytes
        }
        var headers = HeaderMutation(edits)
        // There is nothing yet beside which a first field could stand.
        var seen: Set<String> = []
        headers.fields = headers.fields.map { field in
            HeaderMutation.Field(field.name, field.value, seen.insert(field.name).inserted ? .overwrite : .append)
        }
        self.init(status: local.statusCode, headers: headers, body: body, details: details)
    }

    package init(_ error: RouterError, to head: RequestHead?) {
        self.init(ErrorResponder.respond(to: error), to: head, details: "sextant_\(error.code.rawValue)")
    }
}
