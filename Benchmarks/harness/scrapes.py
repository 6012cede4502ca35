"""What a scrape of many series costs, and which threads pay for it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Mapping

from harness import report
from harness.load import Load, Loaded, Sample
from harness.metrics import Histogram, Page, scrape
from harness.processes import Process
from harness.report import Table
from harness.stage import say
from harness.workloads import Workload

#: What the design asks for.
GOAL_SERIES = 10_000
GOAL_LOOP_CPU_MS = 2

#: Models beside those of the policy, each of which has some 190 series of its own: enough for the goal.
MORE_MODELS = 48

#: Requests that each of these models answers first, so that their series are not all zero.
REQUESTS_PER_MODEL = 5

#: Scrapes one after another, without any load: each thread's time can be read to the nanosecond between them.
SINGLE_SCRAPES = 100
QUICK_SINGLE_SCRAPES = 20

#: After a scrape, until all threads wait again.
SETTLE_SECONDS = 0.02

#: Under load: a hundred times as often as Prometheus does by default and more, so that a run has many.
SCRAPE_PERIOD_SECONDS = 0.1

WARM_UP_SECONDS = 1
RATE_CONNECTIONS = 64

#: How swift-nio names the threads of its event loops.
EVENT_LOOP_THREADS = "NIO-ELT"

#: A bound of the histogram of the event loops' delay.
DELAY_BOUND_SECONDS = 0.002
DELAY = "sextant_event_loop_delay_seconds"


def more_models() -> "list[str]":
    return [f"model{number}" for number in range(MORE_MODELS)]


def require_thread_times() -> None:
    if not Path("/proc/self/schedstat").exists():
        raise SystemExit("this kernel has no /proc/PID/task/TID/schedstat, which tells a thread's CPU time exactly")


Threads = Mapping["tuple[int, str]", float]


@dataclass(frozen=True)
class ThreadTimes:
    """CPU time between two looks at a process's threads, in seconds."""

    #: Of the event loop that used most.
    busiest_loop: float
    all_loops: float
    others: float

    @staticmethod
    def between(before: Threads, after: Threads) -> "ThreadTimes":
        used = {thread: seconds - before.get(thread, 0) for thread, seconds in after.items()}
        loops = [seconds for (_, name), seconds in used.items() if name.startswith(EVENT_LOOP_THREADS)]
        if not loops:
            raise SystemExit(f"no thread is called {EVENT_LOOP_THREADS}…: {sorted(name for _, name in after)}")
        return ThreadTimes(max(loops), sum(loops), sum(used.values()) - sum(loops))


@dataclass(frozen=True)
class SingleScrape:
    """One scrape of a process that did nothing else."""

    threads: ThreadTimes
    seconds: float
    bytes: int


@dataclass
class ScrapedLoad:
    """Rounds of a load, with scrapes beside it or without."""

    name: str
    samples: "list[Sample]" = field(default_factory=list)
    threads: "list[ThreadTimes]" = field(default_factory=list)
    #: How long each scrape took.
    scrape_seconds: "list[float]" = field(default_factory=list)
    #: Of all rounds together.
    delay: Histogram = field(default_factory=lambda: Histogram({}))


@dataclass
class Scraped:
    """All that is found about scrapes."""

    series: int
    singles: "list[SingleScrape]"
    rate: float
    loads: "list[ScrapedLoad]"

    @property
    def longest_loop_ms(self) -> float:
        """The most CPU time that any single scrape took of an event loop: no part of it held the loop for longer."""
        return max(one.threads.busiest_loop for one in self.singles) * 1e3

    def as_json(self) -> dict:
        loads = [{**asdict(load), "delay": {str(bound): count for bound, count in load.delay.counts.items()}}
                 for load in self.loads]
        return {"series": self.series, "singles": [asdict(one) for one in self.singles], "rate": self.rate,
                "loads": loads}


