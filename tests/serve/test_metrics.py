"""Prometheus' text, by hand; budgets."""

from __future__ import annotations

import re

import pytest

from ablab.serve.limits import Budget, Limits, Refusal
from ablab.serve.metrics import Histogram, Metrics


def test_buckets_are_cumulative_and_hold_their_bound() -> None:
    histogram = Histogram("h", "told", (1, 2.5))
    for value in (0.5, 1, 2, 2.5, 7):
        histogram.add(value)
    assert histogram.lines() == [
        "# HELP h told",
        "# TYPE h histogram",
        'h_bucket{le="1"} 2',
        'h_bucket{le="2.5"} 4',
        'h_bucket{le="+Inf"} 5',
        "h_sum 13",
        "h_count 5",
    ]


def test_every_line_is_of_the_format() -> None:
    metrics = Metrics()
    metrics.answered("/predict", 200, 0.02)
    metrics.answered("/predict", 200, 0.03)
    metrics.answered("/health", 503, 0.001)
    metrics.batch(2)
    text = metrics.text(3, True)
    line = r'# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? [0-9.e+-]+'
    assert all(re.fullmatch(line, each) for each in text.splitlines())
    assert text.endswith("\n")
    for expected in (
        'ablab_requests_total{path="/predict",status="200"} 2',
        'ablab_requests_total{path="/health",status="503"} 1',
        'ablab_predict_seconds_bucket{le="0.025"} 1',
        "ablab_predict_seconds_count 2",
        "ablab_batch_images_sum 2",
        "ablab_waiting_images 3",
        "ablab_ready 1",
    ):
        assert expected in text.splitlines()


def test_a_budget_is_given_back_whatever_happens() -> None:
    budget = Budget(10, "full")
    with budget.hold(4) as share:
        share.take(6)
        with pytest.raises(Refusal, match="full"), budget.hold(1):
            pytest.fail("there was nothing left")
        assert budget.taken == 10
    assert budget.taken == 0
    with pytest.raises(Refusal), budget.hold(3) as share:
        share.take(8)
    assert budget.taken == 0


def test_memory_for_bodies_fits_two_of_the_largest() -> None:
    assert Limits(bytes=10**9).held == 2 * 10**9
    assert Limits().held == 256_000_000
