"""Sextant as Envoy's external processor: what it adds to a request, what it costs, and how much it takes."""

from __future__ import annotations

import argparse
import json
import math
import shlex
import socket
from dataclasses import asdict, dataclass, field
from pathlib import Path

from harness import report
from harness.envoy import Chain, configuration, counters, faults, streams, write_configuration
from harness.load import Load, Loaded, Sample
from harness.processes import NotReady, Process, free_port
from harness.report import MIB, Machine, Results, SubjectFigures, Table
from harness.stage import START_TIMEOUT_SECONDS, Stage, say
from harness.subjects import POLICY_DECISIONS, POLICY_KEYWORDS, ROOT, output_of, policy_text
from harness.sustained import MEMORY_PERIOD_SECONDS, Endurance, MemoryLog
from harness.workloads import CHAT_PATH, WORKLOADS, Workload

ALONE = Chain("Envoy", "no filter")
BUFFERED = Chain("Envoy + Sextant", "headers, the buffered request body, the answer's headers", "NONE")
STREAMED = Chain("Envoy + Sextant, streamed", "the same, and the answer's body in parts", "STREAMED")
CHAINS = [ALONE, BUFFERED, STREAMED]

CHAT, STREAM = WORKLOADS[0], WORKLOADS[2]

CONNECTIONS = [1, 16, 64]

#: Where streamed answers are measured.
STREAM_CONNECTIONS = 16

#: Of a load at fixed times: more than such a rate ever has under way on a machine that keeps up with it.
RATE_CONNECTIONS = 64

#: The load straight to Sextant that the design asks for.
STRAIGHT_RATE = 10_000
STRAIGHT_SECONDS = 60

#: The rate through Envoy that the design asks for over minutes.
SUSTAINED_RATE = 1_000

#: How long Envoy alone is loaded at that rate, to know what is added to it.
BASELINE_SECONDS = 60

WARM_UP_SECONDS = 1

#: What the answers of the policy of harness/subjects.py show: in the body that goes on to the worker, and in the head
#: that comes back.
CHOSEN_IN_BODY = '"large"'
CHOSEN_IN_HEAD = "x-vsr-selected-model: large"

#: What the design asks for.
GOAL_CPU_US = 90
GOAL_ADDED_P50_MS = 1.5
GOAL_ADDED_P99_MS = 8
GOAL_STRAIGHT_P99_MS = 5
GOAL_MEMORY_BYTES = 40_000_000
GOAL_SUSTAINED_ADDED_P99_MS = 10


# What runs


@dataclass
class Cast:
    """The processes of a run, all of which have answered."""

    envoy: Process
    sextant: Process
    upstream: Process
    ports: "dict[Chain, int]"
    processor_port: int
    admin_port: int
    idle_bytes: "dict[str, int]"

    def loaded(self, chain: Chain) -> Loaded:
        return Loaded(self.envoy, self.upstream, self.sextant if chain.has_processor else None)

    @property
    def straight(self) -> Loaded:
        return Loaded(self.sextant, self.sextant)

    def faults(self, requests: "dict[str, int]") -> "list[str]":
        """What Envoy says went wrong, of so many requests by chain."""
        counted = counters(self.admin_port)
        return [
            fault
            for chain in CHAINS
            if chain.has_processor
            for fault in faults(chain, counted, requests.get(chain.name, 0))
        ]


def assemble(options: argparse.Namespace, stage: Stage, workloads: "list[Workload]") -> Cast:
    """Starts Sextant and Envoy, and proves that every chain gives the upstream's answers."""
    ports = {chain: free_port() for chain in CHAINS}
    processor_port, admin_port = free_port(), free_port()
    policy = stage.directory / "policy.yaml"
    policy.write_text(policy_text(stage.upstream_port))
    sextant = stage.launch(processor_command(options, policy, processor_port), stage.directory / "sextant.log")
    wait(sextant, "Sextant", lambda: accepts(processor_port))

    config = configuration(ports, stage.upstream_port, processor_port, admin_port)
    path = write_configuration(stage.directory / "envoy.json", config)
    # One worker thread, and so one connection to Sextant.
    command = [str(options.envoy), "-c", str(path), "--concurrency", "1"]
    command += ["--log-level", "error", "--disable-hot-restart"]
    envoy = stage.launch(command, stage.directory / "envoy.log")
    wait(envoy, "Envoy", lambda: all(accepts(port) for port in ports.values()))

    for workload in workloads:
        expected = workload.verify(stage.upstream_port)
        for chain, port in ports.items():
            if workload.verify(port) != expected:
                raise SystemExit(f"{chain.name} changes the answer to {workload.name}")
    counted = counters(admin_port)
    for chain in CHAINS:
        if chain.has_processor and streams(chain, counted) != len(workloads):
            raise SystemExit(f"{chain.name}: requests go past the processor")
    idle = {"Envoy": envoy.memory_bytes().resident, "Sextant": sextant.memory_bytes().resident}
    return Cast(envoy, sextant, stage.upstream, ports, processor_port, admin_port, idle)


