"""Tables of a run, for the terminal and for docs/performance.md."""

from __future__ import annotations

import datetime
import math
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Optional, Sequence

from harness.load import Sample
from harness.subjects import ROOT
from harness.workloads import Workload

MIB = 1024 * 1024


# What a run found


@dataclass
class Machine:
    """Where and of what the figures are."""

    date: str
    commit: str
    processor: str
    cores: int
    memory_gib: float
    kernel: str
    system: str
    load_average: float
    wrk: str

    @staticmethod
    def here(wrk: str) -> "Machine":
        processor = next(_values(Path("/proc/cpuinfo"), "model name"), platform.machine())
        memory_kb = int(next(_values(Path("/proc/meminfo"), "MemTotal")).split()[0])
        system = next(_values(Path("/etc/os-release"), "PRETTY_NAME", "="), platform.system()).strip('"')
        return Machine(
            date=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
            commit=_git_commit(),
            processor=processor,
            cores=len(os.sched_getaffinity(0)),
            memory_gib=round(memory_kb / MIB, 1),
            kernel=platform.release(),
            system=system,
            load_average=os.getloadavg()[0],
            wrk=wrk,
        )


@dataclass
class SubjectFigures:
    """What is measured of a subject as a process."""

    name: str
    note: str
    version: str
    #: Milliseconds from its start to the answer to its first chat request, one for each start.
    start_ms: "list[float]" = field(default_factory=list)
    idle_bytes: int = 0
    loaded_bytes: int = 0
    peak_bytes: int = 0


@dataclass
class Results:
    """All figures of one run; samples by workload, connections and subject, one per round."""

    machine: Machine
    seconds: int
    rounds: int
    subjects: "list[SubjectFigures]"
    skipped: "dict[str, str]"
    samples: "dict[tuple[str, int, str], list[Sample]]" = field(default_factory=dict)

    def add(self, workload: str, connections: int, subject: str, sample: Sample) -> None:
        self.samples.setdefault((workload, connections, subject), []).append(sample)

    def median(self, workload: str, connections: int, subject: str) -> Optional[Sample]:
        samples = self.samples.get((workload, connections, subject))
        return median_sample(samples) if samples else None

    @property
    def failures(self) -> "dict[str, int]":
        """Errors by subject, where there were any."""
        errors: dict[str, int] = {}
        for (_, _, subject), samples in self.samples.items():
            errors[subject] = errors.get(subject, 0) + sum(sample.errors for sample in samples)
        return {subject: count for subject, count in errors.items() if count}

    @property
    def other_cores(self) -> float:
        """Cores that others used meanwhile, the median of all samples."""
        return median([sample.other_cores for samples in self.samples.values() for sample in samples] or [0])

    def as_json(self) -> dict:
        return {
            "machine": asdict(self.machine),
            "seconds": self.seconds,
            "rounds": self.rounds,
            "subjects": [asdict(subject) for subject in self.subjects],
            "skipped": self.skipped,
            "samples": [
                {
                    "workload": workload,
                    "connections": connections,
                    "subject": subject,
                    "rounds": [{**asdict(sample), "per_second": sample.per_second} for sample in samples],
                }
                for (workload, connections, subject), samples in self.samples.items()
            ],
        }


def median_sample(samples: Sequence[Sample]) -> Sample:
    """The median of each figure by itself; errors are added up, for none may hide behind a good round."""
    seconds = median(sample.seconds for sample in samples)
    return Sample(
        requests=round(median(sample.per_second for sample in samples) * seconds),
        seconds=seconds,
        p50_ms=median(sample.p50_ms for sample in samples),
        p99_ms=median(sample.p99_ms for sample in samples),
        max_ms=median(sample.max_ms for sample in samples),
        errors=sum(sample.errors for sample in samples),
        cpu_us=median(sample.cpu_us for sample in samples),
        upstream_cpu_us=median(sample.upstream_cpu_us for sample in samples),
        other_cores=median(sample.other_cores for sample in samples),
        processor_cpu_us=median(sample.processor_cpu_us for sample in samples),
        delayed=sum(sample.delayed for sample in samples),
    )


def half_of_what_is_served(results: Results, workload: Workload) -> float:
    """Half of the lowest rate of a subject at the most connections, to two digits: none is saturated by it."""
    most = max(connections for name, connections, _ in results.samples if name == workload.name)
    medians = [results.median(workload.name, most, subject.name) for subject in results.subjects]
    half = min(sample.per_second for sample in medians if sample) / 2
    unit = 10 ** max(0, math.floor(math.log10(max(half, 1))) - 1)
    return max(1.0, half // unit * unit)


# Tables


@dataclass
class Table:
    """A titled table whose cells are text; the first columns, as many as `labels`, are set flush left."""

    title: str
    header: "list[str]"
    rows: "list[list[str]]"
    labels: int = 1

    def text(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows)]
        lines = [self._aligned(row, widths, "  ") for row in [self.header, *self.rows]]
        return "\n".join([self.title, *(line.rstrip() for line in lines)])

    def markdown(self) -> str:
        rule = [":--" if index < self.labels else "--:" for index in range(len(self.header))]
        lines = ["| " + " | ".join(row) + " |" for row in [self.header, rule, *self.rows]]
        return "\n".join([f"**{self.title}**", "", *lines])

    def _aligned(self, row: "list[str]", widths: "list[int]", gap: str) -> str:
        return gap.join(
            cell.ljust(width) if index < self.labels else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths))
        )


