"""Figures are summed up, judged and written as docs/performance.md says."""

from __future__ import annotations

import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

from harness.load import Sample
from harness.report import (
    Machine,
    Results,
    SubjectFigures,
    half_of_what_is_served,
    load_table,
    median_sample,
    replace_block,
)
from harness.sustained import Endurance, MemoryPoint
from harness.workloads import MODEL, WORKLOADS, chat_body

SAMPLE = Sample(
    requests=1000, seconds=2, p50_ms=1, p99_ms=5, max_ms=9, errors=0, cpu_us=20, upstream_cpu_us=10, other_cores=0
)
MIB = 1 << 20


def results(*rows: "tuple[str, Sample]") -> Results:
    machine = Machine("2026-01-01", "0123456789", "processor", 2, 4.0, "6.1", "system", 0.0, "4.1")
    subjects = [SubjectFigures(name, "", "") for name in dict.fromkeys(name for name, _ in rows)]
    found = Results(machine, 5, 3, subjects, {})
    for name, sample in rows:
        found.add("chat-1k", 16, name, sample)
    return found


class SampleTests(unittest.TestCase):
    def test_rate_and_cores_follow_from_requests_and_time(self) -> None:
        self.assertEqual(SAMPLE.per_second, 500)
        self.assertAlmostEqual(SAMPLE.cores, 0.01)

    def test_the_median_is_of_each_figure_and_errors_add_up(self) -> None:
        figures = [(1, 9, 1), (7, 5, 0), (3, 7, 2)]
        rounds = [replace(SAMPLE, p50_ms=p50, cpu_us=cpu, errors=errors) for p50, cpu, errors in figures]
        middle = median_sample(rounds)
        self.assertEqual((middle.p50_ms, middle.cpu_us, middle.errors), (3, 7, 3))
        self.assertEqual(middle.per_second, 500)

    def test_failures_name_the_subject_of_any_round(self) -> None:
        found = results(("nginx", SAMPLE), ("direct", SAMPLE), ("nginx", replace(SAMPLE, errors=4)))
        self.assertEqual(found.failures, {"nginx": 4})


class RateTests(unittest.TestCase):
    def test_the_rate_is_half_of_what_the_slowest_subject_answers(self) -> None:
        rows = [(name, replace(SAMPLE, requests=2 * rate)) for name, rate in (("a", 8000), ("b", 3575), ("c", 3950))]
        self.assertEqual(half_of_what_is_served(results(*rows), WORKLOADS[0]), 1700)

    def test_it_is_of_the_most_connections(self) -> None:
        found = results(("a", SAMPLE), ("b", replace(SAMPLE, requests=4000)))
        found.add("chat-1k", 64, "b", replace(SAMPLE, requests=8000))
        self.assertEqual(half_of_what_is_served(found, WORKLOADS[0]), 2000)

    def test_there_is_a_rate_even_if_nothing_is_answered(self) -> None:
        self.assertEqual(half_of_what_is_served(results(("a", replace(SAMPLE, requests=0))), WORKLOADS[0]), 1)


class TableTests(unittest.TestCase):
    def test_a_row_is_compared_with_its_peers_of_the_same_run(self) -> None:
        found = results(
            ("direct", replace(SAMPLE, p50_ms=0.5)),
            ("nginx", replace(SAMPLE, cpu_us=40)),
            ("sextant-router", replace(SAMPLE, cpu_us=30)),
        )
        table = load_table(found, WORKLOADS[0])
        cells = {row[0]: dict(zip(table.header, row)) for row in table.rows}
        self.assertEqual(cells["sextant-router"]["CPU, nginx = 1"], "0.75")
        self.assertEqual(cells["sextant-router"]["CPU, vllm-router = 1"], "")
        self.assertEqual(cells["sextant-router"]["added p50 ms"], "+0.50")
        self.assertEqual(cells["direct"]["added p50 ms"], "")

    def test_text_and_markdown_hold_the_same_cells(self) -> None:
        table = load_table(results(("direct", SAMPLE), ("nginx", SAMPLE)), WORKLOADS[0])
        for rendered in (table.text(), table.markdown()):
            for row in table.rows:
                line = next(line for line in rendered.splitlines() if line.strip("| ").startswith(row[0]))
                for cell in row:
                    self.assertIn(cell, line)
        self.assertEqual({line.count("|") for line in table.markdown().splitlines()[2:]}, {len(table.header) + 1})


class BlockTests(unittest.TestCase):
    def page(self, text: str) -> Path:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        page = Path(directory.name) / "page.md"
        page.write_text(text)
        return page

    def test_only_what_is_between_the_markers_is_replaced_however_often(self) -> None:
        text = "before\n<!-- bench:begin -->\n{}\n<!-- bench:end -->\nafter\n<!-- bench-sustained:begin -->\n"
        page = self.page(text.format("old"))
        for _ in range(2):
            replace_block(page, "bench", "new")
            self.assertEqual(page.read_text(), text.format("new"))

    def test_a_page_without_its_markers_is_left_alone(self) -> None:
        page = self.page("<!-- bench:end --> <!-- bench:begin -->")
        with self.assertRaises(SystemExit):
            replace_block(page, "bench", "new")
        self.assertEqual(page.read_text(), "<!-- bench:end --> <!-- bench:begin -->")

    def test_the_page_in_docs_has_every_block(self) -> None:
        text = (Path(__file__).resolve().parents[2] / "docs" / "performance.md").read_text()
        for block in ("bench", "bench-sustained", "policy", "extproc", "extproc-sustained", "telemetry"):
            replace_block(self.page(text), block, "new")


class EnduranceTests(unittest.TestCase):
    def endurance(self, *resident: int, errors: int = 0, requests: int = 2_000_000) -> Endurance:
        memory = [MemoryPoint(5 * index, size) for index, size in enumerate(resident)]
        sample = replace(SAMPLE, errors=errors, requests=requests)
        return Endurance("subject", "chat-1k", 64, sample, 10 * MIB, 30 * MIB, memory)

    def test_steady_memory_passes_and_growth_does_not(self) -> None:
        self.assertEqual(self.endurance(10 * MIB, 28 * MIB, 29 * MIB, 30 * MIB).complaints(1_000_000), [])
        self.assertIn("memory grew by 12.0 MiB", self.endurance(MIB, 28 * MIB, 28 * MIB, 40 * MIB).complaints(0)[0])

    def test_one_failed_request_fails_the_run(self) -> None:
        self.assertEqual(self.endurance(MIB, errors=1).complaints(1_000_000), ["1 requests failed"])

    def test_a_million_requests_are_asked_for(self) -> None:
        self.assertIn("fewer than 1,000,000", self.endurance(MIB, requests=999_999).complaints(1_000_000)[0])

    def test_cores_for_the_design_rate_follow_from_cpu_time(self) -> None:
        self.assertAlmostEqual(self.endurance(MIB).cores_at_design_rate, 0.2)


class WorkloadTests(unittest.TestCase):
    def test_bodies_have_exactly_the_named_size(self) -> None:
        for size in range(1024, 1400):
            body = chat_body(size, stream=True)
            self.assertEqual(len(body), size)
            self.assertIn(b'"stream":true', body)
            self.assertIn(MODEL.encode(), body)


if __name__ == "__main__":
    unittest.main()
