"""What a process counts about itself: requests, refusals, and what other parts keep in the registry of Prometheus.

Everything here is of one process and costs no more than adding. Monitoring adds the counts of all processes up.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from prometheus_client import REGISTRY, Counter
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

PREFIX: Final = "numberdesk_"
BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Ends of the places of the histogram of requests. Unit: seconds."""
METHODS: Final = frozenset({"GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"})
UNMATCHED: Final = "unmatched"
"""The route of a request whose address is nobody's."""
GONE: Final = 499
"""The status of a request whose caller left before the answer began; others use the same number."""

REFUSALS: Final = Counter(
    "numberdesk_errors", "Requests that were refused or failed, by category and code.", ("category", "code")
)
LOG_DROPPED: Final = Counter("numberdesk_log_dropped", "Access lines that were not written, because too many waited.")


class Requests:
    """Answered requests by method, route and status, with how long each took until its answer began.

    Routes are templates, never addresses, so that there are as many as the program has.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, int], list[float]] = {}

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        found = self._counts.get((method, route, status))
        if found is None:
            key = (method if method in METHODS else "OTHER", route, status)
            found = self._counts.setdefault(key, [0.0] * (len(BOUNDS) + 2))
        found[bisect_left(BOUNDS, seconds)] += 1
        found[-1] += seconds

    def collect(self) -> Iterable[Metric]:
        """Return the counts in Prometheus' form."""
        requests = CounterMetricFamily(
            "numberdesk_requests", "Answered requests.", labels=("method", "route", "status")
        )
        seconds = HistogramMetricFamily(
            "numberdesk_request_seconds", "How long requests waited for the start of their answer.",
            labels=("method", "route"),
        )  # fmt: skip
        by_route: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0] * (len(BOUNDS) + 2))
        for (method, route, status), counted in list(self._counts.items()):
            requests.add_metric((method, route, str(status)), sum(counted[:-1]))
            total = by_route[method, route]
            for place, number in enumerate(counted):
                total[place] += number
        for labels, counted in by_route.items():
            buckets, so_far = [], 0.0
            for bound, number in zip((*map(str, BOUNDS), "+Inf"), counted[:-1], strict=True):
                so_far += number
                buckets.append((bound, so_far))
            seconds.add_metric(labels, buckets, counted[-1])
        return [requests, seconds]

    def describe(self) -> Iterable[Metric]:
        """Return the names; the registry asks when it takes a collector."""
        return self.collect()


REQUESTS: Final = Requests()
REGISTRY.register(REQUESTS)


def families() -> list[Metric]:
    """Return the counters and histograms of this program, as this process counted them."""
    return [
        family
        for family in REGISTRY.collect()
        if family.name.startswith(PREFIX) and family.type in ("counter", "histogram")
    ]


def labels_of(labels: dict[str, str]) -> str:
    """Return labels as they stand behind a name in Prometheus' text."""
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
