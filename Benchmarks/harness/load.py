"""Load by wrk, and the figures of one run of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

from harness.processes import Process, machine_busy_seconds
from harness.workloads import CHAT_PATH, HEADERS, Workload

SCRIPT = Path(__file__).resolve().parent.parent / "load" / "chat.lua"

#: Above any latency of a healthy run, so that a slow answer is counted as slow and not as lost.
TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Sample:
    """What one run of the load measured on one subject."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    #: Failed connections, broken reads and writes, time-outs, and answers of status 400 or more.
    errors: int
    #: CPU time of the subject over the run, in microseconds for each answered request.
    cpu_us: float
    #: The same for the upstream; equal to `cpu_us` where the upstream is the subject.
    upstream_cpu_us: float
    #: Cores that were kept busy by anything but the load, the subject and the upstream, or kept away by the host.
    other_cores: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def cores(self) -> float:
        """Cores that the subject kept busy."""
        return self.cpu_us * self.per_second / 1e6


class Load:
    """Sends one workload after another with wrk."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        wrk = shutil.which("wrk")
        if wrk is None:
            raise SystemExit("wrk is not installed; run: scripts/install-packages wrk")
        self.wrk = wrk

    def version(self) -> str:
        # wrk -v prints its version and then its usage, with status 1.
        words = subprocess.run([self.wrk, "-v"], capture_output=True, text=True).stdout.split()
        return words[1] if len(words) > 1 else "?"

    def run(
        self,
        workload: Workload,
        port: int,
        connections: int,
        seconds: int,
        subject: Process,
        upstream: Process,
        rate: Optional[float] = None,
        every: Optional[tuple[float, Callable[[], None]]] = None,
    ) -> Sample:
        """Loads `port` for `seconds` and returns the figures.

        With `rate`, at most that many requests leave in a second, and `every` is a period in seconds and what to do
        after each while the load runs.
        """
        threads = 1 if connections <= 16 else 2
        command = [
            self.wrk,
            f"--threads={threads}",
            f"--connections={connections}",
            f"--duration={seconds}s",
            f"--timeout={TIMEOUT_SECONDS}s",
            f"--script={SCRIPT}",
            f"http://127.0.0.1:{port}{CHAT_PATH}",
            "--",
            str(self._request_file(workload)),
        ]
        if rate is not None:
            command.append(str(rate / threads))

        output = self.directory / "wrk.log"
        output.write_bytes(b"")
        busy, cpu, upstream_cpu = machine_busy_seconds(), subject.cpu_seconds(), upstream.cpu_seconds()
        began = time.monotonic()
        children_before = os.times()
        wrk = Process(command, output)
        try:
            self._wait(wrk, seconds + 2 * TIMEOUT_SECONDS, every)
            status = wrk.wait()
        finally:
            wrk.end()
        wall = time.monotonic() - began
        cpu, upstream_cpu = subject.cpu_seconds() - cpu, upstream.cpu_seconds() - upstream_cpu
        busy = machine_busy_seconds() - busy
        # wrk is the only child that ended meanwhile.
        children = os.times()
        wrk_cpu = children.children_user + children.children_system
        wrk_cpu -= children_before.children_user + children_before.children_system

        lines = [line for line in output.read_text().splitlines() if line.startswith("{")]
        if status != 0 or len(lines) != 1:
            raise SystemExit(f"wrk failed with status {status}: {output.read_text()[-2000:]}")
        figures = json.loads(lines[0])
        requests = figures["requests"]
        known_cpu = wrk_cpu + cpu + (upstream_cpu if upstream is not subject else 0)
        return Sample(
            requests=requests,
            seconds=figures["duration_us"] / 1e6,
            p50_ms=figures["p50_us"] / 1e3,
            p99_ms=figures["p99_us"] / 1e3,
            max_ms=figures["max_us"] / 1e3,
            errors=sum(count for name, count in figures.items() if name.endswith("_errors") or name == "timeouts"),
            cpu_us=cpu * 1e6 / max(requests, 1),
            upstream_cpu_us=upstream_cpu * 1e6 / max(requests, 1),
            other_cores=max(0.0, busy - known_cpu) / wall,
        )

    def _wait(self, wrk: Process, timeout_seconds: float, every: Optional[tuple[float, Callable[[], None]]]) -> None:
        deadline = time.monotonic() + timeout_seconds
        period, action = every or (timeout_seconds, lambda: None)
        while True:
            try:
                wrk.wait(max(0.01, min(period, deadline - time.monotonic())))
                return
            except subprocess.TimeoutExpired:
                if time.monotonic() >= deadline:
                    raise SystemExit("wrk did not end in time") from None
                action()

    def _request_file(self, workload: Workload) -> Path:
        """The request as chat.lua reads it: header lines, an empty line, the body."""
        path = self.directory / f"{workload.name}.request"
        if not path.exists():
            head = "".join(f"{name}: {value}\n" for name, value in HEADERS.items())
            path.write_bytes(head.encode() + b"\n" + workload.body)
        return path