def load_table(results: Results, workload: Workload) -> Table:
    """One workload: a row per number of connections and subject."""
    rows = []
    levels = sorted({connections for name, connections, _ in results.samples if name == workload.name})
    for connections in levels:
        direct = results.median(workload.name, connections, "direct")
        for subject in results.subjects:
            sample = results.median(workload.name, connections, subject.name)
            if sample is None:
                continue
            is_proxy = subject.name != "direct"
            rows.append([
                subject.name,
                str(connections),
                count(sample.per_second),
                milliseconds(sample.p50_ms),
                milliseconds(sample.p99_ms),
                added(sample.p50_ms, direct.p50_ms) if is_proxy and direct else "",
                str(sample.errors),
                count(sample.cpu_us),
                f"{sample.cores:.2f}",
                *(_ratio(sample, results.median(workload.name, connections, peer)) if is_proxy else ""
                  for peer in PEERS),
            ])
    header = ["subject", "connections", f"{workload.unit}/s", "p50 ms", "p99 ms", "added p50 ms", "errors",
              f"CPU µs/{workload.unit[:-1]}", "cores", *(f"CPU, {peer} = 1" for peer in PEERS)]
    return Table(workload.title, header, rows)


#: The proxies that CPU time is compared with.
PEERS = ("nginx", "vllm-router")


def subject_table(results: Results) -> Table:
    """Each subject as a process."""
    rows = [
        [
            subject.name,
            subject.version,
            subject.note,
            count(median(subject.start_ms)) if subject.start_ms else "",
            mebibytes(subject.idle_bytes),
            mebibytes(subject.loaded_bytes),
            mebibytes(subject.peak_bytes),
        ]
        for subject in results.subjects
    ]
    header = ["subject", "version", "set-up", "start ms", "RSS idle MiB", "after load", "peak"]
    return Table("Start and memory", header, rows, labels=3)


def machine_lines(machine: Machine) -> "list[str]":
    return [
        f"{machine.processor}, {machine.cores} cores, {machine.memory_gib} GiB; "
        f"{machine.system}, kernel {machine.kernel}; wrk {machine.wrk}",
        f"commit {machine.commit}, {machine.date}, load average at the start {machine.load_average:.2f}",
    ]


def run_lines(results: Results) -> "list[str]":
    lines = [
        *machine_lines(results.machine),
        f"{results.seconds} s for each figure, median of {results.rounds} interleaved "
        f"round{'s' if results.rounds > 1 else ''}; other processes used {results.other_cores:.2f} cores meanwhile",
    ]
    if results.other_cores > 0.25:
        lines.append("The machine was not quiet: compare CPU time within this run, and trust no latency.")
    lines += [f"{name} was left out: {reason}" for name, reason in results.skipped.items()]
    return lines


def tables(results: Results, workloads: Sequence[Workload]) -> "list[Table]":
    return [subject_table(results), *(load_table(results, workload) for workload in workloads)]


def as_text(lines: Sequence[str], tables: Sequence[Table]) -> str:
    return "\n\n".join(["\n".join(lines), *(table.text() for table in tables)])


def as_markdown(lines: Sequence[str], tables: Sequence[Table]) -> str:
    return "\n\n".join(["\n".join(f"- {line}" for line in lines), *(table.markdown() for table in tables)])


def replace_block(page: Path, block: str, content: str) -> None:
    """Puts `content` between the markers <!-- BLOCK:begin --> and <!-- BLOCK:end --> of a page."""
    begin, end = f"<!-- {block}:begin -->", f"<!-- {block}:end -->"
    text = page.read_text()
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise SystemExit(f"{page} must hold {begin} and after it {end}, once each")
    head, tail = text[: text.index(begin) + len(begin)], text[text.index(end) :]
    page.write_text(f"{head}\n{content}\n{tail}")


# Cells


def count(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def milliseconds(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def added(value: float, base: float) -> str:
    return f"{value - base:+.2f}"


def _ratio(sample: Sample, peer: Optional[Sample]) -> str:
    return f"{sample.cpu_us / peer.cpu_us:.2f}" if peer and peer.cpu_us else ""


def mebibytes(value: float) -> str:
    return f"{value / MIB:.1f}"


# The machine


def _values(path: Path, key: str, separator: str = ":"):
    """The values of the lines "KEY: value" of a file."""
    if path.exists():
        for line in path.read_text().splitlines():
            name, found, value = line.partition(separator)
            if found and name.strip() == key:
                yield value.strip()


def _git_commit() -> str:
    """The commit that the working tree is at, with a plus sign when files differ from it."""
    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True).stdout.strip()

    commit = git("rev-parse", "--short=10", "HEAD") or "unknown"
    return commit + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
