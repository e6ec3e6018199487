"""COCO detections of anybody's detectors, by arm and seed."""

from __future__ import annotations

import contextlib
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

from ablab.errors import ConfigError, DataError, UnknownName
from ablab.results.detections import OneSeed, judge_files, read_arms, understood
from ablab.results.judgement import Judgement
from ablab.results.labels import Source, sources
from ablab.stats import image_weights, population
from ablab.streams import stream

COUNT = 60


def judged(folder: Path, **given: Any) -> Judgement:
    rules: dict[str, Any] = {"smallest_interesting": 0.01, "count": COUNT} | given
    metric = rules.pop("metric", "AP")
    found = judge_files(sources([str(folder / "dets")]), folder / "truth.json", metric, **rules)
    assert isinstance(found, Judgement)
    return found


def pycocotools_ap(truth: Path, detections: Path) -> float:
    pytest.importorskip("pycocotools")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        real = COCO(str(truth))
        evaluation = COCOeval(real, real.loadRes(str(detections)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


def test_scores_are_pycocotools_and_verdicts_are_scipys(coco: Path) -> None:
    found = judged(coco)
    table = {
        arm: [pycocotools_ap(coco / "truth.json", coco / "dets" / arm / f"{seed}.json") for seed in range(5)]
        for arm in ("baseline", "better")
    }
    for arm, scores in table.items():
        assert list(found.reading.table()[arm].values()) == pytest.approx(scores, abs=1e-9)
    expected = scipy_stats.ttest_rel(table["better"], table["baseline"])
    assert found["better"].verdict == "helps"
    assert found["better"].p == pytest.approx(expected.pvalue, rel=1e-6)


def test_intervals_over_images_are_those_of_the_weighted_scores(coco: Path) -> None:
    """Against weights drawn here: one vector for all arms and seeds of a replicate."""
    scored = read_arms(sources([str(coco / "dets")]), coco / "truth.json", "AP", count=COUNT)
    found = judged(coco).populations["better"]
    replicates = np.stack([scored.drawn["better", s] - scored.drawn["baseline", s] for s in range(5)], axis=1)
    effects = list(judged(coco)["better"].differences.values())
    assert found == population(effects, replicates, 24)
    assert found.seeds == pytest.approx(judged(coco)["better"].interval)
    assert found.images[0] < np.mean(effects) < found.images[1]
    assert found.both[1] - found.both[0] >= found.seeds[1] - found.seeds[0]
    weights = image_weights(np.arange(24), COUNT, stream("images", "truth.json"))
    assert weights.shape == (COUNT, 24)
    assert np.std(scored.drawn["better", 0]) > 0


def test_images_of_a_group_are_drawn_together(coco: Path) -> None:
    assert judged(coco).populations["better"].groups == 24
    grouped = judged(coco, group="^(v[0-9]+)_").populations["better"]
    assert grouped.groups == 12
    few = judged(coco, group="^v([0-9])").populations["better"]
    assert few.groups == 10
    assert "refused" not in (grouped.refused, few.refused)
    tiny = judged(coco, group="^(v)").populations["better"]
    assert "fewer than 10" in tiny.refused
    assert tiny.images == (-math.inf, math.inf)
    with pytest.raises(ConfigError, match=r"--group: .*gives no group to 24 of 24 images \(v1_1.jpg"):
        judged(coco, group="^(patient)")
    with pytest.raises(ConfigError, match=r"--group: .*exactly one"):
        judged(coco, group="video")


def test_groups_that_the_truth_states(coco: Path) -> None:
    truth = json.loads((coco / "truth.json").read_text())
    for image in truth["images"]:
        image["group"] = f"patient {image['id'] % 11}"
    (coco / "truth.json").write_text(json.dumps(truth))
    assert judged(coco).populations["better"].groups == 11


def test_the_report_holds_all_figures_and_curves(coco: Path) -> None:
    view = judged(coco).view()
    assert view.split == "truth"
    assert "AP50/a" in view.metrics()
    assert view.arm("better").population is not None
    assert view.arm("better").runs[0].curves["pr"]["mean"]
    assert "over images" in judged(coco).write(coco / "r.html").read_text().lower()


def test_without_pairs_or_draws_there_is_no_interval_over_images(coco: Path) -> None:
    (coco / "dets" / "better" / "4.json").unlink()
    assert judged(coco, paired=False).populations == {}
    assert judged(coco, count=0).populations == {}
    assert judged(coco)["better"].n == 4


def test_one_seed_gives_an_interval_over_images_and_no_verdict(coco: Path) -> None:
    files = sources([f"{arm}={coco}/dets/{arm}/0.json" for arm in ("baseline", "better")])
    found = judge_files(files, coco / "truth.json", "AP", count=COUNT, smallest_interesting=0.01)
    assert isinstance(found, OneSeed)
    effect, interval = found.effects["better"]
    assert effect == pytest.approx(found.scores["better"] - found.scores["baseline"])
    assert interval.images[0] < effect < interval.images[1]
    assert interval.both == (-math.inf, math.inf)
    assert "does not cover another training" in str(found)
    assert found.as_dict()["arms"][0]["population"]["both"] == [None, None]
    with pytest.raises(DataError, match="one score an arm has no spread"):
        judge_files(files, coco / "truth.json", "AP", count=0, smallest_interesting=0.01)


def test_one_seed_by_name_or_by_no_name_at_all(tmp_path: Path) -> None:
    named = [Source(tmp_path / f"{arm}.json") for arm in ("baseline", "new")]
    assert understood(named) == [("baseline", 0), ("new", 0)]
    with pytest.raises(
        DataError, match=r"1 files do not tell their seed.*Understood was: .*arm 'new', seed 3.*no seed"
    ):
        understood([Source(tmp_path / "new-seed3.json"), Source(tmp_path / "baseline.json")])
    with pytest.raises(DataError, match=r"more than once .such as 'new' seed 3"):
        understood([Source(tmp_path / "new-seed3.json"), Source(tmp_path / "new_s3.json")])


def test_seeds_that_differ_are_no_pair(coco: Path) -> None:
    files = sources([f"baseline={coco}/dets/baseline/0.json", f"better={coco}/dets/better/1.json"])
    with pytest.raises(DataError, match="no seed in common"):
        judge_files(files, coco / "truth.json", "AP", count=COUNT, smallest_interesting=0.01)


@pytest.mark.parametrize(
    ("metric", "error", "words"),
    [
        ("mAP", UnknownName, "unknown metric 'mAP'.*did you mean 'AP"),
        ("AP/c", UnknownName, "unknown metric 'AP/c'"),
        ("F1", UnknownName, "unknown metric 'F1'"),
        ("APl", DataError, "the truth holds nothing that APl counts"),
    ],
)
def test_a_metric_that_is_not_there_is_said(coco: Path, metric: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        judged(coco, metric=metric)


def test_a_metric_of_a_class_or_a_size_decides_where_it_is_asked_for(coco: Path) -> None:
    assert judged(coco, metric="AP/a").reading.metric == "AP/a"
    assert judged(coco, metric="AP50")["better"].effect != judged(coco)["better"].effect
