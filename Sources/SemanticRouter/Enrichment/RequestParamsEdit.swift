package import OpenAIWire

/// The `request_params` plugin: takes parameters away and caps others.
package struct RequestParamsEdit: Sendable {
    private let settings: RequestParamsSettings

    package init(_ settings: RequestParamsSettings) { self.settings = settings }

    package static func edits(_ settings: RequestParamsSettings, for request: TextRequest) -> [JSONEdit] {
        var draft = RequestDraft(request)
        RequestParamsEdit(settings).apply(to: &draft)
        return draft.edits
    }

    /// What a request is about. Without it there is nothing to route.
    private static let protected: Set<String> = ["model", "messages", "prompt", "input"]
    /// The names of one limit: chat's old and new one, and that of the responses API.
    private static let tokenLimits = ["max_tokens", "max_completion_tokens", "max_output_tokens"]

    func apply(to draft: inout RequestDraft) {
        for key in settings.blockedParams where !Self.protected.contains(key) { draft.remove(key) }
        if let limit = settings.maxTokensLimit {
            for key in Self.tokenLimits { cap(key, at: limit, of: &draft) }
        }
        if let limit = settings.maxN {
            cap("n", at: limit, of: &draft)
            // How many answers are made to choose `n` of.
            if draft.endpoint == .completions { cap("best_of", at: limit, of: &draft) }
        }
        if settings.stripsUnknown {
            let known = KnownParameters.of(draft.endpoint)
            draft.removeMembers { !known.contains($0) && !Self.protected.contains($0) }
        }
    }

    /// Lowers a number above the limit, however it is written, also as a string: vLLM's parser (pydantic) takes those for
    /// numbers. What is no number is the worker's to judge.
    private func cap(_ key: String, at limit: Int, of draft: inout RequestDraft) {
        guard let value = draft.client(key), value.kind == .number || value.isString else { return }
        let isAbove =
            if let text = value.string {
                Double(text.filter { !$0.isWhitespace && $0 != "_" }).map { $0 > Double(limit) } ?? false
            } else if let number = value.int {
                number > limit
            } else if let number = value.double {
                number > Double(limit)
            } else {
                // Beyond every `Double`, of either sign: no worker could take it as it is.
                true
            }
        if isAbove { draft.set(key, JSONFragment(limit)) }
    }
}

/// The parameters that `strip_unknown` lets pass, by endpoint.
///
/// Everything that OpenAI's and Anthropic's API references and vLLM's request models document, that is more than vLLM
/// Semantic Router's own list: that one drops `stream_options`, `max_completion_tokens` and `chat_template_kwargs`, which
/// ordinary clients depend on. What an operator does not want of it, `blocked_params` removes.
enum KnownParameters {
    static func of(_ endpoint: TextEndpoint) -> Set<String> {
        switch endpoint {
        case .chatCompletions: chat
        case .completions: completions
        case .responses: responses
        case .messages: messages
        case .embeddings, .classify, .pooling: pooling
        case .rerank, .score: scoring
        case .tokenize, .detokenize: tokenization
        }
    }

    /// https://platform.openai.com/docs/api-reference/chat/create, `thinking` of https://api-docs.deepseek.com, and
    /// vllm/entrypoints/openai/chat_completion/protocol.py.
    private static let chat = sampling.union(template).union([
        "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "max_completion_tokens",
        "max_tokens", "messages", "metadata", "modalities", "model", "n", "parallel_tool_calls",
        "prediction", "presence_penalty", "prompt_cache_key", "prompt_cache_retention", "reasoning_effort",
        "response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream", "stream_options",
        "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity", "web_search_options",
        "thinking", "echo", "documents", "include_reasoning",
    ])

    /// https://platform.openai.com/docs/api-reference/completions/create and
    /// vllm/entrypoints/openai/completion/protocol.py.
    private static let completions = sampling.union([
        "best_of", "echo", "frequency_penalty", "logit_bias", "logprobs", "max_tokens", "model", "n",
        "presence_penalty", "prompt", "seed", "stop", "stream", "stream_options", "suffix", "temperature", "top_p",
        "user", "add_special_tokens", "prompt_embeds", "response_format",
    ])

