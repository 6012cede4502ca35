#!/usr/bin/env python3
"""Checks a running router with OpenAI's own client library, as a user's program would meet it.

    scripts/python-env openai
    .venv/openai/bin/python scripts/checks/openai_client.py --base-url http://127.0.0.1:8080/v1 --model sim-small

Prints one line for each check and exits with 1 if any failed. The workers behind the router are expected to be
simulated ones, which call a tool whenever they must.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import dataclass
from typing import Callable, Iterable, Optional, Sequence

import openai

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": {
                "type": "object",
                "properties": {"place": {"type": "string"}},
                "required": ["place"],
            },
        },
    }
    for name, description in [("weather", "The weather at a place."), ("tide", "The next high water at a place.")]
]

#: Keeps answers short; no check depends on it.
MAX_TOKENS = 24


class Failed(Exception):
    """What a check found wrong, as one sentence."""


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Failed(otherwise)


@dataclass(frozen=True)
class Check:
    name: str
    title: str
    run: "Callable[[Target], str]"


CHECKS: "list[Check]" = []


def check(name: str, title: str) -> "Callable[[Callable[[Target], str]], Callable[[Target], str]]":
    """Registers a check; it returns what is worth telling of its success, or raises."""

    def register(run: "Callable[[Target], str]") -> "Callable[[Target], str]":
        CHECKS.append(Check(name, title, run))
        return run

    return register


class Skipped(Exception):
    """Why a check does not apply to this target."""


class Target:
    """The router under check and what is known of it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.client = self.with_key(options.api_key or "none")

    def with_key(self, key: str) -> openai.OpenAI:
        # No retries: a check is to see the first answer.
        return openai.OpenAI(base_url=self.options.base_url, api_key=key, max_retries=0, timeout=self.options.timeout)

    @property
    def model(self) -> str:
        """The model that is asked for by name: the one given, or else the first that is served."""
        return self.options.model or self.client.models.list().data[0].id

    def chat(self, model: str, **parameters: object):
        messages = [
            {"role": "system", "content": "Answer briefly."},
            {"role": "user", "content": "What does a sextant measure?"},
        ]
        parameters.setdefault("max_tokens", MAX_TOKENS)
        return self.client.chat.completions.create(model=model, messages=messages, **parameters)


# Answers


@check("models", "models")
def models(target: Target) -> str:
    listed = target.client.models.list().data
    names = [model.id for model in listed]
    expect(bool(names), "the list is empty")
    expect(len(set(names)) == len(names), f"a model is listed twice: {', '.join(names)}")
    expect(all(model.object == "model" for model in listed), "an entry is not of object \"model\"")
    missing = [name for name in target.options.expect_model if name not in names]
    expect(not missing, f"{', '.join(missing)} not among {', '.join(names)}")
    return ", ".join(names)


@check("chat", "chat, model by name")
def chat(target: Target) -> str:
    model = target.model
    answer = target.chat(model)
    expect(answer.model == model, f"asked {model}, answered by {answer.model}")
    return describe_chat(answer)


@check("chat-auto", "chat, model chosen by the router")
def chat_auto(target: Target) -> str:
    answer = target.chat(target.options.auto_model)
    served = [model.id for model in target.client.models.list().data if model.id != target.options.auto_model]
    expect(answer.model in served, f"answered by {answer.model}, which is none of {', '.join(served)}")
    return describe_chat(answer)


def describe_chat(answer) -> str:
    expect(answer.object == "chat.completion", f"object is {answer.object!r}")
    expect(len(answer.choices) == 1, f"{len(answer.choices)} choices")
    choice = answer.choices[0]
    expect(choice.message.role == "assistant", f"role is {choice.message.role!r}")
    expect(bool(choice.message.content), "the answer is empty")
    expect(choice.finish_reason in ("stop", "length"), f"finish_reason is {choice.finish_reason!r}")
    return f"{answer.model}, {len(choice.message.content)} characters, usage {describe_usage(answer.usage)}"