def processor_command(options: argparse.Namespace, policy: Path, port: int) -> "list[str]":
    if options.processor:
        places = {"{port}": str(port), "{policy}": str(policy)}
        return [places.get(word, word) for word in shlex.split(options.processor)]
    return [
        str(options.sextant),
        "semantic",
        *("--config", str(policy), "--host", "127.0.0.1", "--port", str(port)),
        *("--api-port", str(free_port()), "--metrics-host", "127.0.0.1", "--metrics-port", str(free_port())),
        *("--threads", "1", "--log-level", "warning"),
    ]


def wait(process: Process, name: str, is_ready) -> None:
    try:
        process.wait_until(is_ready, START_TIMEOUT_SECONDS)
    except NotReady as problem:
        raise SystemExit(f"{name} did not start: {problem}") from None


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


# What a run finds


@dataclass
class Found:
    """All figures of one run. The samples of `results` are by workload, connections and chain."""

    results: Results
    #: Requests per second of the load at fixed times.
    rate: float = 0
    at_rate: "dict[str, list[Sample]]" = field(default_factory=dict)
    #: The loads straight to Sextant, by what they are called.
    straight: "dict[str, Sample]" = field(default_factory=dict)
    processes: "list[SubjectFigures]" = field(default_factory=list)
    complaints: "list[str]" = field(default_factory=list)

    def median_at_rate(self, chain: Chain) -> Sample:
        return report.median_sample(self.at_rate[chain.name])

    @property
    def samples(self) -> "list[tuple[str, Sample]]":
        return [
            *((chain, sample) for (_, _, chain), samples in self.results.samples.items() for sample in samples),
            *((chain, sample) for chain, samples in self.at_rate.items() for sample in samples),
            *self.straight.items(),
        ]

    def as_json(self) -> dict:
        return {
            **self.results.as_json(),
            "rate": self.rate,
            "at_rate": {name: [asdict(sample) for sample in samples] for name, samples in self.at_rate.items()},
            "straight": {name: asdict(sample) for name, sample in self.straight.items()},
            "processes": [asdict(one) for one in self.processes],
        }


def compare(options: argparse.Namespace, stage: Stage, load: Load) -> int:
    """Every figure of the page, in one run; prints and stores the tables; returns the exit status."""
    subjects = [SubjectFigures(chain.name, chain.note, "") for chain in CHAINS]
    found = Found(Results(Machine.here(load.version()), options.duration, options.rounds, subjects, {}))
    cast = assemble(options, stage, [CHAT, STREAM])
    measure_closed_loops(options, load, cast, found)
    measure_at_rate(options, load, cast, found)
    requests = {
        chain.name: sum(sample.requests for name, sample in found.samples if name == chain.name) for chain in CHAINS
    }
    found.complaints += cast.faults(requests)
    measure_straight(options, load, cast, found)
    versions = {"Envoy": envoy_version(options), "Sextant": "" if options.processor else sextant_version(options)}
    notes = {
        "Envoy": "--concurrency 1; one process with a listener for each chain",
        "Sextant": f"--threads 1; {POLICY_DECISIONS} decisions with {POLICY_KEYWORDS} keywords",
    }
    for name, process in (("Envoy", cast.envoy), ("Sextant", cast.sextant)):
        memory = process.memory_bytes()
        figures = SubjectFigures(name, notes[name], versions[name], [], cast.idle_bytes[name])
        figures.loaded_bytes, figures.peak_bytes = memory.resident, memory.peak
        found.processes.append(figures)

    found.complaints += [f"{name}: {sample.errors} requests failed" for name, sample in found.samples if sample.errors]
    lines = report.run_lines(found.results)
    tables = all_tables(found)
    print(report.as_text(lines, tables))
    if options.json:
        options.json.write_text(json.dumps(found.as_json(), indent=1) + "\n")
    if options.markdown:
        page = ROOT / "docs" / "performance.md"
        report.replace_block(page, "extproc", report.as_markdown(lines, tables))
    for complaint in found.complaints:
        say(complaint)
    return 1 if found.complaints else 0


