"""What metrics and traces add is judged and written as docs/performance.md says."""

from __future__ import annotations

import json
import unittest
from dataclasses import replace

from harness import scrapes, telemetry
from harness.collectors import Received
from harness.load import Sample
from harness.metrics import Histogram, Page
from harness.report import Machine, Results, SubjectFigures
from harness.scrapes import ScrapedLoad, Scraped, SingleScrape, ThreadTimes, asking_for
from harness.subjects import policy_text
from harness.telemetry import ALL, CHAT, FEW, GONE, METRICS, OFF, SETTINGS, STREAM, Added, Counted, Found

SAMPLE = Sample(
    requests=1000, seconds=2, p50_ms=1, p99_ms=5, max_ms=9, errors=0, cpu_us=40, upstream_cpu_us=10, other_cores=0
)
LIMIT = replace(SAMPLE, cpu_us=45)
DELAY = Histogram({0.001: 9, 0.002: 10, float("inf"): 10})
COUNTED = Counted(1000, 90, {"queue_full": 0, "failed": 0}, 0, {"accepted": 2}, Received(2, 20_000, 90))


def scraped(series: int = 10_000, loop_seconds: float = 0.002, errors: int = 0) -> Scraped:
    single = SingleScrape(ThreadTimes(0.001, 0.001, 0.007), 0.01, 900_000)
    longest = replace(single, threads=ThreadTimes(loop_seconds, loop_seconds, 0.008))
    times = [ThreadTimes(0.04, 0.04, 0.01)]
    beside = ScrapedLoad("a scrape every 100 ms", [replace(SAMPLE, errors=errors)], times, [0.01, 0.02], DELAY)
    return Scraped(series, [single, longest, single], 1700, [ScrapedLoad("no scrapes", [SAMPLE], times), beside])


def found(few: Sample = LIMIT, scrape: Scraped = scraped()) -> Found:
    machine = Machine("2026-01-01", "0123456789", "processor", 2, 4.0, "6.1", "system", 0.0, "4.1")
    one = Found(Results(machine, 5, 1, [SubjectFigures(setting.name, "", "") for setting in SETTINGS], {}), rate=1700)
    for setting in SETTINGS:
        sample = few if setting is FEW else SAMPLE
        one.results.add(CHAT.name, 16, setting.name, sample)
        one.results.add(STREAM.name, 16, setting.name, SAMPLE)
        one.at_rate[setting.name] = [SAMPLE]
        one.counted[setting.name] = COUNTED
    one.scraped = scrape
    return one


class AddedTests(unittest.TestCase):
    def test_each_round_is_compared_with_its_own(self) -> None:
        # The machine slows down from round to round; what is added stays the same but for the second.
        base = [replace(SAMPLE, cpu_us=cpu) for cpu in (40, 60, 80)]
        samples = [replace(SAMPLE, cpu_us=cpu) for cpu in (43, 70, 82)]
        added = Added.between(samples, base)
        self.assertEqual(added.median, 3)
        self.assertEqual(added.cells, ["+3.0", "+2.0 … +10.0"])


class TableTests(unittest.TestCase):
    def test_every_row_has_a_cell_for_every_column(self) -> None:
        for table in telemetry.all_tables(found()):
            self.assertTrue(table.rows)
            for row in table.rows:
                self.assertEqual(len(row), len(table.header), table.title)
        stored = json.loads(json.dumps(found().as_json()))
        self.assertEqual(stored["counted"][FEW.name]["received"]["spans"], 90)
        self.assertEqual(stored["scraped"]["loads"][1]["delay"]["0.002"], 10)

    def test_subjects_stand_beside_what_they_are_compared_with(self) -> None:
        table = telemetry.load_table(found().results, CHAT)
        rows = {row[0]: dict(zip(table.header, row)) for row in table.rows}
        self.assertEqual(list(rows), [setting.name for setting in SETTINGS])
        self.assertEqual(rows[OFF.name]["over off µs"], "")
        self.assertEqual(rows[FEW.name]["over off µs"], "+5.0")
        self.assertEqual(rows[METRICS.name]["over off µs"], "+0.0")

    def test_spans_are_shown_by_what_became_of_them(self) -> None:
        one = found()
        one.counted[GONE.name] = Counted(1000, 0, {"queue_full": 8000, "failed": 0}, 1000, {"failed": 3})
        table = telemetry.trace_table(one)
        rows = {row[0]: dict(zip(table.header, row)) for row in table.rows}
        self.assertNotIn(OFF.name, rows)
        self.assertNotIn("dropped: failed", table.header)
        self.assertEqual(rows[GONE.name]["dropped: queue_full"], "8,000")
        self.assertEqual(rows[GONE.name]["attempts failed"], "3")
        self.assertEqual(rows[GONE.name]["spans/request"], "9.00")
        self.assertEqual(rows[GONE.name]["received by the collector"], "")
        self.assertEqual(rows[FEW.name]["spans/request"], "0.09")

    def test_one_scrape_is_shown_by_who_pays_for_it(self) -> None:
        rows = {row[0]: row[1:] for row in scrapes.thread_table(scraped()).rows}
        self.assertEqual(rows["event loop, CPU"], ["1.00", "2.00", "2.00"])
        self.assertEqual(rows["all other threads, CPU"], ["7.00", "8.00", "8.00"])

    def test_scrapes_are_shown_beside_the_load_without_them(self) -> None:
        table = scrapes.load_table(scraped())
        without, beside = [dict(zip(table.header, row)) for row in table.rows]
        self.assertEqual(without["scrape p50 ms"], "")
        self.assertEqual(without["loop late by ≤ 2 ms"], "")
        self.assertEqual(beside["scrapes"], "2")
        self.assertEqual(beside["event loops' CPU µs/request"], "40.0")
        self.assertEqual(beside["other threads'"], "10.0")
        self.assertEqual(beside["loop late by ≤ 2 ms"], "10 of 10")
        self.assertEqual(beside["latest, ms"], "≤ 2")


