"""What a process says of itself at /metrics: Prometheus text 0.0.4 and OpenMetrics 1.0."""

from __future__ import annotations

import http.client
import re
from dataclasses import dataclass
from typing import Optional

#: What Prometheus 2 asks for.
ACCEPT = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)

#: A line such as `name{label="value"} 3`; what follows the value, a time or an exemplar, is nobody's concern here.
_SAMPLE = re.compile(r'([a-zA-Z_:][\w:]*)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})? +(\S+)')
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")


def scrape(port: int) -> bytes:
    """The page as Prometheus would get it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/metrics", headers={"accept": ACCEPT})
        response = connection.getresponse()
        page = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise SystemExit(f"/metrics: status {response.status}: {page[:200]!r}")
    return page


@dataclass(frozen=True)
class Series:
    """One line of a page: a bucket of a histogram is a series too."""

    name: str
    labels: "dict[str, str]"
    value: float


@dataclass(frozen=True)
class Page:
    series: "list[Series]"

    @staticmethod
    def parse(text: str) -> "Page":
        """Reads a page; a line that is none of the format is a ValueError."""
        series = []
        for line in text.splitlines():
            if not line or line.startswith("#"):
                continue
            match = _SAMPLE.match(line)
            if match is None:
                raise ValueError(f"no sample: {line[:200]!r}")
            name, labels, value = match.groups()
            series.append(Series(name, {key: _unescaped(text) for key, text in _LABEL.findall(labels or "")},
                                 float(value)))
        return Page(series)

    @staticmethod
    def of(port: int) -> "Page":
        return Page.parse(scrape(port).decode())

    def total(self, name: str, **labels: str) -> float:
        """The sum of the series of that name that have these labels among theirs; 0 if there is none."""
        return sum(self._values(name, labels))

    def has(self, name: str) -> bool:
        return any(series.name == name for series in self.series)

    def by_label(self, name: str, label: str) -> "dict[str, float]":
        """The sums of the series of that name, by the value of one label."""
        sums: dict[str, float] = {}
        for series in self.series:
            if series.name == name and label in series.labels:
                sums[series.labels[label]] = sums.get(series.labels[label], 0) + series.value
        return sums

    def histogram(self, name: str) -> "Histogram":
        """All series of a histogram as one; their buckets have the same bounds."""
        counts: dict[float, float] = {}
        for bound, count in self.by_label(f"{name}_bucket", "le").items():
            counts[float(bound)] = counts.get(float(bound), 0) + count
        return Histogram(counts)

    def _values(self, name: str, labels: "dict[str, str]") -> "list[float]":
        return [
            series.value for series in self.series
            if series.name == name and labels.items() <= series.labels.items()
        ]


@dataclass(frozen=True)
class Histogram:
    #: How many values were at most so large, by the upper bound; the last bound is infinite.
    counts: "dict[float, float]"

    @property
    def count(self) -> float:
        return max(self.counts.values(), default=0)

    def at_most(self, bound: float) -> float:
        """How many values were at most `bound`, which must be one of the histogram's own."""
        return self.counts[bound]

    def highest_bound(self) -> Optional[float]:
        """The upper bound of the highest bucket that has a value; None where there is no value."""
        if self.count == 0:
            return None
        return min(bound for bound, count in self.counts.items() if count == self.count)

    def __add__(self, other: "Histogram") -> "Histogram":
        """Both together; one that has no buckets yet adds nothing."""
        bounds = {**self.counts, **other.counts}
        return Histogram({bound: self.counts.get(bound, 0) + other.counts.get(bound, 0) for bound in bounds})

    def __sub__(self, earlier: "Histogram") -> "Histogram":
        return Histogram({bound: count - earlier.counts.get(bound, 0) for bound, count in self.counts.items()})


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: "\n" if match[1] == "n" else match[1], text)
