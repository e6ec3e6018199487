"""What must not matter: the order of rows, the names of seeds, a constant that is in all scores."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ablab
from ablab.results.labels import Source
from ablab.results.reading import read_files
from ablab.results.runs import Columns

SCORE = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)
ARMS = st.lists(st.sampled_from(["a", "b10", "b2", "wider"]), min_size=1, max_size=3, unique=True)


@st.composite
def tables(draw: st.DrawFn) -> dict[str, dict[int, float | None]]:
    seeds = draw(st.lists(st.integers(-5, 99), min_size=2, max_size=7, unique=True))
    cell = st.one_of(SCORE, SCORE, SCORE, st.none())
    table = {}
    for arm in ("baseline", *draw(ARMS)):
        own = {seed: draw(cell) for seed in seeds}
        table[arm] = own | {seed: draw(SCORE) for seed in seeds[:2]}  # at least two pairs
    return table


@given(table=tables(), shuffled=st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_rows_does_not_matter(table, shuffled) -> None:
    rows = [
        f"{arm},{seed},{'' if value is None else value}" for arm, own in table.items() for seed, value in own.items()
    ]
    other = list(rows)
    shuffled.shuffle(other)

    def verdicts(lines: list[str]):
        with TemporaryDirectory() as folder:
            path = Path(folder) / "s.csv"
            path.write_text("arm,seed,score\n" + "\n".join(lines) + "\n")
            return ablab.compare(read_files([Source(path)], Columns()).table(), smallest_interesting=0.01).verdicts

    assert verdicts(rows) == verdicts(other)


@given(table=tables(), step=st.integers(1, 9), start=st.integers(-9, 9))
@settings(max_examples=60, deadline=None)
def test_the_names_of_seeds_do_not_matter(table, step: int, start: int) -> None:
    renamed = {arm: {start + step * seed: value for seed, value in own.items()} for arm, own in table.items()}
    for one, other in zip(_judged(table), _judged(renamed), strict=True):
        assert other.differences == {start + step * seed: d for seed, d in one.differences.items()}
        assert _but_seeds(other) == _but_seeds(one)


@given(table=tables(), constant=st.sampled_from([-0.5, 0.25, 2.0, 64.0]))
@settings(max_examples=60, deadline=None)
def test_a_constant_in_all_scores_does_not_matter(table, constant: float) -> None:
    moved = {
        arm: {seed: None if value is None else value + constant for seed, value in own.items()}
        for arm, own in table.items()
    }
    for one, other in zip(_judged(table), _judged(moved), strict=True):
        assert (other.arm, other.verdict, other.n) == (one.arm, one.verdict, one.n)
        assert other.effect == pytest.approx(one.effect, abs=1e-9)
        assert other.sd == pytest.approx(one.sd, abs=1e-9)


def _judged(table):
    return ablab.compare(table, smallest_interesting=0.0123)


def _but_seeds(verdict):
    return {name: repr(value) for name, value in verdict.as_dict().items() if name != "differences"}