    /// https://platform.openai.com/docs/api-reference/responses/create and
    /// vllm/entrypoints/openai/responses/protocol.py.
    private static let responses = sampling.union([
        "background", "context_management", "conversation", "include", "input", "instructions", "max_output_tokens",
        "max_tool_calls", "metadata", "model", "parallel_tool_calls", "previous_response_id", "prompt",
        "prompt_cache_key", "prompt_cache_retention", "reasoning", "safety_identifier", "service_tier", "store",
        "stream", "stream_options", "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p",
        "truncation", "user", "enable_response_messages", "frequency_penalty", "logit_bias", "media_io_kwargs",
        "mm_processor_kwargs", "presence_penalty", "previous_input_messages", "previous_response", "seed", "stop",
    ])

    /// https://docs.anthropic.com/en/api/messages and vllm/entrypoints/anthropic/protocol.py.
    private static let messages: Set<String> = [
        "cache_control", "container", "context_management", "inference_geo", "max_tokens", "mcp_servers", "messages",
        "metadata", "model", "output_config", "output_format", "service_tier", "speed", "stop_sequences", "stream",
        "system", "temperature", "thinking", "tool_choice", "tools", "top_k", "top_p", "chat_template_kwargs",
        "kv_transfer_params",
    ]

    /// https://platform.openai.com/docs/api-reference/embeddings/create and vllm/entrypoints/pooling.
    private static let pooling = poolingCommon.union(template).union([
        "dimensions", "embed_dtype", "encoding_format", "endianness", "input", "messages", "additional_data", "data",
        "normalize", "softmax", "activation", "task",
    ])

    /// vllm/entrypoints/pooling/scoring/protocol.py; it takes the rerank APIs of Cohere and Jina.
    private static let scoring = poolingCommon.union([
        "data_1", "data_2", "documents", "max_tokens_per_query", "items", "max_tokens_per_doc", "queries", "query",
        "return_documents", "softmax", "activation", "text_1", "text_2", "top_n",
    ])

    /// vllm/entrypoints/serve/tokenize/protocol.py.
    private static let tokenization = template.union([
        "messages", "model", "prompt", "return_token_strs", "tokens", "tools",
    ])

    private static let poolingCommon: Set<String> = [
        "add_special_tokens", "cache_salt", "mm_processor_kwargs", "model", "padding", "priority", "request_id",
        "truncate_prompt_tokens", "truncation_side", "use_activation", "user",
    ]

    /// vLLM's for whatever renders a chat.
    private static let template: Set<String> = [
        "add_generation_prompt", "add_special_tokens", "chat_template", "chat_template_kwargs",
        "continue_final_message", "media_io_kwargs", "mm_processor_kwargs",
    ]

    /// vLLM's for whatever generates text, with the `guided_*` of its older releases.
    private static let sampling: Set<String> = [
        "allowed_token_ids", "bad_words", "cache_salt", "ec_transfer_params", "guided_choice",
        "guided_decoding_backend", "guided_grammar", "guided_json", "guided_regex", "guided_whitespace_pattern",
        "ignore_eos", "include_stop_str_in_output", "kv_transfer_params", "length_penalty", "logits_processors",
        "logprob_token_ids", "min_p", "min_tokens", "priority", "prompt_logprobs", "repetition_detection",
        "repetition_penalty", "request_id", "return_mm_kwargs", "return_prompt_text", "return_token_ids",
        "return_token_offsets", "return_tokens_as_token_ids", "routed_experts_prompt_start", "session_id",
        "skip_special_tokens", "spaces_between_special_tokens", "stop_token_ids", "stream_interval", "structural_tag",
        "structured_outputs", "thinking_token_budget", "top_k", "truncate_prompt_tokens", "truncation_side",
        "use_beam_search", "vllm_xargs", "watermarking",
    ]
}