def measure_closed_loops(options: argparse.Namespace, load: Load, cast: Cast, found: Found) -> None:
    levels = [(CHAT, connections) for connections in options.connections] + [(STREAM, STREAM_CONNECTIONS)]
    for workload, connections in levels:
        for turn in range(options.rounds):
            for chain in CHAINS:
                say(f"{workload.name}, {connections} connections, round {turn + 1}, {chain.name}")
                where = (workload, cast.ports[chain], connections)
                load.run(*where, WARM_UP_SECONDS, cast.loaded(chain))
                sample = load.run(*where, options.duration, cast.loaded(chain))
                found.results.add(workload.name, connections, chain.name, sample)


def measure_at_rate(options: argparse.Namespace, load: Load, cast: Cast, found: Found) -> None:
    found.rate = options.rate or report.half_of_what_is_served(found.results, CHAT)
    for turn in range(options.rounds):
        for chain in CHAINS:
            say(f"{CHAT.name} at {found.rate:,.0f}/s, round {turn + 1}, {chain.name}")
            where = (CHAT, cast.ports[chain], RATE_CONNECTIONS)
            expected = CHOSEN_IN_HEAD if chain.has_processor and not options.processor else None
            load.at_rate(*where, WARM_UP_SECONDS, found.rate, cast.loaded(chain), expected)
            # Twice as long as a closed loop: half as many requests tell of the slowest hundredth.
            sample = load.at_rate(*where, 2 * options.duration, found.rate, cast.loaded(chain), expected)
            found.at_rate.setdefault(chain.name, []).append(sample)


def measure_straight(options: argparse.Namespace, load: Load, cast: Cast, found: Found) -> None:
    def straight(seconds: int, *more: str) -> Sample:
        return load.straight(CHAT, cast.processor_port, seconds, cast.straight, "--expect", CHOSEN_IN_BODY, *more)

    for concurrency in options.connections:
        name = f"{concurrency} at a time"
        say(f"straight to Sextant, {name}")
        straight(WARM_UP_SECONDS, "--concurrency", str(concurrency))
        found.straight[name] = straight(options.duration, "--concurrency", str(concurrency))
    seconds = options.duration if options.quick else STRAIGHT_SECONDS
    name = f"{STRAIGHT_RATE:,}/s for {seconds} s"
    say(f"straight to Sextant, {name}")
    found.straight[name] = straight(seconds, "--rate", str(STRAIGHT_RATE))


def envoy_version(options: argparse.Namespace) -> str:
    # "envoy  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL"
    parts = output_of([str(options.envoy), "--version"]).split("/")
    return next((part for part in parts if part[:1].isdigit() and part.count(".") == 2), "")


def sextant_version(options: argparse.Namespace) -> str:
    return output_of([str(options.sextant), "--version"])


# Tables


def all_tables(found: Found) -> "list[Table]":
    return [
        goal_table(found),
        chain_table(found.results, CHAT),
        chain_table(found.results, STREAM),
        rate_table(found),
        straight_table(found),
        process_table(found),
    ]


def added_to(sample: Sample, base: "Sample | None") -> "list[str]":
    if base is None:
        return ["", ""]
    return [report.added(sample.p50_ms, base.p50_ms), report.added(sample.p99_ms, base.p99_ms)]


def cpu_of(chain: Chain, sample: Sample) -> "list[str]":
    return [report.count(sample.cpu_us), report.count(sample.processor_cpu_us) if chain.has_processor else ""]


def chain_table(results: Results, workload: Workload) -> Table:
    """Closed loops: a row per number of connections and chain."""
    rows = []
    for connections in sorted({level for name, level, _ in results.samples if name == workload.name}):
        alone = results.median(workload.name, connections, ALONE.name)
        for chain in CHAINS:
            sample = results.median(workload.name, connections, chain.name)
            if sample is None:
                continue
            rows.append([
                chain.name,
                str(connections),
                report.count(sample.per_second),
                report.milliseconds(sample.p50_ms),
                report.milliseconds(sample.p99_ms),
                *added_to(sample, alone if chain.has_processor else None),
                str(sample.errors),
                *cpu_of(chain, sample),
            ])
    one = workload.unit[:-1]
    header = ["chain", "connections", f"{workload.unit}/s", "p50 ms", "p99 ms", "added p50 ms", "added p99 ms",
              "errors", f"Envoy CPU µs/{one}", f"Sextant CPU µs/{one}"]
    return Table(f"{workload.title}, as many as are answered", header, rows)