def describe_usage(usage) -> str:
    expect(usage is not None, "there is no usage")
    expect(usage.prompt_tokens > 0 and usage.completion_tokens > 0, f"usage is {usage}")
    expect(usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, f"usage does not add up: {usage}")
    return f"{usage.prompt_tokens}+{usage.completion_tokens}"


@check("streaming", "chat, streaming")
def streaming(target: Target) -> str:
    chunks = list(target.chat(target.model, stream=True, stream_options={"include_usage": True}))
    expect(bool(chunks), "no chunk came")
    expect({chunk.object for chunk in chunks} == {"chat.completion.chunk"}, "a chunk is of another object")
    expect(len({chunk.id for chunk in chunks}) == 1, "the chunks differ in their id")
    with_usage = [chunk for chunk in chunks if chunk.usage is not None]
    expect(
        len(with_usage) == 1 and with_usage[0] is chunks[-1],
        f"usage is to be in the last chunk alone; {len(with_usage)} chunks have it",
    )
    expect(not chunks[-1].choices, "the chunk with the usage has choices")
    choices = [choice for chunk in chunks for choice in chunk.choices]
    expect(choices[0].delta.role == "assistant", "the first chunk does not name the role")
    text = "".join(choice.delta.content or "" for choice in choices)
    expect(bool(text), "the chunks have no text")
    reasons = [choice.finish_reason for choice in choices if choice.finish_reason]
    expect(reasons in (["stop"], ["length"]), f"finish reasons are {reasons}")
    expect(bool(choices[-1].finish_reason), "text follows the finish reason")
    return f"{len(chunks)} chunks, usage {describe_usage(chunks[-1].usage)}"


@check("streaming-no-usage", "chat, streaming without usage")
def streaming_without_usage(target: Target) -> str:
    chunks = list(target.chat(target.model, stream=True))
    expect(len(chunks) > 1, f"{len(chunks)} chunks came")
    expect(all(chunk.usage is None for chunk in chunks), "usage came though it was not asked for")
    return f"{len(chunks)} chunks"


