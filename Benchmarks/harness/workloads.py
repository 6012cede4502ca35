"""What the load asks for: one request body and its exact answer per workload."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass

#: The model that the fixed upstream names; every subject is told to serve it.
MODEL = "bench-model"

#: Events of one streamed answer, as Benchmarks/upstream/fixed-upstream.c sends them.
STREAM_CHUNKS = 100

CHAT_PATH = "/v1/chat/completions"

#: What a client library of the OpenAI API sends besides content-length; load/chat.lua sends the same.
HEADERS = {
    "accept": "application/json",
    "authorization": "Bearer sk-bench-0123456789abcdef0123456789abcdef",
    "content-type": "application/json",
    "user-agent": "OpenAI/Python 3.54.0",
}


@dataclass(frozen=True)
class Workload:
    """One kind of request."""

    name: str
    #: What the tables call it.
    title: str
    #: What one request is called in the tables' rate column.
    unit: str
    body: bytes
    streams: bool

    def verify(self, port: int, host: str = "127.0.0.1") -> bytes:
        """Sends one request and returns the answer's body; raises WrongAnswer unless it is a whole, right answer."""
        connection = http.client.HTTPConnection(host, port, timeout=10)
        try:
            connection.request("POST", CHAT_PATH, body=self.body, headers=HEADERS)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise WrongAnswer(f"{self.name}: status {response.status}: {answer[:200]!r}")
        if self.streams:
            events = [line[6:] for line in answer.split(b"\n") if line.startswith(b"data: ")]
            if len(events) != STREAM_CHUNKS + 1 or events[-1] != b"[DONE]":
                raise WrongAnswer(f"{self.name}: {len(events)} events, the last is {events[-1:]!r}")
            kinds = {json.loads(event)["object"] for event in events[:-1]}
            if kinds != {"chat.completion.chunk"}:
                raise WrongAnswer(f"{self.name}: events of kind {kinds}")
        elif json.loads(answer)["object"] != "chat.completion":
            raise WrongAnswer(f"{self.name}: {answer[:200]!r}")
        return answer


class WrongAnswer(Exception):
    """An answer that the fixed upstream never gives."""


def chat_body(size_bytes: int, stream: bool) -> bytes:
    """A chat request of exactly `size_bytes`, its user message filled up with English text."""
    text = (
        "The ship left the harbour at noon with a light wind from the north-west and a falling glass. "
        'By evening the lamp at the point was out of sight, and the mate asked: "Where are we?" '
    )

    def request(content: str) -> bytes:
        value = {
            "model": MODEL,
            "messages": [
                {"role": "system", "content": "You are a navigator. Answer in one short paragraph."},
                {"role": "user", "content": content},
            ],
            "temperature": 0.2,
            "max_tokens": 128,
            "stream": stream,
        }
        return json.dumps(value, separators=(",", ":")).encode()

    content = ""
    while len(request(content)) < size_bytes:
        content += text
    while len(request(content)) > size_bytes:
        content = content[:-1]
    # Cutting at an escaped quotation mark takes two bytes away; spaces make up the difference.
    return request(content + " " * (size_bytes - len(request(content))))


WORKLOADS = [
    Workload("chat-1k", "Chat, 1 KB request", "requests", chat_body(1024, stream=False), streams=False),
    Workload("chat-16k", "Chat, 16 KB request", "requests", chat_body(16 * 1024, stream=False), streams=False),
    Workload("sse", f"Chat, streamed answer of {STREAM_CHUNKS} chunks", "streams", chat_body(1024, True), streams=True),
]

#: For what a policy costs: its cost grows with the prompt.
POLICY_WORKLOADS = [
    *WORKLOADS[:2],
    Workload("chat-64k", "Chat, 64 KB request", "requests", chat_body(64 * 1024, stream=False), streams=False),
]