def rate_table(found: Found) -> Table:
    alone = found.median_at_rate(ALONE)
    rows = []
    for chain in CHAINS:
        sample = found.median_at_rate(chain)
        rows.append([
            chain.name,
            report.count(sample.per_second),
            report.milliseconds(sample.p50_ms),
            report.milliseconds(sample.p99_ms),
            *added_to(sample, alone if chain.has_processor else None),
            str(sample.errors),
            str(sample.delayed),
            *cpu_of(chain, sample),
        ])
    header = ["chain", "requests/s", "p50 ms", "p99 ms", "added p50 ms", "added p99 ms", "errors", "delayed",
              "Envoy CPU µs/request", "Sextant CPU µs/request"]
    return Table(f"{CHAT.title}, {found.rate:,.0f} requests/s at fixed times", header, rows)


def straight_table(found: Found) -> Table:
    rows = [
        [
            name,
            report.count(sample.per_second),
            report.milliseconds(sample.p50_ms),
            report.milliseconds(sample.p99_ms),
            report.milliseconds(sample.max_ms),
            str(sample.errors),
            str(sample.delayed),
            report.count(sample.cpu_us),
            f"{sample.cores:.2f}",
        ]
        for name, sample in found.straight.items()
    ]
    header = ["load", "streams/s", "p50 ms", "p99 ms", "max ms", "errors", "delayed", "Sextant CPU µs/stream", "cores"]
    return Table("Straight to Sextant, each message after the answer to the one before", header, rows)


def process_table(found: Found) -> Table:
    rows = [
        [
            one.name,
            one.version,
            one.note,
            *(report.mebibytes(size) for size in (one.idle_bytes, one.loaded_bytes, one.peak_bytes)),
        ]
        for one in found.processes
    ]
    return Table("Memory", ["process", "version", "set-up", "RSS idle MiB", "after load", "peak"], rows, labels=3)


def goal_table(found: Found) -> Table:
    """What the design asks for, beside what was found."""
    rows = []

    def goal(what: str, wanted: str, value: str, is_met: bool) -> None:
        rows.append([what, wanted, value, "yes" if is_met else "no"])

    busy = [
        found.results.median(*key).processor_cpu_us
        for key in found.results.samples
        if key[0] == CHAT.name and key[1] >= 16 and key[2] == BUFFERED.name
    ]
    if busy:
        cpu = max(busy)
        goal("Sextant's CPU time for a request, 16 or more connections", f"≤ {GOAL_CPU_US} µs", f"{cpu:.1f} µs",
             cpu <= GOAL_CPU_US)
    alone, through = found.median_at_rate(ALONE), found.median_at_rate(BUFFERED)
    for name, wanted, added in (
        ("p50", GOAL_ADDED_P50_MS, through.p50_ms - alone.p50_ms),
        ("p99", GOAL_ADDED_P99_MS, through.p99_ms - alone.p99_ms),
    ):
        goal(f"added {name} at {found.rate:,.0f} requests/s", f"≤ {wanted} ms", f"{added:.2f} ms", added <= wanted)
    name, sample = list(found.straight.items())[-1]
    # A thousandth is what the last answer takes.
    goal("streams/s on one core", f"{STRAIGHT_RATE:,}", f"{sample.per_second:,.0f}",
         sample.per_second >= STRAIGHT_RATE * 0.999)
    goal("their p99", f"≤ {GOAL_STRAIGHT_P99_MS} ms", f"{sample.p99_ms:.2f} ms",
         sample.p99_ms <= GOAL_STRAIGHT_P99_MS)
    errors = sum(sample.errors for _, sample in found.samples)
    goal("errors, all loads together", "0", str(errors), errors == 0)
    peak = next(one.peak_bytes for one in found.processes if one.name == "Sextant")
    goal("Sextant's memory at its highest", f"≤ {GOAL_MEMORY_BYTES / MIB:.1f} MiB", f"{peak / MIB:.1f} MiB",
         peak <= GOAL_MEMORY_BYTES)
    return Table("What is asked for", ["what", "wanted", "found", "met"], rows)