@check("large-prompt", "chat, a large prompt, whole and streaming")
def large_prompt(target: Target) -> str:
    size = target.options.large_prompt
    if not size:
        raise Skipped("needs --large-prompt: workers with room for it")
    # Of two, three and four bytes in UTF-8 too.
    sentence = "What does a sextant measure? Été 海 🧭. "
    text = sentence * (size // len(sentence.encode()) + 1)
    messages = [{"role": "user", "content": text}]
    create = target.client.chat.completions.create
    answer = create(model=target.model, messages=messages, max_tokens=MAX_TOKENS)
    described = describe_chat(answer)
    expect(answer.usage.prompt_tokens > size // 20, f"{answer.usage.prompt_tokens} tokens of {size} bytes were read")
    chunks = list(create(model=target.model, messages=messages, max_tokens=MAX_TOKENS, stream=True))
    streamed = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    expect(streamed == answer.choices[0].message.content, "the stream says something else")
    return f"{len(text.encode())} bytes: {described}"


@check("tools", "tools, required")
def tools_required(target: Target) -> str:
    answer = target.chat(target.model, tools=TOOLS, tool_choice="required")
    names = [tool["function"]["name"] for tool in TOOLS]
    return describe_tool_call(answer.choices[0], names)


@check("tools-named", "tools, one named")
def tools_named(target: Target) -> str:
    answer = target.chat(target.model, tools=TOOLS, tool_choice={"type": "function", "function": {"name": "tide"}})
    return describe_tool_call(answer.choices[0], ["tide"])


def describe_tool_call(choice, names: Sequence[str]) -> str:
    calls = choice.message.tool_calls or []
    expect(bool(calls), f"no tool was called; the answer is {choice.message.content!r}")
    for call in calls:
        expect(call.type == "function" and bool(call.id), f"the call is {call}")
        expect(call.function.name in names, f"{call.function.name!r} was called, which is none of {', '.join(names)}")
        try:
            arguments = json.loads(call.function.arguments)
        except ValueError as problem:
            raise Failed(f"the arguments are not JSON ({problem}): {call.function.arguments!r}") from None
        expect(isinstance(arguments, dict), f"the arguments are no object: {call.function.arguments}")
    return ", ".join(f"{call.function.name}({call.function.arguments})" for call in calls)


@check("embeddings", "embeddings")
def embeddings(target: Target) -> str:
    model = target.options.embedding_model or target.model
    texts = ["the horizon at noon", "a star at dusk"]
    answer = target.client.embeddings.create(model=model, input=texts)
    vectors = [entry.embedding for entry in answer.data]
    expect([entry.index for entry in answer.data] == [0, 1], "the vectors are not in the order of the texts")
    sizes = {len(vector) for vector in vectors}
    expect(len(sizes) == 1 and 0 not in sizes, f"the vectors have {sizes} numbers")
    expect(all(math.isfinite(number) for vector in vectors for number in vector), "a number is not finite")
    expect(answer.usage.prompt_tokens > 0, "usage has no tokens")
    return f"{len(vectors)} of {sizes.pop()} dimensions"


# Errors, each as the exception type that a program would catch


def expect_error(
    kind: "type[openai.APIStatusError]",
    status: int,
    code: str,
    request: Callable[[], object],
    parameter: Optional[str] = None,
) -> openai.APIStatusError:
    try:
        answer = request()
    except openai.APIStatusError as error:
        found = f"{type(error).__name__} {error.status_code}, code {error.code!r}: {error.message}"
        expect(type(error) is kind, f"expected {kind.__name__}, got {found}")
        expect(error.status_code == status, f"expected status {status}, got {found}")
        expect(error.code == code, f"expected code {code!r}, got {found}")
        expect(error.param == parameter, f"expected param {parameter!r}, got {error.param!r}")
        expect(bool(error.type), "the error has no type")
        has_message = isinstance(error.body, dict) and bool(error.body.get("message"))
        expect(has_message, f"the error has no message: {error.body}")
        return error
    raise Failed(f"expected {kind.__name__} {status}, but it was answered: {str(answer)[:200]}")


def describe_error(error: openai.APIStatusError) -> str:
    return f"{type(error).__name__} {error.status_code} {error.code}: {error.body['message']}"


@check("error-json", "error, body is not JSON")
def error_json(target: Target) -> str:
    def request() -> object:
        headers = {"content-type": "application/json"}
        content = b'{"model": "' + target.model.encode() + b'", "messages": ['
        return target.client.post("/chat/completions", content=content, options={"headers": headers}, cast_to=object)

    return describe_error(expect_error(openai.BadRequestError, 400, "invalid_json", request))


@check("error-no-model", "error, no model")
def error_no_model(target: Target) -> str:
    def request() -> object:
        body = {"messages": [{"role": "user", "content": "hello"}]}
        return target.client.post("/chat/completions", body=body, cast_to=object)

    return describe_error(expect_error(openai.BadRequestError, 400, "missing_model", request, parameter="model"))


@check("error-unknown-model", "error, unknown model")
def error_unknown_model(target: Target) -> str:
    name = "no-such-model"
    error = expect_error(openai.NotFoundError, 404, "model_not_found", lambda: target.chat(name), parameter="model")
    expect(name in error.body["message"], f"the message does not name the model: {error.body['message']}")
    return describe_error(error)


@check("error-unknown-model-stream", "error, unknown model, streaming")
def error_unknown_model_streaming(target: Target) -> str:
    def request() -> object:
        return list(target.chat("no-such-model", stream=True))

    return describe_error(expect_error(openai.NotFoundError, 404, "model_not_found", request, parameter="model"))


@check("error-route", "error, unknown path")
def error_route(target: Target) -> str:
    def request() -> object:
        return target.client.get("/no/such/path", cast_to=object)

    return describe_error(expect_error(openai.NotFoundError, 404, "route_not_found", request))


@check("error-method", "error, wrong method")
def error_method(target: Target) -> str:
    def request() -> object:
        return target.client.get("/chat/completions", cast_to=object)

    return describe_error(expect_error(openai.APIStatusError, 405, "method_not_allowed", request))


@check("error-key", "error, wrong API key")
def error_key(target: Target) -> str:
    if not target.options.api_key:
        raise Skipped("needs --api-key: the router is taken to ask for none")
    model = target.model
    stranger = target.with_key("sk-this-is-not-the-key")
    messages = [{"role": "user", "content": "hello"}]

    def request() -> object:
        return stranger.chat.completions.create(model=model, messages=messages, max_tokens=MAX_TOKENS)

    error = expect_error(openai.AuthenticationError, 401, "invalid_api_key", request)
    expect("sk-this-is-not-the-key" not in str(error.body), "the message repeats the key")
    return describe_error(error)


@check("error-unavailable", "error, no worker of the model is up")
def error_unavailable(target: Target) -> str:
    model = target.options.unavailable_model
    if not model:
        raise Skipped("needs --unavailable-model: one whose workers are all down")
    error = expect_error(openai.InternalServerError, 503, "no_worker", lambda: target.chat(model))
    expect("retry-after" in error.response.headers, "there is no retry-after header")
    return describe_error(error)


# The run


def run(target: Target, checks: Iterable[Check]) -> "dict[str, int]":
    """Runs the checks in order and prints a line for each; returns how many ended in which word."""
    counts = {"ok": 0, "FAIL": 0, "skip": 0}
    for one in checks:
        try:
            word, detail = "ok", one.run(target)
        except Skipped as reason:
            word, detail = "skip", str(reason)
        except Failed as problem:
            word, detail = "FAIL", str(problem)
        except Exception as problem:
            # An error of the library, or an answer whose shape it took and the check did not foresee.
            word, detail = "FAIL", f"{type(problem).__name__}: {problem}"
        counts[word] += 1
        print(f"{word:4} {one.title}: {' '.join(detail.split())}", flush=True)
    return counts


def parse_arguments() -> argparse.Namespace:
    names = [one.name for one in CHECKS]

    def selection(text: str) -> "list[str]":
        unknown = [name for name in text.split(",") if name not in names]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {', '.join(names)}")
        return text.split(",")

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--base-url", required=True, metavar="URL", help="with /v1, as the client library wants it")
    add("--api-key", metavar="KEY", help="the router's key; without it the router is taken to ask for none")
    add("--model", metavar="NAME", help="the model to ask for by name; default the first that is listed")
    add("--auto-model", default="auto", metavar="NAME", help="the name that leaves the choice open; default auto")
    add("--embedding-model", metavar="NAME", help="default: as --model")
    add("--unavailable-model", metavar="NAME", help="a model whose workers are all down; its answer must be a 503")
    add("--large-prompt", type=int, default=0, metavar="BYTES", help="the length of a prompt to ask with as well")
    add("--expect-model", action="append", default=[], metavar="NAME", help="must be listed; may be given repeatedly")
    add("--only", type=selection, metavar="NAMES", help=f"of {', '.join(names)}")
    add("--skip", type=selection, default=[], metavar="NAMES", help="the same names")
    add("--timeout", type=float, default=30, metavar="SECONDS", help="of one request, default 30")
    return parser.parse_args()


def main() -> int:
    options = parse_arguments()
    chosen = [one for one in CHECKS if one.name in (options.only or [one.name]) and one.name not in options.skip]
    print(f"openai {openai.__version__} on {options.base_url}", flush=True)
    counts = run(Target(options), chosen)
    print(f"{counts['ok']} passed, {counts['FAIL']} failed, {counts['skip']} skipped")
    return 0 if counts["ok"] and not counts["FAIL"] else 1


if __name__ == "__main__":
    sys.exit(main())