class GoalTests(unittest.TestCase):
    def met(self, one: Found) -> "dict[str, str]":
        return {row[0]: row[3] for row in telemetry.goal_table(one).rows}

    def test_all_are_met_at_their_limits(self) -> None:
        self.assertEqual(set(self.met(found()).values()), {"yes"})

    def test_each_is_missed_by_its_own_figure(self) -> None:
        missed = {
            "CPU time that metrics and traces of 1 % add to a request, 16 connections":
                found(replace(LIMIT, cpu_us=45.1)),
            "errors, all loads together": found(scrape=scraped(errors=1)),
            "series of a scrape": found(scrape=scraped(series=9_999)),
            "an event loop's CPU time for such a scrape, the most of 3": found(scrape=scraped(loop_seconds=0.0021)),
        }
        self.assertEqual(set(missed), set(self.met(found())))
        for name, one in missed.items():
            with self.subTest(name):
                self.assertEqual([goal for goal, is_met in self.met(one).items() if is_met == "no"], [name])


class CountedTests(unittest.TestCase):
    def test_figures_are_read_from_the_page(self) -> None:
        page = Page.parse(
            'llm_model_requests_total{model="a"} 3\nllm_model_requests_total{model="b"} 4\n'
            "sextant_traces_exported_spans_total 20\nsextant_traces_queued_spans 5\n"
            'sextant_traces_dropped_spans_total{reason="queue_full"} 30\n'
            'sextant_traces_dropped_spans_total{reason="failed"} 8\n'
            'sextant_traces_export_seconds_bucket{outcome="accepted",le="+Inf"} 2\n'
            'sextant_traces_export_seconds_count{outcome="accepted"} 2\n'
        )
        counted = Counted.of(page, None)
        self.assertEqual(counted, Counted(7, 20, {"queue_full": 30, "failed": 8}, 5, {"accepted": 2}))
        self.assertEqual(counted.spans, 63)

    def test_a_gateway_that_is_not_what_its_flags_say_is_found_out(self) -> None:
        silent = Counted(1000, 0, {}, 0, {})
        dropped = Counted(1000, 0, {"queue_full": 9000}, 0, {"failed": 3})
        for setting, counted in ((OFF, replace(silent, requests=0)), (METRICS, silent), (FEW, COUNTED), (ALL, COUNTED),
                                 (GONE, dropped)):
            self.assertEqual(counted.faults(setting), [], setting.name)
        for setting, counted, fault in (
            (OFF, silent, "1,000 requests were counted"),
            (METRICS, replace(silent, requests=0), "no request was counted"),
            (METRICS, replace(silent, queued=1), "1 spans were recorded"),
            (GONE, silent, "0 spans were recorded"),
            (GONE, replace(dropped, exported=9), "9 spans went to a collector that takes none"),
            (FEW, replace(COUNTED, exported=91), "91 spans were exported, 90 received"),
        ):
            with self.subTest(fault):
                self.assertEqual(counted.faults(setting), [fault])


class SettingTests(unittest.TestCase):
    def test_the_sampler_is_named_where_there_is_one(self) -> None:
        self.assertEqual(OFF.environment, {})
        self.assertEqual(METRICS.environment, {})
        self.assertEqual(FEW.environment, {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"})
        self.assertEqual(GONE.environment, {"OTEL_TRACES_SAMPLER": "always_on"})


class ThreadTests(unittest.TestCase):
    def test_event_loops_are_told_from_other_threads_by_name(self) -> None:
        before = {(1, "sextant"): 1.0, (2, "NIO-ELT-1-#0"): 2.0, (3, "NIO-ELT-1-#1"): 3.0, (4, "SGLTN-TP-#0"): 4.0}
        after = {(1, "sextant"): 1.5, (2, "NIO-ELT-1-#0"): 2.25, (3, "NIO-ELT-1-#1"): 3.5, (4, "SGLTN-TP-#0"): 5.0,
                 (5, "SGLTN-TP-#1"): 0.25}
        self.assertEqual(ThreadTimes.between(before, after), ThreadTimes(0.5, 0.75, 1.75))

    def test_a_process_without_event_loops_is_none_of_ours(self) -> None:
        with self.assertRaises(SystemExit):
            ThreadTimes.between({}, {(1, "sextant"): 1.0})


class PolicyTests(unittest.TestCase):
    def test_more_models_change_nothing_else(self) -> None:
        plain, more = policy_text(20_000).splitlines(), policy_text(20_000, ["a", "b"]).splitlines()
        added = [f"    - {{name: {name}, backend_refs: [{{endpoint: '127.0.0.1:20000'}}]}}" for name in ("a", "b")]
        self.assertEqual([line for line in more if line not in added], plain)
        self.assertEqual(more.index(added[0]), next(at for at, line in enumerate(more) if "name: large" in line) + 1)

    def test_a_request_names_the_model_that_it_is_for(self) -> None:
        asked = asking_for(CHAT, "model7")
        self.assertEqual(json.loads(asked.body), {**json.loads(CHAT.body), "model": "model7"})


if __name__ == "__main__":
    unittest.main()
