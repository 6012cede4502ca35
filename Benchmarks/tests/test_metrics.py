"""Pages of /metrics are read as Prometheus reads them."""

from __future__ import annotations

import math
import unittest

from harness.metrics import Histogram, Page

PAGE = r"""# HELP requests Requests. May hold {braces}="and quotes"
# TYPE requests counter
requests_total{model="a",code="200"} 3
requests_total{model="b",code="200"} 4 1700000000.123
requests_total{code="500",model="b"} 5e1
# TYPE up gauge
up 1
vllm:name{text="a \"quoted\", } \\n { one\nline"} 0.5
# TYPE delay_seconds histogram
delay_seconds_bucket{loop="0",le="0.001"} 2 # {trace_id="0af7651916cd43dd8448eb211c80319c",x="} 9"} 0.0004 1.7e9
delay_seconds_bucket{loop="0",le="0.002"} 3
delay_seconds_bucket{loop="0",le="+Inf"} 3
delay_seconds_bucket{loop="1",le="0.001"} 1
delay_seconds_bucket{loop="1",le="0.002"} 1
delay_seconds_bucket{loop="1",le="+Inf"} 2
delay_seconds_count{loop="0"} 3
empty{} NaN
# EOF
"""


class PageTests(unittest.TestCase):
    page = Page.parse(PAGE)

    def test_every_line_with_a_value_is_a_series(self) -> None:
        self.assertEqual(len(self.page.series), 13)

    def test_sums_are_of_the_series_that_have_the_labels(self) -> None:
        self.assertEqual(self.page.total("requests_total"), 57)
        self.assertEqual(self.page.total("requests_total", model="b"), 54)
        self.assertEqual(self.page.total("requests_total", model="b", code="200"), 4)
        self.assertEqual(self.page.total("requests"), 0)
        self.assertEqual(self.page.by_label("requests_total", "model"), {"a": 3, "b": 54})
        self.assertEqual(self.page.by_label("up", "model"), {})

    def test_labels_may_hold_anything(self) -> None:
        name = next(series for series in self.page.series if series.name == "vllm:name")
        self.assertEqual(name.labels, {"text": 'a "quoted", } \\n { one\nline'})
        self.assertEqual(name.value, 0.5)

    def test_exemplars_and_times_are_passed_over(self) -> None:
        self.assertEqual(self.page.total("delay_seconds_bucket", loop="0", le="0.001"), 2)
        self.assertEqual(self.page.total("requests_total", model="b", code="200"), 4)

    def test_what_is_no_sample_is_said(self) -> None:
        for line in ("name", '{label="x"} 3', "name{label=\"x} 3", "name x"):
            with self.subTest(line), self.assertRaises(ValueError):
                Page.parse(line)


class HistogramTests(unittest.TestCase):
    histogram = Page.parse(PAGE).histogram("delay_seconds")

    def test_the_series_of_a_histogram_are_added_up(self) -> None:
        self.assertEqual(self.histogram.counts, {0.001: 3, 0.002: 4, math.inf: 5})
        self.assertEqual(self.histogram.count, 5)
        self.assertEqual(self.histogram.at_most(0.002), 4)

    def test_the_highest_bound_is_that_of_the_largest_value(self) -> None:
        self.assertEqual(self.histogram.highest_bound(), math.inf)
        self.assertEqual(Histogram({0.001: 3, 0.002: 4, math.inf: 4}).highest_bound(), 0.002)
        self.assertIsNone(Histogram({0.001: 0, math.inf: 0}).highest_bound())
        self.assertIsNone(Histogram({}).highest_bound())

    def test_differences_and_sums_are_of_each_bucket(self) -> None:
        earlier = Histogram({0.001: 1, 0.002: 1, math.inf: 1})
        later = self.histogram - earlier
        self.assertEqual(later.counts, {0.001: 2, 0.002: 3, math.inf: 4})
        self.assertEqual((later + earlier).counts, self.histogram.counts)
        self.assertEqual((Histogram({}) + later).counts, later.counts)


if __name__ == "__main__":
    unittest.main()
