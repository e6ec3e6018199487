"""What this machine has room for: runs spread over cards, and waiting for memory; cards and memory are feigned."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
import work
from tiny_study import tiny
from told import Told

from ablab.engine.events import Silent
from ablab.recipe import TrainRecipe
from ablab.records import RunKey, RunRecord, write_json
from ablab.study import peaks
from ablab.study.design import arms
from ablab.study.executors import local, room
from ablab.study.executors.job import Job, Needs
from ablab.study.executors.local import Local, execute
from ablab.study.executors.room import Memory, least_used
from ablab.study.peaks import Peaks


class Hearing(Told):
    def row(self, label: str) -> Hearing:
        return self


def always() -> bool:
    return True


def test_the_cards_that_are_visible_keep_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert room.visible() == ("0", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5, GPU-8932f937")
    assert room.visible() == ("5", "GPU-8932f937")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert room.visible() == ()


@pytest.mark.parametrize(
    ("held", "count", "chosen"),
    [
        ([], 1, ("a",)),
        ([("a",)], 1, ("b",)),
        ([("a",), ("b",), ("c",), ("a",)], 1, ("b",)),
        ([("b",)], 2, ("a", "c")),  # processes of one run never share a card
        ([("a", "b"), ("c",)], 3, ("a", "b", "c")),
        ([], 4, ()),
        ([("a",)], 0, ()),
    ],
)
def test_a_run_gets_the_cards_that_the_fewest_hold(held: list[tuple[str, ...]], count: int, chosen: object) -> None:
    assert least_used(("a", "b", "c"), held, count) == chosen


def test_as_many_runs_as_cards_unless_the_recipe_wants_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "visible", lambda: ("0", "1", "2", "3"))
    monkeypatch.setattr(local.os, "cpu_count", lambda: 6)
    assert Local().at_a_time(TrainRecipe(threads=2)) == 4
    assert Local().at_a_time(TrainRecipe(threads=2, devices=2)) == 2
    assert Local().at_a_time(TrainRecipe(threads=2, devices=8)) == 1  # which the run itself refuses
    assert Local().at_a_time(TrainRecipe(threads=2, device="cpu")) == 3
    monkeypatch.setattr(local, "visible", lambda: ())
    assert Local().at_a_time(TrainRecipe(threads=2)) == 3


def test_runs_spread_over_the_cards_and_share_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "visible", lambda: ("3", "7"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    jobs = [Job(f"run {n}", work.cards, (tmp_path / str(n), 5), Needs(1, 1)) for n in range(4)]
    jobs.append(Job("on the CPU", work.cards, (tmp_path / "4", 5)))
    assert {error for _, error in execute(jobs, 5, Silent(), always)} == {""}
    assert [(tmp_path / str(n)).read_text() for n in range(5)] == ["3", "7", "3", "7", ""]


def test_what_runs_beside_will_still_take_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "available", lambda: 1000.0)
    monkeypatch.setattr(room, "held", {1: 100.0, 2: 700.0}.__getitem__)
    assert Memory().short(499, {1: 600.0, 2: 600.0}) == ""
    said = Memory().short(501, {1: 600.0, 2: 600.0})
    assert said.startswith("500 MB of memory are left for another run, which takes about 501 MB")
    assert Memory().short(0, {}) == ""


def test_runs_wait_for_memory_and_one_is_always_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "available", lambda: 1000.0)
    monkeypatch.setattr(room, "held", lambda _: 0.0)
    told, place = Hearing(), tmp_path / "one"
    jobs = [Job(f"run {n}", work.alone, (place,), memory=lambda: 600.0) for n in range(3)]
    jobs.append(Job("larger than the machine", work.alone, (place,), memory=lambda: 1e9))
    assert [(job.name, error) for job, error in execute(jobs, 4, told, always)] == [(job.name, "") for job in jobs]
    assert [said.partition(" MB")[0] for said in told.said] == ["400"]


def test_a_process_holds_memory_and_one_that_ended_none() -> None:
    assert 20 < room.held(os.getpid()) < 1e6
    assert room.available() > 0
    assert room.held(2**30) == 0


def test_the_last_known_peak_of_an_arm_outranks_the_plan(tmp_path: Path) -> None:
    assert peaks.planned(tmp_path) == {}
    write_json(tmp_path / "plan.json", {"arms": [{"arm": "baseline", "memory_mb": 500.0}, {"arm": "cbam"}]})
    known, (base, cbam, *_) = Peaks(peaks.planned(tmp_path)), arms(tiny())
    assert (known.of("baseline"), known.of("cbam"), known.of("another")) == (500, 0, 0)
    key = RunKey("tiny", "cbam", 0, "f")
    for peak in (700.0, 600.0):
        known.note(cbam, RunRecord(key, "done", cost={"peak_memory_mb": peak}))
    known.note(base, RunRecord(key, "failed"))
    assert (known.of("baseline"), known.of("cbam")) == (500, 600)
