"""What is measured through Envoy is judged and written as docs/performance.md says."""

from __future__ import annotations

import json
import unittest
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from harness import extproc
from harness.envoy import configuration, faults
from harness.extproc import ALONE, BUFFERED, CHAINS, CHAT, STREAM, STREAMED, Found
from harness.load import Sample
from harness.report import Machine, Results, SubjectFigures
from harness.sustained import Endurance, MemoryPoint

MIB = 1 << 20
SAMPLE = Sample(
    requests=1000, seconds=2, p50_ms=1, p99_ms=5, max_ms=9, errors=0, cpu_us=40, upstream_cpu_us=10, other_cores=0
)
THROUGH = replace(SAMPLE, p50_ms=2, p99_ms=12, cpu_us=150, processor_cpu_us=60)
STRAIGHT = replace(SAMPLE, requests=600_000, seconds=60, p99_ms=2)


def found(through: Sample = THROUGH, straight: Sample = STRAIGHT, peak: int = 30 * MIB) -> Found:
    machine = Machine("2026-01-01", "0123456789", "processor", 2, 4.0, "6.1", "system", 0.0, "4.1")
    one = Found(Results(machine, 5, 3, [], {}), rate=1700)
    for workload, connections in ((CHAT, 1), (CHAT, 16), (CHAT, 64), (STREAM, 16)):
        for chain in CHAINS:
            one.results.add(workload.name, connections, chain.name, through if chain.has_processor else SAMPLE)
    one.at_rate = {chain.name: [through if chain.has_processor else SAMPLE] for chain in CHAINS}
    one.straight = {"1 at a time": SAMPLE, "10,000/s for 60 s": straight}
    one.processes = [SubjectFigures("Envoy", "", "1.40.0"), SubjectFigures("Sextant", "", "", peak_bytes=peak)]
    return one


class TableTests(unittest.TestCase):
    def test_what_sextant_adds_is_against_envoy_alone_at_the_same_connections(self) -> None:
        one = found()
        one.results.samples[CHAT.name, 16, ALONE.name] = [replace(SAMPLE, p50_ms=1.5)]
        table = extproc.chain_table(one.results, CHAT)
        rows = {(row[0], row[1]): dict(zip(table.header, row)) for row in table.rows}
        self.assertEqual(rows[BUFFERED.name, "16"]["added p50 ms"], "+0.50")
        self.assertEqual(rows[BUFFERED.name, "64"]["added p50 ms"], "+1.00")
        self.assertEqual(rows[STREAMED.name, "1"]["added p99 ms"], "+7.00")
        self.assertEqual(rows[STREAMED.name, "1"]["Sextant CPU µs/request"], "60.0")
        self.assertEqual(rows[ALONE.name, "16"]["added p50 ms"], "")
        self.assertEqual(rows[ALONE.name, "16"]["Sextant CPU µs/request"], "")

    def test_every_row_has_a_cell_for_every_column(self) -> None:
        for table in extproc.all_tables(found()):
            self.assertTrue(table.rows)
            for row in table.rows:
                self.assertEqual(len(row), len(table.header), table.title)
        self.assertEqual(json.loads(json.dumps(found().as_json()))["rate"], 1700)


class GoalTests(unittest.TestCase):
    def met(self, one: Found) -> "dict[str, str]":
        return {row[0]: row[3] for row in extproc.goal_table(one).rows}

    def test_all_are_met_at_their_limits(self) -> None:
        limit = replace(THROUGH, p50_ms=2.5, p99_ms=13, processor_cpu_us=90)
        straight = replace(STRAIGHT, requests=599_400, p99_ms=5)
        self.assertEqual(set(self.met(found(limit, straight, 40_000_000)).values()), {"yes"})

    def test_each_is_missed_by_its_own_figure(self) -> None:
        missed = {
            "Sextant's CPU time for a request, 16 or more connections": found(replace(THROUGH, processor_cpu_us=90.1)),
            "added p50 at 1,700 requests/s": found(replace(THROUGH, p50_ms=2.6)),
            "added p99 at 1,700 requests/s": found(replace(THROUGH, p99_ms=13.1)),
            "streams/s on one core": found(straight=replace(STRAIGHT, requests=599_000)),
            "their p99": found(straight=replace(STRAIGHT, p99_ms=5.1)),
            "errors, all loads together": found(straight=replace(STRAIGHT, errors=1)),
            "Sextant's memory at its highest": found(peak=40_000_001),
        }
        self.assertEqual(set(missed), set(self.met(found())))
        for name, one in missed.items():
            with self.subTest(name):
                self.assertEqual([goal for goal, is_met in self.met(one).items() if is_met == "no"], [name])

    def test_cpu_time_is_the_worst_of_many_connections_and_not_that_of_one(self) -> None:
        one = found()
        one.results.samples[CHAT.name, 1, BUFFERED.name] = [replace(THROUGH, processor_cpu_us=400)]
        self.assertEqual(set(self.met(one).values()), {"yes"})
        one.results.samples[CHAT.name, 64, BUFFERED.name] = [replace(THROUGH, processor_cpu_us=91)]
        self.assertIn("no", self.met(one).values())


