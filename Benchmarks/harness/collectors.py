"""What stands at the other end of a trace exporter: a collector that takes everything, a silent one, or nothing."""

from __future__ import annotations

import enum
import http.client
import json
import socket
from dataclasses import dataclass
from pathlib import Path

from harness.processes import Process, free_port
from harness.programs import OTLP_SINK
from harness.stage import START_TIMEOUT_SECONDS, Stage


class Answers(enum.Enum):
    """How a collector behaves."""

    #: It takes every span.
    AT_ONCE = "takes all"
    #: Connections are refused.
    GONE = "nothing listens"
    #: Connections are accepted, and nothing is read or answered.
    NEVER = "listens and never answers"


def endpoint(port: int) -> str:
    """Where an exporter sends OTLP/HTTP in protobuf."""
    return f"http://127.0.0.1:{port}/v1/traces"


@dataclass(frozen=True)
class Received:
    """What has come to a collector."""

    requests: int
    bytes: int
    spans: int


class Sink:
    """A running Benchmarks/collector/otlp-sink.c."""

    def __init__(self, stage: Stage) -> None:
        self.port = free_port()
        log = Path(stage.directory) / f"sink-{self.port}.log"
        self.process: Process = stage.launch([str(OTLP_SINK.build()), str(self.port)], log)
        self.process.wait_until(lambda: b"listening" in log.read_bytes(), START_TIMEOUT_SECONDS)

    def received(self) -> Received:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/counts")
            return Received(**json.loads(connection.getresponse().read()))
        finally:
            connection.close()


def silent_listener() -> "tuple[socket.socket, int]":
    """A socket whose connections the kernel accepts, and nobody else; and its port."""
    port = free_port()
    return socket.create_server(("127.0.0.1", port), backlog=16), port
