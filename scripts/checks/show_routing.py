#!/usr/bin/env python3
"""Asks a running gateway a few questions with OpenAI's own client, and shows which model and worker answered each."""

import argparse
import time

import openai

QUESTIONS = [
    ("auto", "What is the capital of France?"),
    ("auto", "Write a Python function that reverses a list."),
    ("auto", "Recommend a book about the sea."),
    ("auto", "请解释这段代码"),
    ("code-model", "Hello!"),
]


def ask(client: openai.OpenAI, model: str, question: str) -> None:
    answer = client.chat.completions.with_raw_response.create(
        model=model, messages=[{"role": "user", "content": question}], max_tokens=8
    )
    headers = answer.headers
    decision = headers.get("x-vsr-selected-decision") or ("default" if model == "auto" else "named by the client")
    print(
        f"  {model:<11} {question:<46.46} → {answer.parse().model:<12} on {headers.get('x-sim-worker'):<8} ({decision})"
    )


def stream(client: openai.OpenAI) -> None:
    began = time.monotonic()
    first = None
    words = []
    usage = None
    events = client.chat.completions.create(
        model="auto",
        messages=[{"role": "user", "content": "Tell me a story."}],
        max_tokens=24,
        stream=True,
        stream_options={"include_usage": True},
    )
    for event in events:
        if event.choices and event.choices[0].delta.content:
            first = first or time.monotonic() - began
            words.append(event.choices[0].delta.content)
        usage = event.usage or usage
    total = time.monotonic() - began
    print(f"  streamed    {len(words)} pieces, the first after {first * 1000:.0f} ms, all after {total * 1000:.0f} ms; "
          f"{usage.prompt_tokens} + {usage.completion_tokens} tokens")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-url", required=True)
    arguments = parser.parse_args()
    client = openai.OpenAI(base_url=arguments.base_url, api_key="not-needed", max_retries=0)
    for model, question in QUESTIONS:
        ask(client, model, question)
    stream(client)


if __name__ == "__main__":
    main()