def measure(
    options: argparse.Namespace,
    load: Load,
    workload: Workload,
    models: "list[str]",
    port: int,
    admin_port: int,
    loaded: Loaded,
    rate: float,
) -> Scraped:
    """Scrapes a gateway that serves `models` too: first by itself, then beside a load of `rate` requests a second."""
    for model in models:
        for _ in range(REQUESTS_PER_MODEL):
            asking_for(workload, model).verify(port)
    where = (workload, port, RATE_CONNECTIONS)
    load.at_rate(*where, WARM_UP_SECONDS, rate, loaded)

    say("scrapes by themselves")
    scrape(admin_port)
    time.sleep(SETTLE_SECONDS)
    count = QUICK_SINGLE_SCRAPES if options.quick else SINGLE_SCRAPES
    singles = [single_scrape(loaded.subject, admin_port) for _ in range(count)]

    without, beside = ScrapedLoad("no scrapes"), ScrapedLoad(f"a scrape every {SCRAPE_PERIOD_SECONDS * 1000:.0f} ms")
    for turn in range(options.rounds):
        for one in (without, beside):
            say(f"{workload.name} at {rate:,.0f}/s, round {turn + 1}, {one.name}")

            def timed_scrape() -> None:
                began = time.monotonic()
                scrape(admin_port)
                one.scrape_seconds.append(time.monotonic() - began)

            load.at_rate(*where, WARM_UP_SECONDS, rate, loaded)
            delay, threads = Page.of(admin_port).histogram(DELAY), loaded.subject.thread_cpu_seconds()
            every = (SCRAPE_PERIOD_SECONDS, timed_scrape) if one is beside else None
            one.samples.append(load.at_rate(*where, 2 * options.duration, rate, loaded, every=every))
            one.threads.append(ThreadTimes.between(threads, loaded.subject.thread_cpu_seconds()))
            one.delay += Page.of(admin_port).histogram(DELAY) - delay
    return Scraped(len(Page.of(admin_port).series), singles, rate, [without, beside])


def asking_for(workload: Workload, model: str) -> Workload:
    """The workload whose requests name another model."""
    body = json.dumps({**json.loads(workload.body), "model": model}).encode()
    return dataclasses.replace(workload, name=f"{workload.name} of {model}", body=body)


def single_scrape(process: Process, admin_port: int) -> SingleScrape:
    before = process.thread_cpu_seconds()
    began = time.monotonic()
    page = scrape(admin_port)
    seconds = time.monotonic() - began
    time.sleep(SETTLE_SECONDS)
    return SingleScrape(ThreadTimes.between(before, process.thread_cpu_seconds()), seconds, len(page))


# Tables


def goals(scraped: Scraped) -> "list[tuple[str, str, str, bool]]":
    """What is asked for, what was found, and whether that is met."""
    longest = scraped.longest_loop_ms
    return [
        ("series of a scrape", f"≥ {GOAL_SERIES:,}", f"{scraped.series:,}", scraped.series >= GOAL_SERIES),
        (f"an event loop's CPU time for such a scrape, the most of {len(scraped.singles)}", f"≤ {GOAL_LOOP_CPU_MS} ms",
         f"{longest:.2f} ms", longest <= GOAL_LOOP_CPU_MS),
    ]


def thread_table(scraped: Scraped) -> Table:
    """Who pays for one scrape."""
    def row(name: str, milliseconds: "list[float]") -> "list[str]":
        nine_in_ten = sorted(milliseconds)[math.ceil(len(milliseconds) * 0.9) - 1]
        return [name, *(f"{value:.2f}" for value in (median(milliseconds), nine_in_ten, max(milliseconds)))]

    singles = scraped.singles
    rows = [
        row("event loop, CPU", [one.threads.busiest_loop * 1e3 for one in singles]),
        row("all other threads, CPU", [one.threads.others * 1e3 for one in singles]),
        row("the scraper waits", [one.seconds * 1e3 for one in singles]),
    ]
    size = median(one.bytes for one in singles) / report.MIB
    title = f"A scrape of {scraped.series:,} series, {size:.2f} MiB, without other load: {len(singles)} times"
    return Table(title, ["what", "median ms", "9 in 10, ms", "most ms"], rows)


def load_table(scraped: Scraped) -> Table:
    rows = []
    for load in scraped.loads:
        sample = report.median_sample(load.samples)
        requests = [one.requests for one in load.samples]
        bound = load.delay.highest_bound()
        rows.append([
            load.name,
            str(len(load.scrape_seconds)),
            *([f"{median(load.scrape_seconds) * 1e3:.1f}", f"{max(load.scrape_seconds) * 1e3:.1f}"]
              if load.scrape_seconds else ["", ""]),
            report.count(sample.per_second),
            report.milliseconds(sample.p50_ms),
            report.milliseconds(sample.p99_ms),
            report.milliseconds(sample.max_ms),
            str(sample.errors),
            *(per_request([getattr(one, part) for one in load.threads], requests) for part in ("all_loops", "others")),
            f"{load.delay.at_most(DELAY_BOUND_SECONDS):.0f} of {load.delay.count:.0f}" if load.delay.count else "",
            "" if bound is None else f"≤ {bound * 1e3:g}",
        ])
    header = ["load", "scrapes", "scrape p50 ms", "longest ms", "requests/s", "p50 ms", "p99 ms", "max ms", "errors",
              "event loops' CPU µs/request", "other threads'", "loop late by ≤ 2 ms", "latest, ms"]
    return Table(f"Scrapes of {scraped.series:,} series beside {scraped.rate:,.0f} requests/s at fixed times", header,
                 rows)


def per_request(seconds: "list[float]", requests: "list[int]") -> str:
    """The median of the rounds."""
    return report.count(median(used * 1e6 / max(count, 1) for used, count in zip(seconds, requests)))
