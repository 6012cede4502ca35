#!/usr/bin/env python3
"""Measures Sextant beside nginx, vllm-router and no proxy at all, on this machine and in one run.

    make build && Benchmarks/run.py                       every figure, about fifteen minutes
    Benchmarks/run.py --quick --only direct,nginx         a first look
    Benchmarks/run.py --policy                            what a policy adds to a request
    Benchmarks/run.py --sustained 300                     one subject at its highest rate for five minutes
    Benchmarks/run.py --extproc                           what Sextant adds to a request through Envoy
    Benchmarks/run.py --extproc --sustained 300           the same at 1,000 requests/s for five minutes
    Benchmarks/run.py --telemetry                         what metrics and traces add to a request

The subjects stand side by side before the same fixed upstream and take turns, so that a ratio between two rows is of
one machine in one state. Needs wrk, and for their rows nginx (scripts/install-packages wrk nginx-light) and
vllm-router (scripts/python-env vllm-router), with --extproc Envoy (scripts/python-env envoy). Exits with 1 if any
request failed.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path

from harness import extproc, report, telemetry
from harness.load import Load, Loaded
from harness.report import Machine, Results, SubjectFigures
from harness.stage import Running, Stage, say
from harness.subjects import DIRECT, ROOT, Subject, all_subjects, extra, policy_subjects
from harness.sustained import sustain
from harness.workloads import POLICY_WORKLOADS, WORKLOADS, Workload

CONNECTIONS = [1, 16, 256]
WARM_UP_SECONDS = 1


def measure(stage: Stage, load: Load, subjects: "list[Subject]", options: argparse.Namespace, results: Results) -> None:
    """Fills `results` in: starts, then every workload at every level, the subjects in turn."""
    expected = {workload.name: workload.verify(stage.upstream_port) for workload in options.workloads}
    running: list[Running] = []
    for subject in subjects:
        figures = SubjectFigures(subject.name, subject.note, subject.version())
        results.subjects.append(figures)
        for start in range(1 if subject is DIRECT else options.rounds):
            if start > 0:
                stage.stop(running.pop())
            running.append(stage.start(subject))
            if subject is not DIRECT:
                figures.start_ms.append(running[-1].start_seconds * 1000)
        figures.idle_bytes = running[-1].process.memory_bytes().resident
        for workload in options.workloads:
            if workload.verify(running[-1].port) != expected[workload.name]:
                raise SystemExit(f"{subject.name} changes the answer to {workload.name}")

    turns = len(options.workloads) * len(options.connections) * options.rounds * len(running)
    turn = 0
    for workload in options.workloads:
        for connections in options.connections:
            for _ in range(options.rounds):
                for one in running:
                    turn += 1
                    say(f"[{turn}/{turns}] {workload.name}, {connections} connections, {one.subject.name}")
                    where, loaded = (workload, one.port, connections), Loaded(one.process, stage.upstream)
                    load.run(*where, WARM_UP_SECONDS, loaded)
                    sample = load.run(*where, options.duration, loaded)
                    results.add(workload.name, connections, one.subject.name, sample)
    for one, figures in zip(running, results.subjects):
        memory = one.process.memory_bytes()
        figures.loaded_bytes, figures.peak_bytes = memory.resident, memory.peak


def compare(options: argparse.Namespace, stage: Stage, load: Load, subjects: "list[Subject]", skipped: dict) -> int:
    results = Results(Machine.here(load.version()), options.duration, options.rounds, [], skipped)
    measure(stage, load, subjects, options, results)
    lines, tables = report.run_lines(results), report.tables(results, options.workloads)
    print(report.as_text(lines, tables))
    if options.json:
        options.json.write_text(json.dumps(results.as_json(), indent=1) + "\n")
    if options.markdown:
        block = "policy" if options.policy else "bench"
        report.replace_block(ROOT / "docs" / "performance.md", block, report.as_markdown(lines, tables))
    for subject, errors in results.failures.items():
        say(f"{subject}: {errors} requests failed")
    return 1 if results.failures else 0


def choose_subjects(options: argparse.Namespace) -> "tuple[list[Subject], dict[str, str]]":
    """The subjects to measure, and why others are left out. One that was asked for by name must be there."""
    ours = policy_subjects if options.policy else all_subjects
    known = ours(options.sextant) + [extra(specification) for specification in options.extra]
    names = [subject.name for subject in known]
    for name in options.only or []:
        if name not in names:
            raise SystemExit(f"--only {name}: no such subject; there are {', '.join(names)}")
    chosen = [subject for subject in known if not options.only or subject.name in options.only]
    skipped = {subject.name: subject.missing for subject in chosen if subject.missing}
    if options.only and skipped:
        raise SystemExit("; ".join(f"{name} is missing: {reason}" for name, reason in skipped.items()))
    for name, reason in skipped.items():
        say(f"leaving out {name}: {reason}")
    return [subject for subject in chosen if not subject.missing], skipped


def parse_arguments() -> argparse.Namespace:
    def names(text: str) -> "list[str]":
        return text.split(",")

    def workloads(text: str) -> "list[Workload]":
        by_name = {workload.name: workload for workload in [*WORKLOADS, *POLICY_WORKLOADS]}
        unknown = [name for name in names(text) if name not in by_name]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {', '.join(by_name)}")
        return [by_name[name] for name in names(text)]

    def levels(text: str) -> "list[int]":
        return [int(level) for level in names(text)]

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--sextant", type=Path, default=ROOT / ".build" / "release" / "sextant", metavar="PATH", help="the binary")
    add("--only", type=names, metavar="NAMES", help="subjects, separated by commas")
    add("--extra", action="append", default=[], metavar="NAME=COMMAND",
        help="one more subject; {port} and {upstream} stand for the ports, e.g. "
        "'sextant-gateway=.build/release/sextant gateway ... {port}'")
    add("--workloads", type=workloads, metavar="NAMES", help="default chat-1k,chat-16k,sse; with --sustained chat-1k")
    add("--connections", type=levels, metavar="NUMBERS", help="default 1,16,256; with --sustained 64")
    add("--duration", type=int, default=5, metavar="SECONDS", help="of each figure, default 5")
    add("--rounds", type=int, default=3, metavar="N", help="figures are medians of so many, default 3")
    add("--quick", action="store_true", help="1 s and 1 round: shows that it works, no more")
    add("--json", type=Path, metavar="FILE", help="write every sample")
    add("--markdown", action="store_true", help="put the tables into docs/performance.md")
    add("--policy", action="store_true", help="measure a policy that decides beside the same proxy without one")
    add("--extproc", action="store_true", help="measure Sextant as Envoy's external processor")
    add("--telemetry", action="store_true", help="measure the gateway with and without metrics and traces")
    add("--envoy", type=Path, default=ROOT / "scripts" / "envoy", metavar="PATH", help="with --extproc: the binary")
    add("--processor", metavar="COMMAND",
        help="with --extproc: another external processor; {port} and {policy} stand for its port and the policy's file")
    add("--sustained", type=int, metavar="SECONDS", help="load one subject for so long, and watch its memory")
    add("--rate", type=float, metavar="RPS",
        help="with --sustained, --extproc or --telemetry: requests per second at fixed times")
    add("--min-requests", type=int, default=1_000_000, metavar="N",
        help="with --sustained: fail if fewer were answered, default 1,000,000")
    options = parser.parse_args()
    if options.quick:
        options.duration, options.rounds = 1, 1
    if options.rate and not (options.sustained or options.extproc or options.telemetry):
        parser.error("--rate goes with --sustained, --extproc or --telemetry")
    if options.extproc and (options.only or options.extra or options.policy or options.workloads):
        parser.error("--extproc has its own subjects and workloads")
    if options.telemetry and (options.only or options.extra or options.policy or options.workloads):
        parser.error("--telemetry has its own subjects and workloads")
    if options.telemetry and (options.extproc or options.sustained):
        parser.error("--telemetry is a run of its own")
    if min(options.duration, options.rounds, options.sustained or 1, *(options.connections or [1])) < 1:
        parser.error("durations, rounds and connections start at 1")
    if options.extproc:
        options.connections = options.connections or extproc.CONNECTIONS
    if options.telemetry:
        options.connections = options.connections or telemetry.CONNECTIONS
    if options.policy:
        options.workloads = options.workloads or POLICY_WORKLOADS
        options.connections = options.connections or [16]
    options.workloads = options.workloads or (WORKLOADS[:1] if options.sustained else WORKLOADS)
    options.connections = options.connections or ([64] if options.sustained else CONNECTIONS)
    return options


def main() -> int:
    options = parse_arguments()
    # A run that is told to end does so through its `finally`, like one that is interrupted.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if options.sustained and not options.only:
        options.only = ["sextant-router"]
    subjects, skipped = ([], {}) if options.extproc or options.telemetry else choose_subjects(options)
    with tempfile.TemporaryDirectory(prefix="sextant-bench-") as directory:
        load = Load(Path(directory))
        with Stage(Path(directory)) as stage:
            if options.extproc:
                return (extproc.sustain if options.sustained else extproc.compare)(options, stage, load)
            if options.telemetry:
                return telemetry.compare(options, stage, load)
            if options.sustained:
                return sustain(options, stage, load, subjects)
            return compare(options, stage, load, subjects, skipped)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("interrupted; every process of the run has been ended")
        sys.exit(130)
