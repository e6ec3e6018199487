"""Stochastic weight averaging, against torch.optim.swa_utils and by hand."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import teamwork
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import Images, Tiny, fresh, recipe
from torch import nn
from torch.optim import swa_utils

from ablab.config import override, parse
from ablab.engine import swa
from ablab.engine.evaluate import evaluate, score
from ablab.engine.events import Silent
from ablab.engine.fit import Fitted, fit
from ablab.engine.snapshot import Snapshots
from ablab.errors import ConfigError
from ablab.recipe import Recipe, TrainRecipe
from ablab.study.executors.ranks import together

KEY = ("study", 0)


def train(**settings: Any) -> TrainRecipe:
    return parse(TrainRecipe, {"ema": None, "checkpoint": "swa", "swa": {}} | settings, "train")


def averaging(**settings: Any) -> Recipe:
    given = recipe(**{"ema": None, "checkpoint": "swa", "epochs": 8, "swa": {"share": 0.5}} | settings)
    return override(given, {"optimizer": {"name": "sgd", "lr": 0.1}, "schedule": {"name": "linear", "warmup": 0}})


def run(given: Recipe, model: nn.Module | None = None, **options: Any) -> Fitted:
    task = Tiny(given)
    return fit(task, model or fresh(), task.data(KEY), given, key=KEY, **options)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, dict[str, torch.Tensor]]]:
    """(epoch, weights) after each epoch of a training."""
    found: list[tuple[int, dict[str, torch.Tensor]]] = []
    update = swa.SWA.update

    def watched(self: swa.SWA, epochs: int) -> None:
        found.append((epochs, copy.deepcopy(dict(self.model.named_parameters()))))
        update(self, epochs)

    monkeypatch.setattr(swa.SWA, "update", watched)
    return found


def test_the_rate_by_hand() -> None:
    """Eight epochs of two steps, the last four averaged; cycles of two epochs are four steps from 0.8 to 0.1."""
    settings = train(epochs=8, swa={"share": 0.5, "rate": 0.8, "cycle": 2, "final": 0.1})
    found = [swa.factor(step, 2, settings) for step in range(16)]
    assert found[:8] == [None] * 8
    assert found[8:12] == found[12:] == pytest.approx([0.625, 0.45, 0.275, 0.1])
    constant = train(epochs=8, swa={"share": 0.25, "rate": 0.3})
    assert [swa.factor(step, 2, constant) for step in range(16)] == [None] * 12 + [0.3] * 4
    assert swa.factor(0, 2, TrainRecipe()) is None


def test_the_constant_rate_is_torchs_swalr_after_its_annealing() -> None:
    made = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.2)
    scheduler = swa_utils.SWALR(made, swa_lr=0.06, anneal_epochs=1)
    for _ in range(3):
        made.step()
        scheduler.step()
        assert made.param_groups[0]["lr"] == pytest.approx(0.2 * swa.factor(19, 1, train(swa={"rate": 0.3})))


@given(st.integers(2, 60), st.floats(0.05, 0.9), st.integers(1, 5), st.integers(1, 7))
def test_every_cycle_ends_at_the_last_rate_and_is_taken(epochs: int, share: float, cycle: int, per: int) -> None:
    try:
        settings = train(epochs=epochs, swa={"share": share, "cycle": cycle})
    except ConfigError:
        return
    rates = [swa.factor(step, per, settings) for step in range(epochs * per)]
    mean = swa.SWA(nn.Linear(1, 1), settings)
    for epoch in range(1, epochs + 1):
        before = mean.count
        mean.update(epoch)
        ends = rates[epoch * per - 1] == pytest.approx(0.01)
        assert mean.count - before == ends
    assert mean.count == settings.swa_epochs / cycle >= 2
    assert rates[-1] == pytest.approx(0.01)


@pytest.mark.parametrize(("cycle", "epochs"), [(None, [5, 6, 7, 8]), (2, [6, 8])])
def test_the_weights_are_the_mean_over_the_ends_of_cycles(taken: Any, cycle: int | None, epochs: list[int]) -> None:
    fitted = run(averaging(swa={"share": 0.5, "rate": 0.4, "cycle": cycle}))
    assert [epoch for epoch, _ in taken] == list(range(1, 9))
    for name, parameter in fitted.model.named_parameters():
        mean = torch.stack([weights[name] for epoch, weights in taken if epoch in epochs]).mean(0)
        torch.testing.assert_close(parameter, mean, rtol=1e-5, atol=1e-7)
    rates = [row["lr"] for row in fitted.curves]
    assert rates[4:] == pytest.approx([0.04] * 4 if cycle is None else [0.0205, 0.001] * 2)
    assert fitted.epoch == 8


def test_the_norms_statistics_are_torchs_update_bn_over_plain_images() -> None:
    """The split without augmentation, in training's batches; only the last one is of another size."""
    fitted = run(averaging())
    images = Images("train", 36)
    pixels = torch.stack([torch.from_numpy(images[0, i]["image"]) for i in range(36)]).permute(0, 3, 1, 2).float() / 255
    theirs = copy.deepcopy(fitted.model)
    theirs[1].reset_running_stats()
    swa_utils.update_bn(pixels.split(8), theirs)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(fitted.model.state_dict()[name], value, rtol=1e-5, atol=1e-7)
    assert fitted.model[1].momentum == 0.1
    assert not any(module.training for module in fitted.model.modules())


