"""Load by wrk and by the generators of Benchmarks/load, and the figures of one run of it."""

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
from harness.programs import EXTPROC_LOAD, HTTP_LOAD
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
    #: Cores that were kept busy by anything but the load and what it loads, or kept away by the host.
    other_cores: float
    #: CPU time of what serves the subject, an external processor or a trace collector, for each answered request.
    processor_cpu_us: float = 0
    #: Requests that were due and found every place taken; only of a load at fixed times.
    delayed: int = 0

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def cores(self) -> float:
        """Cores that the subject kept busy."""
        return self.cpu_us * self.per_second / 1e6


@dataclass(frozen=True)
class Loaded:
    """The processes that a load keeps busy."""

    subject: Process
    #: What stands behind the subject; the subject itself where there is nothing.
    upstream: Process
    processor: Optional[Process] = None


#: A period in seconds, and what to do after each while a load runs.
Every = Optional["tuple[float, Callable[[], None]]"]


class Load:
    """Sends one workload after another."""

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
        loaded: Loaded,
        rate: Optional[float] = None,
        every: Every = None,
    ) -> Sample:
        """Loads `port` with wrk for `seconds`; with `rate`, at most that many requests leave in a second."""
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
        return self._measure(command, seconds, loaded, every, _wrk_figures)

    def at_rate(
        self,
        workload: Workload,
        port: int,
        connections: int,
        seconds: int,
        rate: float,
        loaded: Loaded,
        expected: Optional[str] = None,
        every: Every = None,
    ) -> Sample:
        """Sends `rate` requests in a second at fixed times, and counts their latency from then.

        Each answer's head must hold `expected`.
        """
        command = [
            str(HTTP_LOAD.build()),
            *("--port", str(port), "--connections", str(connections), "--request", str(self._request_file(workload))),
            *("--rate", str(rate), "--duration", str(seconds), "--timeout", str(TIMEOUT_SECONDS), "--json"),
            *(("--expect", expected) if expected else ()),
        ]
        return self._measure(command, seconds, loaded, every, _generator_figures)

    def straight(self, workload: Workload, port: int, seconds: int, loaded: Loaded, *options: str) -> Sample:
        """Sends an external processor what Envoy would send it for this workload; see extproc-load for `options`."""
        body = self.directory / f"{workload.name}.body"
        body.write_bytes(workload.body)
        command = [
            str(EXTPROC_LOAD.build()),
            *("--port", str(port), "--body", str(body), "--duration", str(seconds)),
            *("--timeout", str(TIMEOUT_SECONDS), "--json", *options),
        ]
        return self._measure(command, seconds, loaded, None, _generator_figures)

    def _measure(
        self, command: "list[str]", seconds: int, loaded: Loaded, every: Every, read: "Callable[[dict], dict]"
    ) -> Sample:
        """Runs a command that prints one line of JSON, and takes the CPU time of everybody meanwhile."""
        processes = {id(process): process for process in (loaded.subject, loaded.upstream, loaded.processor) if process}
        output = self.directory / "load.log"
        output.write_bytes(b"")
        busy, before = machine_busy_seconds(), {key: process.cpu_seconds() for key, process in processes.items()}
        began = time.monotonic()
        children_before = os.times()
        load = Process(command, output)
        try:
            self._wait(load, seconds + 3 * TIMEOUT_SECONDS, every)
            status = load.wait()
        finally:
            load.end()
        wall = time.monotonic() - began
        used = {key: process.cpu_seconds() - before[key] for key, process in processes.items()}
        busy = machine_busy_seconds() - busy
        # The load is the only child that ended meanwhile.
        children = os.times()
        load_cpu = children.children_user + children.children_system
        load_cpu -= children_before.children_user + children_before.children_system

        # The generators end with 1 when requests failed, and print their figures all the same.
        lines = [line for line in output.read_text().splitlines() if line.startswith("{")]
        if status not in (0, 1) or len(lines) != 1:
            raise SystemExit(f"{Path(command[0]).name} failed with status {status}: {output.read_text()[-2000:]}")
        figures = read(json.loads(lines[0]))

        def cpu_us(process: Optional[Process]) -> float:
            return used[id(process)] * 1e6 / max(figures["requests"], 1) if process else 0

        return Sample(
            **figures,
            cpu_us=cpu_us(loaded.subject),
            upstream_cpu_us=cpu_us(loaded.upstream),
            processor_cpu_us=cpu_us(loaded.processor),
            other_cores=max(0.0, busy - load_cpu - sum(used.values())) / wall,
        )

    def _wait(self, load: Process, timeout_seconds: float, every: Every) -> None:
        deadline = time.monotonic() + timeout_seconds
        period, action = every or (timeout_seconds, lambda: None)
        while True:
            try:
                load.wait(max(0.01, min(period, deadline - time.monotonic())))
                return
            except subprocess.TimeoutExpired:
                if time.monotonic() >= deadline:
                    raise SystemExit("the load did not end in time") from None
                action()

    def _request_file(self, workload: Workload) -> Path:
        """The request as chat.lua reads it: header lines, an empty line, the body."""
        path = self.directory / f"{workload.name}.request"
        if not path.exists():
            head = "".join(f"{name}: {value}\n" for name, value in HEADERS.items())
            path.write_bytes(head.encode() + b"\n" + workload.body)
        return path


def _wrk_figures(report: dict) -> dict:
    """What chat.lua prints, in Sample's terms."""
    return {
        "requests": report["requests"],
        "seconds": report["duration_us"] / 1e6,
        "p50_ms": report["p50_us"] / 1e3,
        "p99_ms": report["p99_us"] / 1e3,
        "max_ms": report["max_us"] / 1e3,
        "errors": sum(count for name, count in report.items() if name.endswith("_errors") or name == "timeouts"),
    }


def _generator_figures(report: dict) -> dict:
    """What http-load and extproc-load print, in Sample's terms."""
    return {
        "requests": report.get("requests", report.get("streams")),
        # A run that answered nothing took no time by its own account.
        "seconds": report["seconds"] or 1,
        "p50_ms": report["p50_us"] / 1e3,
        "p99_ms": report["p99_us"] / 1e3,
        "max_ms": report["max_us"] / 1e3,
        "errors": sum(report["errors"].values()),
        "delayed": report["delayed"],
    }
