"""The simulated executor's clock, by hand and against a bound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablab.engine.events import Silent
from ablab.study.executors.job import Job
from ablab.study.executors.simulated import Simulated


def jobs_of(seconds: list[float]) -> list[Job]:
    return [Job(str(place), print, (each,)) for place, each in enumerate(seconds)]


def simulated(slots: int, left: list[str]) -> Simulated:
    return Simulated(slots, lambda job: float(job.arguments[0]), lambda job: left.append(job.name))


def test_two_slots_by_hand() -> None:
    left: list[str] = []
    made = simulated(2, left)
    ends = [job.name for job, error in made.execute(jobs_of([30, 10, 10, 25]), 8, Silent(), lambda: True) if not error]
    assert ends == left == ["1", "2", "0", "3"]  # they end at 10, 20, 30 and 45
    assert made.ideal == 45
    assert made.clock == pytest.approx(45 + made.driver, abs=made.driver)
    assert made.runs == 4


@given(st.lists(st.floats(1, 100), min_size=1, max_size=40), st.integers(1, 9), st.integers(1, 9))
def test_every_run_ends_once_and_the_clock_keeps_grahams_bound(seconds: list[float], slots: int, parallel: int) -> None:
    left: list[str] = []
    made = simulated(slots, left)
    ends = list(made.execute(jobs_of(seconds), parallel, Silent(), lambda: True))
    assert sorted(left) == sorted(job.name for job, _ in ends) == sorted(map(str, range(len(seconds))))
    least = max(sum(seconds) / slots, max(seconds))
    assert least - 1e-9 <= made.ideal <= (2 - 1 / slots) * least + 1e-9  # Graham 1969
    assert made.clock >= sum(seconds) / min(slots, parallel) - 1e-9


def test_a_driver_that_is_told_to_stop_lets_what_runs_end() -> None:
    allowed = iter([True, True, False])
    left: list[str] = []
    list(simulated(2, left).execute(jobs_of([5, 3, 1, 1]), 2, Silent(), lambda: next(allowed)))
    assert left == ["1", "0"]