def test_without_the_statistics_it_would_be_another_network(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = run(averaging())
    monkeypatch.setattr(swa.SWA, "refresh", lambda *_: None)
    stale = run(averaging())
    assert torch.equal(fitted.model[0].weight, stale.model[0].weight)
    assert not torch.allclose(fitted.model[1].running_mean, stale.model[1].running_mean, rtol=1e-3)


def test_norms_of_frozen_layers_stand_still() -> None:
    before = fresh()
    fitted = run(averaging(freeze=["0.*", "1.*"]))
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        assert torch.equal(getattr(fitted.model[1], name), getattr(before[1], name))


def test_a_last_batch_of_one_is_left_out_of_the_statistics() -> None:
    class Wide(nn.Sequential):
        """Its norm sees one number a channel and sample."""

        def __init__(self) -> None:
            super().__init__(nn.Flatten(), nn.Linear(432, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))

    task = Tiny(averaging(epochs=4), count=33)
    fitted = fit(task, Wide(), task.data(KEY), task.recipe, key=KEY)
    assert fitted.model[2].num_batches_tracked == 4


def test_validation_watches_the_average_as_soon_as_there_is_one() -> None:
    """The last epoch's score is the one of the network that comes out."""
    given = averaging(validate_every=1)
    task = Tiny(given)
    splits = task.data(KEY)
    fitted = fit(task, fresh(), splits, given, key=KEY, metric="accuracy")
    found = [row["validation/accuracy"] for row in fitted.curves]
    assert len(found) == 8
    assert found[-1] == score(task, evaluate(task, fitted.model, splits.validation, given))["accuracy"]
    unwatched = run(averaging())
    pairs = zip(fitted.model.state_dict().values(), unwatched.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"swa": None}, "checkpoint 'swa' and the section swa want each other"),
        ({"checkpoint": "last"}, "checkpoint 'swa' and the section swa want each other"),
        ({"ema": {}}, "makes no use of ema: set ema to null"),
        ({"early_stopping": {}, "validate_every": 1}, "early_stopping would end the training before swa is done"),
        ({"epochs": 4}, "two or more whole cycles of 1 epochs, and its share of 4 epochs is 1"),
        ({"swa": {"cycle": 2}}, "whole cycles of 2 epochs, and its share of 20 epochs is 5"),
        ({"swa": {"final": 0.1}}, "swa.final is where a cycle ends, and there is no swa.cycle"),
        ({"swa": {"cycle": 1, "rate": 0.2, "final": 0.2}}, "from swa.rate 0.2 to swa.final 0.2: final must be less"),
    ],
)
def test_what_would_do_nothing_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        train(**settings)


def test_one_that_goes_on_from_its_very_end_has_the_same_statistics(tmp_path: Path) -> None:
    """No epoch is left to let go what was frozen; its norms must be let go all the same. Dropout before them draws."""
    given = averaging(freeze=["1.*", "2.*"], unfreeze={2: ["*"]})
    first, second = (
        run(given, nn.Sequential(nn.Dropout(0.2), *fresh()), snapshots=Snapshots(tmp_path / "s", every=0.0))
        for _ in range(2)
    )
    assert second.earlier_seconds > 0
    assert first.model[2].num_batches_tracked == 5
    pairs = zip(first.model.state_dict().values(), second.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_two_processes_average_as_one_does() -> None:
    options = {"epochs": 4, "checkpoint": "swa", "swa": {"share": 0.5}, "validate_every": 2}
    alone = teamwork.train(teamwork.asked(1, **options), "plain", None, Silent())
    given = teamwork.asked(2, **options)
    team = together(teamwork.train, (given, "plain", None), given.train, Silent())
    for name, weight in alone["weights"].items():
        np.testing.assert_allclose(team["weights"][name], weight, atol=1e-6)
    assert team["accuracy"] == alone["accuracy"]
