import math
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from ablab.reports import breakdown, canvas, curves, figures
from ablab.reports.view import Run

SVG = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"


def texts(drawing):
    return ["".join(node.itertext()) for node in ElementTree.fromstring(drawing.svg).iter(f"{SVG}text")]


def every(view):
    found = [figures.effects(view), figures.scores(view), *figures.costs(view)]
    found += [*curves.precision_recall(view), *curves.score_shift(view)]
    return found + [drawing for column in curves.histories(view) for drawing in curves.training(view, column)]


@pytest.fixture(scope="module")
def drawings(golden):
    return every(golden)


def test_every_figure_is_there(drawings, golden):
    assert curves.histories(golden) == ["loss", "validation/AP"]
    assert len(drawings) == 4 + 4 * 7  # effects, scores, two costs; four kinds of panels an arm


def test_ids_are_unique_over_all_figures_and_every_reference_is_met(drawings):
    ids, wanted = [], set()
    for drawing in drawings:
        for node in ElementTree.fromstring(drawing.svg).iter():
            ids += [node.get("id")] if node.get("id") else []
            wanted |= {node.get(HREF)} if node.get(HREF) else set()
        wanted |= {f"#{name}" for name in re.findall(r"url\(#([^)]+)\)", drawing.svg)}
    assert len(ids) == len(set(ids))
    assert wanted <= {f"#{name}" for name in ids}


def test_the_same_study_gives_the_same_bytes(golden, drawings):
    assert figures.effects(golden).svg == drawings[0].svg
    assert curves.score_shift(golden)[1].svg in [drawing.svg for drawing in drawings]


def test_no_date_and_nothing_outside(drawings):
    for drawing in drawings:
        assert "<metadata" not in drawing.svg
        assert set(re.findall(r"https?://[^\"]+", drawing.svg)) <= {
            "http://www.w3.org/2000/svg",
            "http://www.w3.org/1999/xlink",
        }


def test_effects_print_their_numbers(golden):
    found = texts(figures.effects(golden))
    for text in ("frelu", "+0.032 [+0.028, +0.036]", "lr-times-10", "−0.114 [−0.605, +0.378]"):
        assert text in found


def test_the_effects_show_every_finished_seed_and_cut_what_would_squeeze_them(golden):
    rows = [(arm, arm.verdict) for arm in golden.compared]
    low, high = figures._range(golden, rows)
    for arm, verdict in rows:
        for seed, difference in verdict.differences.items():
            assert (low < difference < high) == (seed not in arm.diverged())
    assert high < 0.378
    assert low < -0.077  # the whole interval of the arm that hurts


def test_names_beside_a_cost_never_touch(golden):
    arms = tuple(replace(golden.arms[1], name=f"arm-{number}") for number in range(14))
    crowd = replace(golden, arms=(golden.baseline, *arms))  # fourteen arms at one point
    svg = ElementTree.fromstring(figures.costs(crowd)[0].svg)
    heights = []
    for node in svg.iter(f"{SVG}text"):
        if "".join(node.itertext()).startswith("arm-"):
            heights.append(float(re.search(r"([\d.]+)\)?$", node.get("transform", "").split(") ")[0].rstrip(")"))[1]))
    heights.sort()
    assert len(heights) == 14
    assert min(np.diff(heights)) > canvas.FONT
    assert heights[0] > 0
    assert heights[-1] < float(svg.get("viewBox").split()[3])


def test_a_hostile_name_is_text(golden):
    arms = (golden.arms[0], replace(golden.arms[1], name="$x^2$<script>&"), *golden.arms[2:])
    drawing = figures.effects(replace(golden, arms=arms))
    assert "<script" not in drawing.svg
    assert "$x^2$<script>&" in texts(drawing)


def test_an_arm_keeps_its_colour_and_the_baseline_is_neutral(golden):
    colours = [canvas.colour(golden, arm) for arm in golden.arms]
    assert colours[0] == canvas.THEME["ink"]
    assert colours[-1] == canvas.THEME["muted"]
    assert colours[1:-1] == list(canvas.PALETTE[:5])
    assert [canvas.colour(golden, arm) for arm in golden.arms] == colours


