package import OpenAIWire

/// The `fast_response` plugin: an answer in the words of the settings, in the shape of the API that was asked.
///
/// The model is named `router`, and nothing is counted as used. Endpoints that do not talk are refused with 403 and the
/// message.
package struct FastResponse: Sendable {
    private let message: String

    package init(_ settings: FastResponseSettings) { message = settings.message }

    /// The whole answer with its content type.
    /// - Parameter unixSeconds: the time of the answer, which also makes its id.
    package func response(to request: TextRequest, unixSeconds: Int) -> LocalResponse {
        switch request.endpoint {
        case .chatCompletions:
            answer(request, chat(unixSeconds), chatStream(unixSeconds, countsUsage: Self.countsUsage(request)))
        case .completions:
            answer(request, completion(unixSeconds), completionStream(unixSeconds, Self.countsUsage(request)))
        case .responses:
            answer(request, response(unixSeconds, isComplete: true), responseStream(unixSeconds))
        case .messages:
            answer(request, anthropicMessage(unixSeconds, isComplete: true), anthropicStream(unixSeconds))
        case .embeddings, .rerank, .score, .tokenize, .detokenize, .classify, .pooling:
            ErrorResponder.respond(to: RouterError(.forbidden, origin: .client, message))
        }
    }

    private func answer(
        _ request: TextRequest,
        _ whole: @autoclosure () -> JSONFragment,
        _ events: @autoclosure () -> [Event]
    ) -> LocalResponse {
        guard request.isStreaming else { return .json(whole().bytes) }
        return .events(
            events().map { event in
                switch event {
                case .data(let data): SSEEncoder.encode(data.bytes)
                case .typed(let type, let data): SSEEncoder.encode(data.bytes, type: type)
                case .done: SSEEncoder.done
                }
            }
        )
    }

    private enum Event {
        case data(JSONFragment)
        case typed(String, JSONFragment)
        case done
    }

    /// The text cut in front of every word but the first; put together, exactly the text. Never empty.
    static func pieces(of text: String) -> [String] {
        var pieces: [String] = []
        var start = text.startIndex
        var wasSpace = false
        var hasWord = false
        for index in text.indices {
            let isSpace = text[index].isWhitespace
            if !isSpace, wasSpace, hasWord {
                pieces.append(String(text[start..<index]))
                start = index
            }
            if !isSpace { hasWord = true }
            wasSpace = isSpace
        }
        pieces.append(String(text[start...]))
        return pieces
    }

    private static func countsUsage(_ request: TextRequest) -> Bool {
        request.root["stream_options"]?["include_usage"]?.bool ?? false
    }

    private static let model: JSONFragment = "router"
    private static let usage: JSONFragment = ["prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0]
}

// MARK: - Chat and completions (https://platform.openai.com/docs/api-reference/chat-streaming)

extension FastResponse {
    private func chat(_ time: Int) -> JSONFragment {
        let message: JSONFragment = ["role": "assistant", "content": JSONFragment(message)]
        let choice: JSONFragment = ["index": 0, "message": message, "finish_reason": "stop"]
        return .object(chatHead("chat.completion", time) + [("choices", [choice]), ("usage", Self.usage)])
    }

    private func chatStream(_ time: Int, countsUsage: Bool) -> [Event] {
        let head = chatHead("chat.completion.chunk", time)
        func choice(_ delta: [(String, JSONFragment)], finish: JSONFragment) -> JSONFragment {
            ["index": 0, "delta": .object(delta), "finish_reason": finish]
        }
        var choices = Self.pieces(of: message).enumerated().map { index, piece in
            let content = [("content", JSONFragment(piece))]
            return choice(index == 0 ? [("role", "assistant")] + content : content, finish: .null)
        }
        choices.append(choice([], finish: "stop"))
        return Self.chunks(head: head, choices, countsUsage)
    }

    private func chatHead(_ object: String, _ time: Int) -> [(String, JSONFragment)] {
        Self.head(id: "chatcmpl-fast-\(time)", object: object, time)
    }

    private func completion(_ time: Int) -> JSONFragment {
        let choice = Self.completionChoice(message, finish: "stop")
        return .object(completionHead(time) + [("choices", [choice]), ("usage", Self.usage)])
    }

    private func completionStream(_ time: Int, _ countsUsage: Bool) -> [Event] {
        var choices = Self.pieces(of: message).map { Self.completionChoice($0, finish: .null) }
        choices.append(Self.completionChoice("", finish: "stop"))
        return Self.chunks(head: completionHead(time), choices, countsUsage)
    }

    private func completionHead(_ time: Int) -> [(String, JSONFragment)] {
        Self.head(id: "cmpl-fast-\(time)", object: "text_completion", time)
    }

    private static func completionChoice(_ text: String, finish: JSONFragment) -> JSONFragment {
        ["text": JSONFragment(text), "index": 0, "logprobs": .null, "finish_reason": finish]
    }

    private static func head(id: String, object: String, _ time: Int) -> [(String, JSONFragment)] {
        [
            ("id", JSONFragment(id)), ("object", JSONFragment(object)), ("created", JSONFragment(time)),
            ("model", model),
        ]
    }

    /// With `include_usage`, every chunk has the member and only the last one, without choices, counts.
    private static func chunks(
        head: [(String, JSONFragment)],
        _ choices: [JSONFragment],
        _ countsUsage: Bool
    ) -> [Event] {
        let noUsage: [(String, JSONFragment)] = countsUsage ? [("usage", .null)] : []
        var events = choices.map { Event.data(.object(head + [("choices", [$0])] + noUsage)) }
        if countsUsage { events.append(.data(.object(head + [("choices", []), ("usage", usage)]))) }
        return events + [.done]
    }
}

// MARK: - Responses (https://platform.openai.com/docs/api-reference/responses-streaming)

extension FastResponse {
    private func response(_ time: Int, isComplete: Bool) -> JSONFragment {
        let usage: JSONFragment = [
            "input_tokens": 0, "input_tokens_details": ["cached_tokens": 0],
            "output_tokens": 0, "output_tokens_details": ["reasoning_tokens": 0], "total_tokens": 0,
        ]
        return [
            "id": JSONFragment("resp_fast_\(time)"), "object": "response", "created_at": JSONFragment(time),
            "status": isComplete ? "completed" : "in_progress",
            "background": false, "error": .null, "incomplete_details": .null, "instructions": .null,
            "max_output_tokens": .null, "metadata": .object([]), "model": Self.model,
            "output": isComplete ? [item(time, isComplete: true)] : [],
            "parallel_tool_calls": true, "previous_response_id": .null,
            "reasoning": ["effort": .null, "summary": .null], "store": false, "temperature": .null,
            "text": ["format": ["type": "text"]], "tool_choice": "auto", "tools": [], "top_p": .null,
            "truncation": "disabled", "usage": isComplete ? usage : .null, "user": .null,
        ]
    }

    private func item(_ time: Int, isComplete: Bool) -> JSONFragment {
        [
            "id": itemID(time), "type": "message", "status": isComplete ? "completed" : "in_progress",
            "role": "assistant", "content": isComplete ? [Self.part(message)] : [],
        ]
    }

    private func itemID(_ time: Int) -> JSONFragment { JSONFragment("msg_fast_\(time)") }

    private static func part(_ text: String) -> JSONFragment {
        ["type": "output_text", "text": JSONFragment(text), "annotations": [], "logprobs": []]
    }

    private func responseStream(_ time: Int) -> [Event] {
        let opening = [("response", response(time, isComplete: false))]
        let output: [(String, JSONFragment)] = [("output_index", 0)]
        let place = [("item_id", itemID(time))] + output + [("content_index", 0)]
        var events: [(type: String, members: [(String, JSONFragment)])] = [
            ("response.created", opening),
            ("response.in_progress", opening),
            ("response.output_item.added", output + [("item", item(time, isComplete: false))]),
            ("response.content_part.added", place + [("part", Self.part(""))]),
        ]
        for piece in Self.pieces(of: message) {
            let delta = [("delta", JSONFragment(piece)), ("logprobs", [])]
            events.append(("response.output_text.delta", place + delta))
        }
        events += [
            ("response.output_text.done", place + [("text", JSONFragment(message)), ("logprobs", [])]),
            ("response.content_part.done", place + [("part", Self.part(message))]),
            ("response.output_item.done", output + [("item", item(time, isComplete: true))]),
            ("response.completed", [("response", response(time, isComplete: true))]),
        ]
        return events.enumerated().map { number, event in
            let head = [("type", JSONFragment(event.type)), ("sequence_number", JSONFragment(number))]
            return .typed(event.type, .object(head + event.members))
        }
    }
}

// MARK: - Anthropic's messages (https://docs.anthropic.com/en/api/messages-streaming)

extension FastResponse {
    private func anthropicMessage(_ time: Int, isComplete: Bool) -> JSONFragment {
        [
            "id": JSONFragment("msg_fast_\(time)"), "type": "message", "role": "assistant",
            "content": isComplete ? [Self.block(message)] : [], "model": Self.model,
            "stop_reason": isComplete ? "end_turn" : .null, "stop_sequence": .null,
            "usage": ["input_tokens": 0, "output_tokens": 0],
        ]
    }

    private static func block(_ text: String) -> JSONFragment { ["type": "text", "text": JSONFragment(text)] }

    private func anthropicStream(_ time: Int) -> [Event] {
        var events: [(type: String, members: [(String, JSONFragment)])] = [
            ("message_start", [("message", anthropicMessage(time, isComplete: false))]),
            ("content_block_start", [("index", 0), ("content_block", Self.block(""))]),
        ]
        for piece in Self.pieces(of: message) {
            let delta: JSONFragment = ["type": "text_delta", "text": JSONFragment(piece)]
            events.append(("content_block_delta", [("index", 0), ("delta", delta)]))
        }
        events += [
            ("content_block_stop", [("index", 0)]),
            (
                "message_delta",
                [("delta", ["stop_reason": "end_turn", "stop_sequence": .null]), ("usage", ["output_tokens": 0])]
            ),
            ("message_stop", []),
        ]
        return events.map { .typed($0.type, .object([("type", JSONFragment($0.type))] + $0.members)) }
    }
}
