"""The study files in studies/: each loads, and every arm of it is built and operated on, on scenes of 64 pixels."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn

from ablab import registry
from ablab.engine.events import Silent
from ablab.measure import parameters
from ablab.study import plan, spec
from ablab.study.build import Made, build
from ablab.study.design import Arm, arms
from ablab.study.spec import Study
from ablab.surgery.graft import HOST

STUDIES = Path(__file__).parents[1] / "studies"
FILES = sorted(path.stem for path in STUDIES.glob("*.yaml"))
DATA = {"path": "photo-digits", "classes": 3, "size": 64, "scenes": [12, 6, 6]}
SMALL = {"baseline.data": DATA, "baseline.train.image_size": 64, "baseline.train.threads": 1}
CHANGED_STAGES = (16, 32, 64, 128)  # inputs of change_net's strided convolutions, in size n


@cache
def study(name: str) -> Study:
    """A study file, on the embedded data set: three classes, as BCCD has."""
    return spec.load(STUDIES / f"{name}.yaml", SMALL)


@cache
def made(name: str, arm: str) -> Made:
    """An arm of a study, built."""
    chosen = chosen_arm(name, arm)
    return build(registry.task(chosen.recipe.task)[1](chosen.recipe), chosen, 0)


def chosen_arm(name: str, arm: str) -> Arm:
    return next(each for each in arms(study(name)) if each.name == arm)


def gained(name: str, arm: str) -> int:
    return parameters(made(name, arm).model) - parameters(made(name, "baseline").model)


@pytest.mark.parametrize("name", FILES)
def test_it_loads_under_its_own_name_and_says_why(name: str) -> None:
    loaded = spec.load(STUDIES / f"{name}.yaml")
    assert loaded.name == name
    assert all(change.because for change in loaded.changes)


@pytest.mark.parametrize(
    ("name", "arm"), [(name, arm.name) for name in FILES for arm in arms(study(name)) if arm.kind != "control"]
)
def test_every_arm_is_built_as_its_change_says(name: str, arm: str) -> None:
    """Each edit found sites, nothing was called past it, and what it left alone is the baseline's to the bit."""
    found, asked = made(name, arm), chosen_arm(name, arm)
    assert bool(found.report.sites) == bool(asked.edits)
    assert not found.report.unreached
    before = made(name, "baseline").model.state_dict()
    after = {key.replace(f".{HOST}.", "."): tensor for key, tensor in found.model.state_dict().items()}
    same = [key for key in before if key in after and before[key].shape == after[key].shape]
    anew = (
        "head." if asked.recipe.model.model_dump()["head"] != study(name).baseline.model.model_dump()["head"] else "-"
    )
    assert [key for key in same if not key.startswith(anew) and not torch.equal(before[key], after[key])] == []
    assert len([key for key in same if before[key].dim() == 4]) > 30


def test_the_ladder_has_the_arms_of_the_table() -> None:
    assert [arm.name for arm in arms(study("yolov5-ladder"))] == [
        "baseline", "hardswish", "hardswish-by-hardtanh", "frelu", "hardswish-se", "frelu-se", "frelu-cbam",
        "frelu-eca", "frelu-ca", "frelu-cbam-focal", "change_net", "change_net-plain", "change_net-erase",
        "change_net-se-inside",
    ]  # fmt: skip


def test_no_arm_starts_elsewhere_or_trains_longer() -> None:
    """Trap 20: what the originals resumed is asked here from the baseline's start, at the baseline's length."""
    baseline = study("yolov5-ladder").baseline
    for arm in arms(study("yolov5-ladder")):
        assert (arm.recipe.start, arm.recipe.train) == (baseline.start, baseline.train)


def test_both_hard_swishes_are_one_function() -> None:
    """The two arms of the first study differ by luck alone: the forms round to the same bits."""
    x = torch.linspace(-8, 8, 100_001)
    assert torch.equal(x * nn.functional.hardtanh(x + 3, 0, 6) / 6, nn.Hardswish()(x))
    one, other = (chosen_arm("yolov5-ladder", name) for name in ("hardswish", "hardswish-by-hardtanh"))
    assert (one.recipe, one.edits, one.stream) == (other.recipe, other.edits, other.stream)