def test_neutral_colours_follow_the_page(drawings):
    for drawing in drawings:
        assert not [value for value in (*canvas.THEME.values(), *canvas.PALETTE) if value in drawing.svg]
        assert "var(--ink)" in drawing.svg or "var(--muted)" in drawing.svg


def test_the_score_shift_is_shown_beside_its_figures(golden):
    shift = {drawing.title: drawing for drawing in curves.score_shift(golden)}["frelu"]
    f1 = golden.scores(golden.arms[1], "F1@0.5")
    assert shift.note == f"F1 0.835 at 0.26 (chosen) · 0.787 at 0.4 · {sum(f1.values()) / 5:.3f} at 0.5"


def test_the_mean_of_lines_that_end_early():
    x, y = curves._middle([(np.array([0.0, 1, 2]), np.array([0.0, 1, 2])), (np.array([0.0, 1]), np.array([2.0, 3]))])
    assert x.tolist() == [0, 1, 2]
    assert y.tolist() == [1, 2, 2]


def test_a_study_without_verdicts_or_curves_has_fewer_figures(golden):
    bare = replace(
        golden,
        arms=tuple(
            replace(arm, verdict=None, plan={}, runs={s: Run(run.record) for s, run in arm.runs.items()})
            for arm in golden.arms
        ),
    )
    assert figures.effects(bare) is None
    assert figures.scores(bare) is not None
    assert len(figures.costs(bare)) == 1  # parameters stand in the records, latency does not
    assert curves.histories(bare) == curves.precision_recall(bare) == curves.score_shift(bare) == []


def test_a_study_without_runs_has_none(golden):
    empty = replace(golden, arms=tuple(replace(arm, verdict=None, runs={}) for arm in golden.arms))
    assert figures.scores(empty) is None
    assert figures.costs(empty) == []


def test_curves_with_gaps_are_drawn(golden):
    arm = golden.arms[1]
    run = arm.runs[0]
    gaps = {"pr": {"recall": [0.0, 1.0], "mean": [None, None]}, "f1": {**run.curves["f1"], "F1": [None] * 101}}
    view = replace(golden, arms=(golden.arms[0], replace(arm, runs={0: replace(run, curves=gaps)})))
    assert [drawing.title for drawing in curves.precision_recall(view)] == ["baseline", "frelu"]
    assert len(curves.score_shift(view)) == 2


@pytest.mark.parametrize("n", [1, 2])
def test_few_seeds(golden, n):
    arm = golden.arms[1]
    ends = (-math.inf, math.inf) if n == 1 else (-0.2, 0.3)
    verdict = replace(arm.verdict, n=n, simultaneous=ends, differences=dict.fromkeys(range(n), 0.03))
    view = replace(golden, arms=(golden.arms[0], replace(arm, verdict=verdict)))
    assert "frelu" in texts(figures.effects(view))


def test_an_arm_among_latencies_has_its_interval_about_the_baselines_mean(golden):
    axes = Figure().subplots()
    axes.set_ylim(0.4, 0.55)
    frelu = golden.arm("frelu")
    figures._bars(axes, golden, frelu, 16.9, 0.545)
    across, bar = axes.lines
    assert list(across.get_xdata()) == pytest.approx([16.45, 17.35])  # 16.9 and a quartile range of 0.9
    base = sum((0.512, 0.507, 0.519, 0.510, 0.515)) / 5
    low, high = (base + end for end in frelu.verdict.simultaneous)
    assert list(bar.get_ydata()) == pytest.approx([low, min(high, 0.55)])
    figures._bars(axes, golden, golden.baseline, 11.8, base)
    assert len(axes.lines) == 3  # no difference from itself


@pytest.mark.parametrize("front", [True, False])
def test_a_diamond_is_filled_on_the_front(golden, front):
    axes = Figure().subplots()
    figures._point(axes, golden, golden.arm("frelu"), 0.5, 0.5, front)
    assert (axes.lines[0].get_markerfacecolor() == axes.lines[0].get_color()) == front


def test_equal_effects_have_an_axis_of_their_own() -> None:
    assert breakdown._limits([(0.0, 0.0, 0.0), (0.0, math.nan, math.nan)], 0.0) == pytest.approx((-0.01, 0.01))
    assert breakdown._limits([(-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)], 0.0) == pytest.approx((-1.1, 1.1))