class SustainedTests(unittest.TestCase):
    def through(self, **figures: object) -> Endurance:
        memory = [MemoryPoint(5, 20 * MIB), MemoryPoint(10, 20 * MIB)]
        sample = replace(THROUGH, **{"requests": 300_000, **figures})
        return Endurance(BUFFERED.name, CHAT.name, 64, sample, 18 * MIB, 21 * MIB, memory)

    def complaints(self, alone: Sample = SAMPLE, **figures: object) -> str:
        return "; ".join(extproc.sustained_complaints(alone, self.through(**figures), 300_000))

    def test_a_quiet_run_passes_and_others_say_why_not(self) -> None:
        self.assertEqual(self.complaints(p99_ms=14.99), "")
        self.assertIn("10.0 ms were added to the p99", self.complaints(p99_ms=15))
        self.assertIn("1 requests failed", self.complaints(errors=1))
        self.assertIn("Envoy: 2 requests failed", self.complaints(replace(SAMPLE, errors=2)))
        self.assertIn("fewer than 300,000", self.complaints(requests=299_999))

    def test_the_table_shows_memory_of_sextant_only(self) -> None:
        alone, through = extproc.sustained_table("title", SAMPLE, self.through()).rows
        self.assertEqual(alone[-4:], ["", "", "", ""])
        self.assertEqual(through[-4:], ["18.0", "20.0", "20.0", "21.0"])


class EnvoyTests(unittest.TestCase):
    def test_each_chain_has_a_listener_and_the_processor_its_mode(self) -> None:
        ports = {chain: 20_000 + index for index, chain in enumerate(CHAINS)}
        config = configuration(ports, upstream_port=1, processor_port=2, admin_port=3)["static_resources"]
        modes = []
        for listener, port in zip(config["listeners"], ports.values()):
            self.assertEqual(listener["address"]["socket_address"]["port_value"], port)
            manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
            *processors, router = manager["http_filters"]
            self.assertEqual(router["name"], "envoy.filters.http.router")
            modes.append([one["typed_config"]["processing_mode"]["response_body_mode"] for one in processors])
        self.assertEqual(modes, [[], ["NONE"], ["STREAMED"]])
        http2 = [cluster["name"] for cluster in config["clusters"] if "typed_extension_protocol_options" in cluster]
        self.assertEqual(http2, ["sextant"])
        self.assertEqual(len({chain.stat_prefix for chain in CHAINS}), len(CHAINS))

    def test_what_envoy_counts_against_the_processor_is_said(self) -> None:
        counted = {"http.chain_none.ext_proc.streams_started": 10, "http.chain_streamed.ext_proc.streams_failed": 3}
        self.assertEqual(faults(BUFFERED, counted, 10), [])
        self.assertIn("1 requests went past", faults(BUFFERED, counted, 11)[0])
        self.assertIn("3 streams failed", faults(STREAMED, counted, 0)[0])


class CommandTests(unittest.TestCase):
    def test_another_processor_gets_its_port_and_the_policy(self) -> None:
        options = SimpleNamespace(processor="stub --listen {port} {policy} '{other}'")
        command = extproc.processor_command(options, Path("/tmp/policy.yaml"), 21_000)
        self.assertEqual(command, ["stub", "--listen", "21000", "/tmp/policy.yaml", "{other}"])


if __name__ == "__main__":
    unittest.main()
