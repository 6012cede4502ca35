"""One subject under load for minutes: not one request may fail, and memory may not grow."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass

from harness import report
from harness.load import Load, Loaded, Sample
from harness.processes import Process
from harness.report import MIB, Machine, Table
from harness.stage import Stage, say
from harness.subjects import ROOT, Subject

MEMORY_PERIOD_SECONDS = 5

#: The request rate that the design asks of the inference path.
DESIGN_RATE = 10_000

#: By how much memory may be higher at the end than at half time: what an allocator's rounding and the sampling make.
GROWTH_LIMIT_BYTES = 8 * MIB
GROWTH_LIMIT_RATIO = 0.1


@dataclass
class MemoryPoint:
    seconds: float
    resident_bytes: int


class MemoryLog:
    """The resident memory of a process over the time since the log began."""

    def __init__(self, process: Process) -> None:
        self.points: list[MemoryPoint] = []
        self._process = process
        self._began = time.monotonic()

    def note(self) -> None:
        self.points.append(MemoryPoint(time.monotonic() - self._began, self._process.memory_bytes().resident))


@dataclass
class Endurance:
    """What a sustained run found of one subject."""

    subject: str
    workload: str
    connections: int
    sample: Sample
    idle_bytes: int
    peak_bytes: int
    memory: "list[MemoryPoint]"

    @property
    def half_time_bytes(self) -> int:
        return self.memory[len(self.memory) // 2].resident_bytes if self.memory else self.idle_bytes

    @property
    def end_bytes(self) -> int:
        return self.memory[-1].resident_bytes if self.memory else self.idle_bytes

    @property
    def cores_at_design_rate(self) -> float:
        return self.sample.cpu_us * DESIGN_RATE / 1e6

    def complaints(self, least_requests: int) -> "list[str]":
        """Why the run does not count as passed; empty if it does."""
        complaints = []
        if self.sample.errors:
            complaints.append(f"{self.sample.errors} requests failed")
        if self.sample.requests < least_requests:
            complaints.append(f"{self.sample.requests:,} requests are fewer than {least_requests:,}: run longer")
        growth = self.end_bytes - self.half_time_bytes
        if growth > max(GROWTH_LIMIT_BYTES, self.half_time_bytes * GROWTH_LIMIT_RATIO):
            complaints.append(f"memory grew by {growth / MIB:.1f} MiB in the second half")
        return complaints


def sustain(options: argparse.Namespace, stage: Stage, load: Load, subjects: "list[Subject]") -> int:
    """Runs each subject by itself; prints and stores the table; returns the exit status."""
    machine = Machine.here(load.version())
    found: list[Endurance] = []
    for subject in subjects:
        running = stage.start(subject)
        idle = running.process.memory_bytes().resident
        for workload in options.workloads:
            workload.verify(running.port)
            for connections in options.connections:
                say(f"{subject.name}, {workload.name}, {connections} connections, {options.sustained} s")
                memory = MemoryLog(running.process)
                sample = load.run(
                    workload, running.port, connections, options.sustained, Loaded(running.process, stage.upstream),
                    rate=options.rate, every=(MEMORY_PERIOD_SECONDS, memory.note),
                )
                memory.note()
                peak = running.process.memory_bytes().peak
                found.append(Endurance(subject.name, workload.name, connections, sample, idle, peak, memory.points))
        if running.process is not stage.upstream:
            stage.stop(running)

    pace = f"{options.rate:,.0f} requests/s offered" if options.rate else "as many requests as are answered"
    lines = [*report.machine_lines(machine), f"{options.sustained} s, {pace}"]
    tables = [endurance_table(found)]
    print(report.as_text(lines, tables))
    if options.json:
        value = {"machine": asdict(machine), "rate": options.rate, "runs": [asdict(one) for one in found]}
        options.json.write_text(json.dumps(value, indent=1) + "\n")
    if options.markdown:
        block = report.as_markdown(lines, tables)
        report.replace_block(ROOT / "docs" / "performance.md", "bench-sustained", block)
    complaints = [f"{one.subject}: {text}" for one in found for text in one.complaints(options.min_requests)]
    for complaint in complaints:
        say(complaint)
    return 1 if complaints else 0


def endurance_table(found: "list[Endurance]") -> Table:
    rows = [
        [
            one.subject,
            one.workload,
            str(one.connections),
            f"{one.sample.requests:,}",
            str(one.sample.errors),
            f"{one.sample.per_second:,.0f}",
            f"{one.sample.p50_ms:.2f}",
            f"{one.sample.p99_ms:.2f}",
            f"{one.sample.cpu_us:.1f}",
            f"{one.cores_at_design_rate:.2f}",
            *(f"{size / MIB:.1f}" for size in (one.idle_bytes, one.half_time_bytes, one.end_bytes, one.peak_bytes)),
        ]
        for one in found
    ]
    header = ["subject", "workload", "connections", "requests", "errors", "requests/s", "p50 ms", "p99 ms",
              "CPU µs/request", f"cores for {DESIGN_RATE:,}/s", "RSS idle MiB", "half time", "end", "peak"]
    return Table("Sustained load", header, rows, labels=2)
