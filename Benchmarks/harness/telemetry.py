"""What metrics and traces add to a request: the gateway with and without them, side by side."""

from __future__ import annotations

import argparse
import json
import os
import socket
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Optional, Sequence

from harness import report, scrapes
from harness.collectors import Answers, Received, Sink, endpoint, silent_listener
from harness.load import Load, Loaded, Sample
from harness.metrics import Page
from harness.processes import Process, free_port
from harness.report import Machine, Results, SubjectFigures, Table
from harness.scrapes import Scraped
from harness.stage import Running, Stage, say
from harness.subjects import POLICY_DECISIONS, POLICY_KEYWORDS, ROOT, Place, Subject, gateway_command, output_of
from harness.workloads import WORKLOADS, Workload


@dataclass(frozen=True)
class Setting:
    """One subject: the gateway with some flags and variables."""

    name: str
    note: str
    flags: "tuple[str, ...]" = ()
    #: The share of requests that are traced; None where there is no tracing.
    traced: Optional[float] = None
    collector: Answers = Answers.AT_ONCE

    @property
    def environment(self) -> "dict[str, str]":
        if self.traced is None:
            return {}
        if self.traced == 1:
            return {"OTEL_TRACES_SAMPLER": "always_on"}
        return {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": str(self.traced)}


OFF = Setting("off", "--record-metrics=false, no traces", ("--record-metrics=false",))
METRICS = Setting("metrics", "the default: metrics, no traces")
FEW = Setting("traces 1 %", "metrics; one request in a hundred is traced", traced=0.01)
ALL = Setting("traces 100 %", "metrics; every request is traced", traced=1)
GONE = Setting("traces 100 %, collector gone", "the same; nothing listens at the collector's port", (), 1, Answers.GONE)
SILENT = Setting(
    "traces 100 %, collector silent", "the same; the collector takes connections and never answers", (), 1,
    Answers.NEVER,
)
SETTINGS = [OFF, METRICS, FEW, ALL, GONE, SILENT]

CHAT, STREAM = WORKLOADS[0], WORKLOADS[2]

CONNECTIONS = [16]

#: Where streamed answers are measured.
STREAM_CONNECTIONS = 16

#: Of a load at fixed times: more than such a rate ever has under way on a machine that keeps up with it.
RATE_CONNECTIONS = 64

WARM_UP_SECONDS = 1

#: What the policy of harness/subjects.py shows in the head of an answer.
CHOSEN_IN_HEAD = "x-vsr-selected-decision: decision19"

#: The exporter waits at most 5 s for a batch to fill, and then for the answer to it.
DRAIN_SECONDS = 20

#: What the design asks for: metrics and traces of one request in a hundred, over neither.
GOAL_ADDED_CPU_US = 5


# What runs


@dataclass
class Gateway:
    """A gateway that has answered."""

    setting: Setting
    running: Running
    admin_port: int
    sink: Optional[Sink]
    idle_bytes: int

    @property
    def process(self) -> Process:
        return self.running.process

    def loaded(self, upstream: Process) -> Loaded:
        return Loaded(self.process, upstream, self.sink.process if self.sink else None)

    def page(self) -> Page:
        return Page.of(self.admin_port)


def start(
    options: argparse.Namespace, stage: Stage, listeners: ExitStack, setting: Setting, more_models: Sequence[str] = ()
) -> Gateway:
    """Starts a gateway and what its traces go to; `listeners` closes the sockets that stand for collectors."""
    admin_port, sink, flags = free_port(), None, list(setting.flags)
    if setting.traced is not None:
        if setting.collector is Answers.AT_ONCE:
            sink = Sink(stage)
            port = sink.port
        elif setting.collector is Answers.NEVER:
            listener, port = silent_listener()
            listeners.enter_context(listener)
        else:
            port = free_port()
        flags += ["--otel-endpoint", endpoint(port)]

    def command(place: Place) -> "list[str]":
        return gateway_command(options.sextant, place, admin_port, *flags, more_models=more_models)

    running = stage.start(Subject("gateway", setting.note, command, lambda: "", environment=setting.environment))
    return Gateway(setting, running, admin_port, sink, running.process.memory_bytes().resident)


def refuse_foreign_variables() -> None:
    """The subjects differ in their flags and variables only; those of the caller would go to all of them."""
    foreign = sorted(name for name in os.environ if name.startswith(("OTEL_", "SEXTANT_")))
    if foreign:
        raise SystemExit(f"unset {', '.join(foreign)}: the gateways under measurement would read them")


# What a run finds


@dataclass(frozen=True)
class Counted:
    """What a gateway counted, and what came to its collector."""

    requests: float
    #: Spans that the collector has taken, by the gateway's account.
    exported: float
    #: Spans that it will not get, by reason.
    dropped: "dict[str, float]"
    queued: float
    #: Attempts to export a batch, by outcome.
    attempts: "dict[str, float]"
    #: None where there is no collector that counts.
    received: Optional[Received] = None

    @staticmethod
    def of(page: Page, received: Optional[Received]) -> "Counted":
        return Counted(
            requests=page.total("llm_model_requests_total"),
            exported=page.total("sextant_traces_exported_spans_total"),
            dropped=page.by_label("sextant_traces_dropped_spans_total", "reason"),
            queued=page.total("sextant_traces_queued_spans"),
            attempts=page.by_label("sextant_traces_export_seconds_count", "outcome"),
            received=received,
        )

    @property
    def spans(self) -> float:
        """Spans that were recorded."""
        return self.exported + sum(self.dropped.values()) + self.queued

    def faults(self, setting: Setting) -> "list[str]":
        """Why the figures are not of what `setting` says; empty if they are."""
        faults = []
        if setting is OFF and self.requests:
            faults.append(f"{self.requests:,.0f} requests were counted")
        if setting is not OFF and not self.requests:
            faults.append("no request was counted")
        if (setting.traced is not None) != (self.spans > 0):
            faults.append(f"{self.spans:,.0f} spans were recorded")
        if self.received is None and self.exported:
            faults.append(f"{self.exported:,.0f} spans went to a collector that takes none")
        if self.received is not None and not 0 < self.exported == self.received.spans:
            faults.append(f"{self.exported:,.0f} spans were exported, {self.received.spans:,} received")
        return faults


@dataclass
class Found:
    """All figures of one run. The samples are by the names of the settings."""

    results: Results
    #: Requests per second of the load at fixed times.
    rate: float = 0
    at_rate: "dict[str, list[Sample]]" = field(default_factory=dict)
    counted: "dict[str, Counted]" = field(default_factory=dict)
    scraped: Optional[Scraped] = None
    complaints: "list[str]" = field(default_factory=list)

    def rounds(self, workload: Workload, connections: int, setting: Setting) -> "list[Sample]":
        return self.results.samples.get((workload.name, connections, setting.name), [])

    @property
    def samples(self) -> "list[tuple[str, Sample]]":
        scraped = [sample for load in self.scraped.loads for sample in load.samples] if self.scraped else []
        return [
            *((name, sample) for (_, _, name), samples in self.results.samples.items() for sample in samples),
            *((name, sample) for name, samples in self.at_rate.items() for sample in samples),
            *(("scraped", sample) for sample in scraped),
        ]

    def as_json(self) -> dict:
        return {
            **self.results.as_json(),
            "rate": self.rate,
            "at_rate": {name: [asdict(sample) for sample in samples] for name, samples in self.at_rate.items()},
            "counted": {name: asdict(counted) for name, counted in self.counted.items()},
            "scraped": self.scraped.as_json() if self.scraped else None,
        }


def compare(options: argparse.Namespace, stage: Stage, load: Load) -> int:
    """Every figure of the page, in one run; prints and stores the tables; returns the exit status."""
    refuse_foreign_variables()
    scrapes.require_thread_times()
    found = Found(Results(Machine.here(load.version()), options.duration, options.rounds, [], {}))
    with ExitStack() as listeners:
        gateways = [start(options, stage, listeners, setting) for setting in SETTINGS]
        for workload in (CHAT, STREAM):
            expected = workload.verify(stage.upstream_port)
            for gateway in gateways:
                if workload.verify(gateway.running.port) != expected:
                    raise SystemExit(f"{gateway.setting.name}: the answer to {workload.name} is changed")
        version = output_of([str(options.sextant), "--version"])
        for gateway in gateways:
            setting, start_ms = gateway.setting, gateway.running.start_seconds * 1000
            figures = SubjectFigures(setting.name, setting.note, version, [start_ms], gateway.idle_bytes)
            found.results.subjects.append(figures)

        measure_closed_loops(options, stage, load, gateways, found)
        measure_at_rate(options, stage, load, gateways, found)
        for gateway, figures in zip(gateways, found.results.subjects):
            memory = gateway.process.memory_bytes()
            figures.loaded_bytes, figures.peak_bytes = memory.resident, memory.peak
            counted = count(gateway)
            found.counted[gateway.setting.name] = counted
            found.complaints += [f"{gateway.setting.name}: {fault}" for fault in counted.faults(gateway.setting)]
            stage.stop(gateway.running)

        more_models = scrapes.more_models()
        scraped = start(options, stage, listeners, FEW, more_models)
        found.scraped = scrapes.measure(
            options, load, CHAT, more_models, scraped.running.port, scraped.admin_port, scraped.loaded(stage.upstream),
            found.rate,
        )

    found.complaints += [f"{name}: {sample.errors} requests failed" for name, sample in found.samples if sample.errors]
    lines = run_lines(found)
    tables = all_tables(found)
    print(report.as_text(lines, tables))
    if options.json:
        options.json.write_text(json.dumps(found.as_json(), indent=1) + "\n")
    if options.markdown:
        page = ROOT / "docs" / "performance.md"
        report.replace_block(page, "telemetry", report.as_markdown(lines, tables))
    for complaint in found.complaints:
        say(complaint)
    return 1 if found.complaints else 0


def measure_closed_loops(
    options: argparse.Namespace, stage: Stage, load: Load, gateways: "list[Gateway]", found: Found
) -> None:
    levels = [(CHAT, connections) for connections in options.connections] + [(STREAM, STREAM_CONNECTIONS)]
    for workload, connections in levels:
        for turn in range(options.rounds):
            for gateway in gateways:
                name = gateway.setting.name
                say(f"{workload.name}, {connections} connections, round {turn + 1}, {name}")
                where = (workload, gateway.running.port, connections)
                load.run(*where, WARM_UP_SECONDS, gateway.loaded(stage.upstream))
                sample = load.run(*where, options.duration, gateway.loaded(stage.upstream))
                found.results.add(workload.name, connections, name, sample)


def measure_at_rate(
    options: argparse.Namespace, stage: Stage, load: Load, gateways: "list[Gateway]", found: Found
) -> None:
    found.rate = options.rate or report.half_of_what_is_served(found.results, CHAT)
    for turn in range(options.rounds):
        for gateway in gateways:
            name = gateway.setting.name
            say(f"{CHAT.name} at {found.rate:,.0f}/s, round {turn + 1}, {name}")
            where = (CHAT, gateway.running.port, RATE_CONNECTIONS)
            loaded = gateway.loaded(stage.upstream)
            load.at_rate(*where, WARM_UP_SECONDS, found.rate, loaded, CHOSEN_IN_HEAD)
            # Twice as long as a closed loop: half as many requests tell of the slowest hundredth.
            sample = load.at_rate(*where, 2 * options.duration, found.rate, loaded, CHOSEN_IN_HEAD)
            found.at_rate.setdefault(name, []).append(sample)


def count(gateway: Gateway) -> Counted:
    """What was counted when all spans that can leave have left."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while True:
        received = gateway.sink.received() if gateway.sink else None
        counted = Counted.of(gateway.page(), received)
        if received is None or (counted.queued == 0 and counted.exported == received.spans):
            return counted
        if time.monotonic() > deadline:
            return counted
        time.sleep(0.2)


# Tables


def run_lines(found: Found) -> "list[str]":
    return [*report.run_lines(found.results), f"each gateway: 1 event loop, {POLICY_DECISIONS} decisions with "
            f"{POLICY_KEYWORDS} keywords; traces go out as OTLP over HTTP"]


def all_tables(found: Found) -> "list[Table]":
    tables = [goal_table(found)]
    tables += [load_table(found.results, workload) for workload in (CHAT, STREAM)]
    tables += [rate_table(found), trace_table(found)]
    if found.scraped:
        tables += [scrapes.thread_table(found.scraped), scrapes.load_table(found.scraped)]
    return [*tables, report.subject_table(found.results)]


@dataclass(frozen=True)
class Added:
    """CPU time that a subject takes beyond another, in microseconds for each request.

    Of each round by itself, whose subjects ran within the same minute; the median of these differences is steadier
    than the difference of the medians.
    """

    rounds: "list[float]"

    @staticmethod
    def between(samples: "list[Sample]", base: "list[Sample]") -> "Added":
        return Added([one.cpu_us - other.cpu_us for one, other in zip(samples, base)])

    @property
    def median(self) -> float:
        return median(self.rounds)

    @property
    def cells(self) -> "list[str]":
        return [f"{self.median:+.1f}", f"{min(self.rounds):+.1f} … {max(self.rounds):+.1f}"]


def load_row(setting: Setting, samples: "list[Sample]", base: "list[Sample]") -> "list[str]":
    sample = report.median_sample(samples)
    return [
        report.count(sample.per_second),
        report.milliseconds(sample.p50_ms),
        report.milliseconds(sample.p99_ms),
        str(sample.errors),
        report.count(sample.cpu_us),
        *(["", ""] if setting is OFF else Added.between(samples, base).cells),
        report.count(sample.processor_cpu_us) if sample.processor_cpu_us else "",
    ]


def load_header(unit: str) -> "list[str]":
    one = unit[:-1]
    return [f"{unit}/s", "p50 ms", "p99 ms", "errors", f"CPU µs/{one}", "over off µs", "of all rounds",
            f"collector's CPU µs/{one}"]


def load_table(results: Results, workload: Workload) -> Table:
    """Closed loops: a row per number of connections and setting."""
    rows = []
    for connections in sorted({level for name, level, _ in results.samples if name == workload.name}):
        rounds = {one.name: results.samples.get((workload.name, connections, one.name), []) for one in SETTINGS}
        for setting in SETTINGS:
            if rounds[setting.name]:
                cells = load_row(setting, rounds[setting.name], rounds[OFF.name])
                rows.append([setting.name, str(connections), *cells])
    header = ["subject", "connections", *load_header(workload.unit)]
    return Table(f"{workload.title}, as many as are answered", header, rows)


def rate_table(found: Found) -> Table:
    base = found.at_rate[OFF.name]
    rows = [
        [setting.name, *load_row(setting, found.at_rate[setting.name], base),
         str(sum(sample.delayed for sample in found.at_rate[setting.name]))]
        for setting in SETTINGS
    ]
    header = ["subject", *load_header(CHAT.unit), "delayed"]
    return Table(f"{CHAT.title}, {found.rate:,.0f} requests/s at fixed times", header, rows)


def trace_table(found: Found) -> Table:
    """What became of the spans, by the gateways' own account and by the collectors'."""
    traced = [setting for setting in SETTINGS if setting.traced is not None]
    reasons = sorted({reason for one in found.counted.values() for reason, spans in one.dropped.items() if spans})
    outcomes = sorted({outcome for one in found.counted.values() for outcome, times in one.attempts.items() if times})
    rows = []
    for setting in traced:
        counted = found.counted[setting.name]
        received = counted.received
        rows.append([
            setting.name,
            f"{counted.requests:,.0f}",
            f"{counted.spans / max(counted.requests, 1):.2f}",
            f"{counted.exported:,.0f}",
            *(f"{counted.dropped.get(reason, 0):,.0f}" for reason in reasons),
            f"{counted.queued:,.0f}",
            *(f"{counted.attempts.get(outcome, 0):,.0f}" for outcome in outcomes),
            *([f"{received.spans:,}", f"{received.requests:,}", report.mebibytes(received.bytes)]
              if received else ["", "", ""]),
        ])
    header = ["subject", "requests", "spans/request", "exported", *(f"dropped: {reason}" for reason in reasons),
              "still queued", *(f"attempts {outcome}" for outcome in outcomes), "received by the collector",
              "in requests", "MiB"]
    return Table("Spans", header, rows)


def goal_table(found: Found) -> Table:
    """What the design asks for, beside what was found."""
    rows = []

    def goal(what: str, wanted: str, value: str, is_met: bool) -> None:
        rows.append([what, wanted, value, "yes" if is_met else "no"])

    for connections in sorted({level for name, level, _ in found.results.samples if name == CHAT.name}):
        added = Added.between(found.rounds(CHAT, connections, FEW), found.rounds(CHAT, connections, OFF))
        middle, span = added.cells
        goal(f"CPU time that metrics and traces of 1 % add to a request, {connections} connections",
             f"≤ {GOAL_ADDED_CPU_US} µs", f"{middle} µs ({span})", added.median <= GOAL_ADDED_CPU_US)
    errors = sum(sample.errors for _, sample in found.samples)
    goal("errors, all loads together", "0", str(errors), errors == 0)
    if found.scraped:
        for row in scrapes.goals(found.scraped):
            goal(*row)
    return Table("What is asked for", ["what", "wanted", "found", "met"], rows)
