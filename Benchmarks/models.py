#!/usr/bin/env python3
"""Measures the models that Sextant runs itself, beside Python's ONNX Runtime on the same graphs and in the same run.

    make bench-models                        every figure, about six minutes
    Benchmarks/models.py --quick             a first look

Both run on one thread and take turns, length by length. Needs scripts/fetch-models and scripts/python-env onnxruntime.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Dict, List, Sequence

from harness import long_model, report
from harness.report import Machine, Table
from harness.subjects import ROOT

MODELS = ROOT / ".models"
LIBRARY = MODELS / "onnxruntime" / "libonnxruntime.so"
PROBE = ROOT / ".build" / "release" / "classifier-probe"
PYTHON = ROOT / ".venv" / "onnxruntime" / "bin" / "python"
YARDSTICK = Path(__file__).parent / "harness" / "onnx_yardstick.py"

SUBJECTS = [("all-MiniLM-L6-v2", "int8"), ("all-MiniLM-L6-v2", "float32"), ("rampart", "int8")]
#: MiniLM and Rampart take 512 tokens; static embeddings take any number.
LENGTHS = [16, 32, 64, 128, 256, 512]
#: In the shape of mmBERT-small: harness/long_model.py. Runs of seconds need no repetition to be told apart.
LONG_SUBJECT = ("modernbert", "int8")
LONG_LENGTHS = [128, 512, 1024, 2048, 4096]
LONG_ROUNDS, LONG_RUNS = 3, 2
STATIC_LENGTHS = [16, 64, 128, 512, 1024, 4096]

MOST_RATIO = 1.1
MOST_STATIC_MS = {128: 0.1, 4096: 2.5}
MOST_TOKEN_NS = 500
RATE, DEADLINE_MS = 2000, 10
MOST_P999_MS, LEAST_SHARE_OF_PEAK = 12, 0.9
MOST_RSS_MIB, MOST_PEAK_MIB, MOST_LOAD_SECONDS = 250, 400, 1


def quantile(values: "Sequence[float]", share: float) -> float:
    """The value below which `share` of all lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def probe(*arguments: str) -> dict:
    done = subprocess.run([PROBE, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr.strip() or f"classifier-probe {arguments[0]} failed")
    return json.loads(done.stdout)


class Talker:
    """A process that answers each line with a line of JSON."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def read(self) -> dict:
        assert self.process.stdout
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.process.args[0]} ended")
        return json.loads(answer)

    def ask(self, line: str) -> dict:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.read()

    def close(self) -> None:
        assert self.process.stdin
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        if self.process.stdout:
            self.process.stdout.close()
        self.process.wait(timeout=30)


Times = Dict[str, List[float]]

LATENCY_HEAD = [
    "model", "precision", "tokens", "p50 ms", "p99 ms", "CPU ms", "Python p50 ms", "Python p99 ms", "Python CPU ms",
    "CPU, ratio",
]


def latencies(
    models: Path, subjects: "Sequence[tuple[str, str]]", lengths: "Sequence[int]", rounds: int, runs: int
) -> "tuple[list[list[str]], float, str]":
    """A row for each subject and length, the largest ratio of the processor's time to Python's, and the library's version."""
    found: "dict[tuple[str, str, int], tuple[Times, Times]]" = {}
    pairs: "dict[tuple[str, str, int], list[float]]" = {}
    version = ""
    with tempfile.TemporaryDirectory() as folder:
        for name, precision in subjects:
            probe("export", str(models), name, precision, f"{folder}/{name}-{precision}.onnx")
        # New processes for each round: where a process's memory happens to lie makes it faster or slower for good.
        for _ in range(rounds):
            ours = Talker(str(PROBE), "measure", str(models), str(LIBRARY))
            theirs = Talker(str(PYTHON), str(YARDSTICK))
            try:
                version, other_version = ours.read()["version"], theirs.read()["version"]
                if version != other_version:
                    raise SystemExit(f"ONNX Runtime is {version} here and {other_version} in Python: no comparison")
                for name, precision in subjects:
                    for length in lengths:
                        mine = ours.ask(f"{name} {precision} {length} {runs}")
                        other = theirs.ask(f"{folder}/{name}-{precision}.onnx {length} {runs}")
                        key = (name, precision, length)
                        kept = found.setdefault(key, ({"wall": [], "cpu": []}, {"wall": [], "cpu": []}))
                        for times, new in zip(kept, (mine, other)):
                            for clock in ("wall", "cpu"):
                                times[clock] += new[clock]
                        pairs.setdefault(key, []).append(median(mine["cpu"]) / median(other["cpu"]))
            finally:
                ours.close()
                theirs.close()
    ratios = {key: median(values) for key, values in pairs.items()}
    rows = []
    for (name, precision, length), times in found.items():
        figures = [
            f"{quantile(one[clock], share):,.2f}" for one in times for clock, share in (("wall", 0.5), ("wall", 0.99), ("cpu", 0.5))
        ]
        rows.append([name, precision, f"{length:,}", *figures, f"{ratios[name, precision, length]:.2f}"])
    return rows, max(ratios.values()), version


def verdict(is_met: bool) -> str:
    return "yes" if is_met else "no"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--markdown", action="store_true", help="write docs/performance.md")
    options = parser.parse_args()
    rounds, runs, seconds = (2, 5, 2) if options.quick else (5, 20, 10)

    machine = Machine.here("")
    loaded = probe("load", str(MODELS), str(LIBRARY))
    rows, ratio, version = latencies(MODELS, SUBJECTS, LENGTHS, rounds, runs)
    with tempfile.TemporaryDirectory() as folder:
        long_model.write(Path(folder) / LONG_SUBJECT[0])
        long_rows, long_ratio, _ = latencies(Path(folder), [LONG_SUBJECT], LONG_LENGTHS, LONG_ROUNDS, LONG_RUNS)
    static = {length: probe("static", str(MODELS), str(length)) for length in STATIC_LENGTHS}
    tokens = {
        name: probe("tokenize", str(MODELS), name)["nanoseconds"] for name in ("all-MiniLM-L6-v2", "rampart", "potion-base-8M")
    }
    budget = probe("budget", str(MODELS), str(LIBRARY), str(RATE), str(seconds))
    share = budget["throughput"] / min(budget["peak"], RATE)

    goals: "list[tuple[str, str, str, bool]]" = [
        ("CPU time of a run, the most of all ratios to Python's", f"≤ {MOST_RATIO}", f"{max(ratio, long_ratio):.2f}",
         max(ratio, long_ratio) <= MOST_RATIO),
        *[
            (f"static embedding of {length:,} tokens, CPU time, p50", f"≤ {most} ms", f"{static[length]['p50']:.3f} ms",
             static[length]["p50"] <= most)
            for length, most in MOST_STATIC_MS.items()
        ],
        ("tokenizing, for each token, the most of three models", f"≤ {MOST_TOKEN_NS} ns", f"{max(tokens.values()):.0f} ns",
         max(tokens.values()) <= MOST_TOKEN_NS),
        (f"{RATE:,} unique prompts/s with deadlines of {DEADLINE_MS} ms: answer or refusal, p99.9", f"≤ {MOST_P999_MS} ms",
         f"{budget['p999']:.1f} ms", budget["p999"] <= MOST_P999_MS),
        ("answers a second there, of the engine's peak", f"≥ {LEAST_SHARE_OF_PEAK:.0%}", f"{share:.0%}",
         share >= LEAST_SHARE_OF_PEAK),
        ("memory with the default models", f"≤ {MOST_RSS_MIB} MiB", f"{loaded['rss_mib']:.0f} MiB",
         loaded["rss_mib"] <= MOST_RSS_MIB),
        ("at its highest while they load", f"≤ {MOST_PEAK_MIB} MiB", f"{loaded['peak_mib']:.0f} MiB",
         loaded["peak_mib"] <= MOST_PEAK_MIB),
        ("loading them", f"≤ {MOST_LOAD_SECONDS} s", f"{loaded['seconds']:.2f} s", loaded["seconds"] <= MOST_LOAD_SECONDS),
    ]
    tables = [
        Table("What is asked for", ["what", "wanted", "found", "met"], [[*goal[:3], verdict(goal[3])] for goal in goals]),
        Table("One text on one thread, beside Python's ONNX Runtime on the same graph", LATENCY_HEAD, rows),
        Table(
            "The same for long texts: a ModernBERT in mmBERT-small's shape, with random weights; medians and maxima of "
            f"{LONG_ROUNDS * LONG_RUNS} runs",
            LATENCY_HEAD, long_rows,
        ),
        Table(
            "Static embeddings (potion-base-8M), tokenizing included, CPU time", ["tokens", "p50 ms", "p99 ms"],
            [[f"{length:,}", f"{found['p50']:.3f}", f"{found['p99']:.3f}"] for length, found in static.items()],
        ),
        Table(
            f"{RATE:,} unique prompts/s of 8 to 40 words, MiniLM in 8 bits, deadlines of {DEADLINE_MS} ms, 2 threads, "
            f"the load on the same {machine.cores} cores",
            ["peak/s", "answered/s", "of the peak", "answered", "refused at once", "late", "p50 ms", "p99 ms", "p99.9 ms",
             "longest ms"],
            [[f"{budget['peak']:,.0f}", f"{budget['throughput']:,.0f}", f"{share:.0%}", f"{budget['answered']:,}",
              f"{budget['refused']:,}", f"{budget['late']:,}", f"{budget['p50']:.2f}", f"{budget['p99']:.2f}",
              f"{budget['p999']:.2f}", f"{budget['longest']:.2f}"]],
        ),
    ]
    lines = [
        f"{machine.processor}, {machine.cores} cores, {machine.memory_gib} GiB; {machine.system}, kernel {machine.kernel}",
        f"commit {machine.commit}, {machine.date}, load average at the start {machine.load_average:.2f}",
        f"{rounds} interleaved rounds of {runs} runs for each figure; one thread; ONNX Runtime {version} for both",
    ]
    print(report.as_text(lines, tables))
    if options.markdown:
        report.replace_block(ROOT / "docs" / "performance.md", "models", report.as_markdown(lines, tables))
    return 0


if __name__ == "__main__":
    sys.exit(main())
