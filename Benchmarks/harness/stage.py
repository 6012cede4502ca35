"""The upstream and the proxies in front of it, while a run lasts."""

from __future__ import annotations

import http.client
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional

from harness.processes import NotReady, Process, free_port
from harness.programs import FIXED_UPSTREAM
from harness.subjects import DIRECT, Place, Subject
from harness.workloads import WORKLOADS, WrongAnswer

#: vllm-router loads Python and checks its workers first: some 6 s on a quiet machine.
START_TIMEOUT_SECONDS = 90


def say(line: str) -> None:
    """Progress and complaints go to the standard error; the standard output holds the tables alone."""
    print(line, file=sys.stderr, flush=True)


@dataclass
class Running:
    """A subject that has answered a request."""

    subject: Subject
    process: Process
    port: int
    start_seconds: float


class Stage:
    """The upstream and the subjects in front of it; ends them all."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.upstream_port = free_port()
        self._binary = FIXED_UPSTREAM.build()
        self._processes: list[Process] = []

    def __enter__(self) -> "Stage":
        try:
            log = self.directory / "upstream.log"
            self.upstream = self.launch([str(self._binary), str(self.upstream_port)], log)
            self.upstream.wait_until(lambda: b"listening" in log.read_bytes(), START_TIMEOUT_SECONDS)
            return self
        except BaseException:
            self._end()
            raise

    def __exit__(self, *_: object) -> None:
        self._end()

    def start(self, subject: Subject) -> Running:
        """Starts a subject and waits until it has answered a chat request."""
        if subject is DIRECT:
            return Running(subject, self.upstream, self.upstream_port, 0)
        port = free_port()
        place = Place(port, self.upstream_port, Path(tempfile.mkdtemp(prefix=subject.name, dir=self.directory)))
        process = self.launch(subject.command(place), place.directory / "log", subject.environment)

        def answers() -> bool:
            try:
                WORKLOADS[0].verify(port)
                return True
            except (OSError, http.client.HTTPException, WrongAnswer):
                return False

        try:
            seconds = process.wait_until(answers, START_TIMEOUT_SECONDS)
        except NotReady as problem:
            raise SystemExit(f"{subject.name} did not start: {problem}") from None
        return Running(subject, process, port, seconds)

    def stop(self, running: Running) -> None:
        running.process.end()
        self._processes.remove(running.process)

    def _end(self) -> None:
        for process in reversed(self._processes):
            process.end()

    def launch(self, command: "list[str]", log: Path, environment: Optional[Mapping[str, str]] = None) -> Process:
        """Starts a process that ends with the stage at the latest."""
        process = Process(command, log, environment)
        self._processes.append(process)
        return process
