"""What a page shows of many, held against the whole."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablab.records import RunKey, RunRecord
from ablab.reports import as_document, as_page, crowds, figures
from ablab.reports.view import Arm, Run, View
from ablab.stats import judge


def view_of(arms, seeds):
    """A judged study of so many arms and seeds; arm i scores i thousandths more than the baseline."""
    luck = np.random.default_rng(1).normal(0.4, 0.01, (arms, seeds))
    names = ["baseline", *[f"change-{number}" for number in range(1, arms)]]
    scores = {n: dict(enumerate((luck[i] + 0.001 * i).tolist())) for i, n in enumerate(names)}
    verdicts = {v.arm: v for v in judge(scores, dict.fromkeys(names[1:], "baseline"), smallest_interesting=0.01)}

    def run(name, seed):
        return Run(RunRecord(RunKey("many", name, seed, "f"), "done", {"validation": {"AP": scores[name][seed]}}))

    made = [
        Arm(
            name,
            "change" if name != "baseline" else "baseline",
            runs={seed: run(name, seed) for seed in range(seeds)},
            verdict=verdicts.get(name),
            plan={"parameters": 1000 + place},
        )
        for place, name in enumerate(names)
    ]
    asked = {"split": "validation", "judged": True}
    return View(
        name="many",
        metric="AP",
        direction="max",
        smallest_interesting=0.01,
        arms=(*made,),
        seeds=(*range(seeds),),
        **asked,
    )


@given(st.lists(st.integers(), max_size=60), st.integers(2, 20))
def test_the_ends_are_those_of_the_sorted_rows(rows, most):
    shown = crowds.ends(rows, float, most)
    if len(rows) <= most:
        assert shown == rows
    else:
        order = sorted(rows)
        assert sorted(shown) == [*order[: most // 2], *order[-(most - most // 2) :]]
        assert shown == sorted(shown, reverse=True)


@given(st.integers(0, 400), st.integers(2, 50))
def test_thinning_keeps_the_ends_repeats_nothing_and_leaves_no_large_gap(count, most):
    shown = crowds.thinned(range(count), most)
    assert len(shown) == min(count, most)
    if count:
        assert (shown[0], shown[-1]) == (0, count - 1)
    gaps = np.diff(shown)
    assert (gaps > 0).all()
    assert not len(gaps) or gaps.max() - gaps.min() <= 1


def test_the_dots_drawn_keep_the_quartiles():
    scores = dict(enumerate(np.random.default_rng(3).standard_normal(5000).tolist()))
    drawn = crowds.dots(scores)
    assert len(drawn) == crowds.DOTS
    assert all(scores[seed] == value for seed, value in drawn.items())
    for share in (0, 0.25, 0.5, 0.75, 1):
        assert np.quantile(list(drawn.values()), share) == pytest.approx(
            np.quantile(list(scores.values()), share), abs=0.05
        )


@pytest.mark.parametrize(
    ("values", "said"),
    [([1, 2, 5], "1, 2, 5"), (range(500), "0 to 499"), ([*range(50), 99], "0 to 49, 99")],
)
def test_many_numbers_are_ranges(values, said):
    assert crowds.numbers(values) == said


def test_a_page_of_many_arms_shows_the_ends_says_so_and_the_document_has_all():
    view = view_of(60, 3)
    drawing = figures.effects(view)
    assert drawing.note == "Shown: the highest and the lowest, 40 of 59 arms; report.csv has all. "
    order = sorted(view.compared, key=lambda arm: -arm.verdict.effect)
    for arm in (*order[:20], *order[-20:]):
        assert f">{arm.name}<" in drawing.svg
    assert f">{order[30].name}<" not in drawing.svg
    assert ">baseline<" in figures.scores(view).svg
    page = as_page(view)
    assert "All 60 rows" in page
    assert page.count('<th scope="row"><span class="dot" style="--hue: var(--arm-') == 40 + 59
    assert [row["name"] for row in as_document(view)["arms"]] == [arm.name for arm in view.arms]


def test_a_page_of_many_seeds_thins_its_dots_and_sums_up_its_table():
    view = view_of(2, 1000)
    drawing = figures.scores(view)
    assert "200 of 1000 seeds" in drawing.note
    assert drawing.svg.count("<use ") < 2 * crowds.DOTS + 20
    page = as_page(replace(view, folder=None))
    assert "seed 999" not in page
    found = np.quantile(list(view.judged_scores(view.baseline).values()), (0, 0.25, 0.5, 0.75, 1))
    assert "".join(f"<td>{value:.3f}</td>" for value in found) in page
    assert len(as_document(view)["arms"][0]["scores"]) == 1000