@pytest.mark.parametrize("attention", ["se", "cbam", "eca", "ca"])
def test_what_activation_and_attention_weigh(attention: str) -> None:
    """FReLU: nine weights, a scale and a shift a channel. SE: C to C / 16 and back, with biases."""
    widths = [module.num_features for module in made("yolov5-ladder", "baseline").model.modules()
              if isinstance(module, nn.BatchNorm2d)]  # fmt: skip
    frelu = 11 * sum(widths)
    assert gained("yolov5-ladder", "frelu") == frelu
    levels, places = (64, 128, 256), 2 * 7 * 7 + 2  # CBAM's gate for places: a 7x7 kernel over two maps, and its norm
    weight = {
        "se": sum(2 * c * (c // 16) + c // 16 + c for c in levels),
        "cbam": sum(2 * c * (c // 16) + places for c in levels),
        "eca": 3 + 5 + 5,  # |log2(C) / 2 + 1 / 2|, made odd
        "ca": sum(3 * c * 8 + 2 * 8 for c in levels),  # three 1x1 convolutions to or from 8 channels, and a norm
    }
    assert gained("yolov5-ladder", f"frelu-{attention}") == frelu + weight[attention]


def test_focal_loss_is_another_recipe_of_the_same_network() -> None:
    assert gained("yolov5-ladder", "frelu-cbam-focal") == gained("yolov5-ladder", "frelu-cbam")
    recipe = chosen_arm("yolov5-ladder", "frelu-cbam-focal").recipe.model_dump()
    assert recipe["loss"]["classification"]["part"] == "focal"


def separated(inputs: int, outputs: int) -> int:
    """What a 3x3 convolution loses: nine weights a pair of channels become nine a channel and one a pair."""
    return 9 * inputs + inputs * outputs - 9 * inputs * outputs


def test_change_net_almost_halves_the_parameters() -> None:
    """By hand, in size n: blocks of 16, 32, 64 and 128 channels in the backbone, of 64, 32, 64 and 128 in the neck."""
    blocks = [16, *2 * [32], *3 * [64], 128, 64, 32, 64, 128]
    stages = sum(separated(c, 2 * c) for c in CHANGED_STAGES)
    assert gained("change_net", "separable") == sum(separated(c, c) for c in blocks) + stages
    stem = gained("change_net", "stem")
    whole = parameters(made("change_net", "baseline").model)
    fewer = [16, 32, 64, 128, 64, 32, 64, 128]
    dropped = sum(c * c + 9 * c * c + 4 * c for c in (32, 64, 64))  # 1x1 and 3x3, each with a norm
    assert gained("change_net", "fewer-blocks") == -dropped
    assert gained("change_net", "change_net") == stem + stages + sum(separated(c, c) for c in fewer) - dropped
    assert 0.5 < 1 + gained("change_net", "change_net") / whole < 0.6
    assert 0.5 < 1 + gained("yolov5-ladder", "change_net") / whole < 0.6  # with FReLU and CBAM


def test_what_fuses_features_stays_as_it_was() -> None:
    convolutions = {
        name
        for name, module in made("change_net", "change_net").model.named_modules()
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3) and module.groups == 1
    }
    assert convolutions == {"backbone.stem.0.conv", "backbone.stem.1.conv", "neck.stride4.conv", "neck.stride5.conv"}


def test_se_stands_inside_every_c3_of_the_backbone() -> None:
    model = made("yolov5-ladder", "change_net-se-inside").model
    assert [name for name, _ in model.named_modules() if name.endswith(".blocks.se")] == [
        f"backbone.stage{n}.1.blocks.se" for n in (2, 3, 4, 5)
    ]


def test_change_net_plans_cleanly() -> None:
    document = plan.plan(study("change_net"), (), Silent(), jobs=1)
    rows = {row["arm"]: row for row in document["arms"]}
    assert list(rows) == ["baseline", "stem", "separable", "fewer-blocks", "concat", "change_net"]
    assert [row["unreached"] for row in rows.values()] == [[]] * 6
    assert rows["change_net"]["flops"] < rows["baseline"]["flops"]
    assert rows["change_net"]["output_shapes"] == rows["baseline"]["output_shapes"]


def test_change_net_trains() -> None:
    """Thirty steps on one batch of scenes: the loss is halved, and every weight has moved."""
    asked = chosen_arm("yolov5-ladder", "change_net")
    task = registry.task("detection")[1](asked.recipe)
    model = build(task, asked, 0).model.train()
    samples = task.data(("studies", 0)).plain
    batch = task.collate([samples[0, i] for i in range(4)])
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    losses = []
    for _ in range(30):
        loss = task.step(model, batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]  # 0.46 was measured
    assert [name for name, parameter in model.named_parameters() if torch.equal(parameter, before[name])] == []