# For minutes


def sustain(options: argparse.Namespace, stage: Stage, load: Load) -> int:
    """A fixed rate through Envoy and Sextant for minutes, after Envoy alone at the same; returns the exit status."""
    machine = Machine.here(load.version())
    rate, seconds = options.rate or SUSTAINED_RATE, options.sustained
    cast = assemble(options, stage, [CHAT])
    baseline_seconds = min(seconds, BASELINE_SECONDS)
    where = {chain: (CHAT, cast.ports[chain], RATE_CONNECTIONS) for chain in CHAINS}
    say(f"{ALONE.name}, {rate:,.0f}/s, {baseline_seconds} s")
    load.at_rate(*where[ALONE], WARM_UP_SECONDS, rate, cast.loaded(ALONE))
    alone = load.at_rate(*where[ALONE], baseline_seconds, rate, cast.loaded(ALONE))
    say(f"{BUFFERED.name}, {rate:,.0f}/s, {seconds} s")
    memory = MemoryLog(cast.sextant)
    expected = None if options.processor else CHOSEN_IN_HEAD
    sample = load.at_rate(
        *where[BUFFERED], seconds, rate, cast.loaded(BUFFERED), expected, (MEMORY_PERIOD_SECONDS, memory.note)
    )
    memory.note()
    peak = cast.sextant.memory_bytes().peak
    through = Endurance(BUFFERED.name, CHAT.name, RATE_CONNECTIONS, sample, cast.idle_bytes["Sextant"], peak,
                        memory.points)

    title = f"{rate:,.0f} requests/s at fixed times through Envoy"
    lines = [*report.machine_lines(machine), f"{baseline_seconds} s without Sextant, then {seconds} s with it"]
    tables = [sustained_table(title, alone, through)]
    print(report.as_text(lines, tables))
    if options.json:
        value = {"machine": asdict(machine), "rate": rate, "alone": asdict(alone), "through": asdict(through)}
        options.json.write_text(json.dumps(value, indent=1) + "\n")
    if options.markdown:
        page = ROOT / "docs" / "performance.md"
        report.replace_block(page, "extproc-sustained", report.as_markdown(lines, tables))
    complaints = sustained_complaints(alone, through, math.floor(rate * seconds))
    complaints += cast.faults({BUFFERED.name: sample.requests})
    for complaint in complaints:
        say(complaint)
    return 1 if complaints else 0


def sustained_complaints(alone: Sample, through: Endurance, least_requests: int) -> "list[str]":
    """Why a run for minutes does not count as passed; empty if it does."""
    complaints = [f"{through.subject}: {text}" for text in through.complaints(least_requests)]
    if alone.errors:
        complaints.append(f"{ALONE.name}: {alone.errors} requests failed")
    added = through.sample.p99_ms - alone.p99_ms
    if added >= GOAL_SUSTAINED_ADDED_P99_MS:
        complaints.append(f"{through.subject}: {added:.1f} ms were added to the p99, not less than "
                          f"{GOAL_SUSTAINED_ADDED_P99_MS}")
    return complaints


def sustained_table(title: str, alone: Sample, through: Endurance) -> Table:
    memory = (through.idle_bytes, through.half_time_bytes, through.end_bytes, through.peak_bytes)
    rows = [
        [
            chain.name,
            f"{sample.requests:,}",
            str(sample.errors),
            str(sample.delayed),
            report.count(sample.per_second),
            report.milliseconds(sample.p50_ms),
            report.milliseconds(sample.p99_ms),
            report.milliseconds(sample.max_ms),
            *added_to(sample, alone if chain.has_processor else None),
            *cpu_of(chain, sample),
            *(report.mebibytes(size) if chain.has_processor else "" for size in memory),
        ]
        for chain, sample in ((ALONE, alone), (BUFFERED, through.sample))
    ]
    header = ["chain", "requests", "errors", "delayed", "requests/s", "p50 ms", "p99 ms", "max ms", "added p50 ms",
              "added p99 ms", "Envoy CPU µs/request", "Sextant CPU µs/request", "Sextant RSS idle MiB", "half time",
              "end", "peak"]
    return Table(title, header, rows)
