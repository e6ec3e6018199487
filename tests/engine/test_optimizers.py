"""Every optimizer of the slot in the loop: what it is given, what it refuses, what a snapshot keeps of it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import teamwork
import torch
from safetensors.torch import load, save
from tiny import Tiny, fresh, recipe
from torch import nn

from ablab import registry
from ablab.config import override
from ablab.engine.events import Silent
from ablab.engine.fit import Fitted, fit
from ablab.engine.optim import check, optimizer, restore, searches, state
from ablab.errors import ConfigError, UnknownName
from ablab.recipe import OptimizerRecipe, TrainRecipe
from ablab.study.executors.ranks import together

NAMES = registry.names("optimizer")
KEY = ("study", 0)


def network() -> nn.Module:
    """With a scalar of its own, and a part that is frozen at first."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.PReLU(1), nn.Flatten(), nn.Linear(16, 2))
    return model.to(memory_format=torch.channels_last)


def named(name: str, **given: Any) -> OptimizerRecipe:
    given = {"lr": 0.01, "weight_decay": 0.1} | given
    if name == "lbfgs":
        given |= {"weight_decay": 0, "args": {"max_iter": 3} | given.get("args", {})}
    return OptimizerRecipe(name=name, **given)


def step(model: nn.Module, made: torch.optim.Optimizer, number: int) -> None:
    x = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(number))

    def closure() -> torch.Tensor:
        made.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        return loss

    made.step(closure)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_of_it_goes_on_to_the_same_bits(name: str, late: bool) -> None:
    """Through the bytes of a file, as a snapshot does; also where a part is let go only after some steps."""
    first = network()
    one = optimizer(first, named(name))
    first[0].requires_grad_(not late)
    for number in range(12):
        step(first, one, number)
    second = copy.deepcopy(first)
    other = optimizer(second.requires_grad_(), named(name))
    tensors, plain = state(one, first)
    bytes_ = save({key: value.contiguous() for key, value in tensors.items()})
    restore(other, second, load(bytes_), json.loads(json.dumps(plain)))
    for model, made in ((first, one), (second, other)):
        model.requires_grad_()
        for number in range(12, 15):
            step(model, made, number)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    again = state(other, second)
    assert again[1] == state(one, first)[1]
    assert all(torch.equal(value, again[0][key]) for key, value in state(one, first)[0].items())


@pytest.mark.parametrize("name", NAMES)
def test_forgetting_is_noticed(name: str) -> None:
    """The test above would pass if nothing were remembered: without its memory each goes elsewhere."""
    first = network()
    one = optimizer(first, named(name))
    for number in range(3):
        step(first, one, number)
    second = copy.deepcopy(first)
    other = optimizer(second, named(name))
    for model, made in ((first, one), (second, other)):
        step(model, made, 3)
    assert not all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "lbfgs"])
def test_each_group_has_its_rate_and_decay(name: str) -> None:
    """Half the rate by `rates`, and no decay on what has one dimension."""
    made = optimizer(network(), named(name, rates={"4.*": 0.5}))
    found = {(group["factor"], group["weight_decay"]) for group in made.param_groups}
    assert found == {(1.0, 0.1), (1.0, 0.0), (0.5, 0.1), (0.5, 0.0)}


def test_what_it_is_given_arrives() -> None:
    made = optimizer(network(), named("adamw", momentum=0.8, args={"beta2": 0.99, "eps": 1e-6, "amsgrad": True}))
    assert made.defaults | {"betas": (0.8, 0.99), "eps": 1e-6, "amsgrad": True, "lr": 0.01} == made.defaults
    assert optimizer(network(), named("adamw")).defaults["betas"] == (0.9, 0.999)
    assert optimizer(network(), named("rmsprop")).defaults["momentum"] == 0
    assert optimizer(network(), named("sgd", args={"nesterov": False})).defaults["nesterov"] is False
    assert optimizer(network(), named("sgd", momentum=0)).defaults["momentum"] == 0


def test_one_from_elsewhere_by_import_string() -> None:
    made = optimizer(network(), named("torch.optim:RAdam", args={"betas": [0.8, 0.99]}))
    assert isinstance(made, torch.optim.RAdam)
    assert {group["weight_decay"] for group in made.param_groups} == {0.1, 0.0}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": "adagrad", "momentum": 0.9}, "'adagrad' has no momentum: set optimizer.momentum to null"),
        ({"name": "lbfgs"}, "'lbfgs' has no weight_decay: set optimizer.weight_decay to 0"),
        ({"name": "lbfgs", "weight_decay": 0, "rates": {"4.*": 0.5}}, "lbfgs moves all parameters by one rate"),
        ({"name": "lion", "args": {"beta_2": 0.9}}, "'lion' takes no 'beta_2'; did you mean 'beta2'"),
        ({"name": "lion", "args": {"lr": 0.1}}, "optimizer.args.lr: write it as optimizer.lr"),
        ({"name": "lion", "args": {"params": 0.1}}, "'lion' takes no 'params'"),
        ({"name": "adam", "args": {"beta2": 1.5}}, "optimizer 'adam' cannot be built from the recipe: .*beta"),
        ({"name": "torch.optim:RAdam", "momentum": 0.9}, "'torch.optim:RAdam' has no momentum"),
    ],
)
def test_what_it_makes_no_use_of_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        optimizer(network(), OptimizerRecipe(**given))


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="unknown optimizer 'adamW2'; did you mean 'adamw'"):
        optimizer(network(), OptimizerRecipe(name="adamW2"))


def test_only_lbfgs_searches() -> None:
    assert [name for name in NAMES if searches(optimizer(network(), named(name)))] == ["lbfgs"]
    assert searches(torch.optim.LBFGS(network().parameters()))


def train(optimizer: dict[str, Any], model: nn.Module | None = None, **settings: Any) -> Fitted:
    task = Tiny(override(recipe(**settings), {"optimizer": optimizer}))
    return fit(task, model or fresh(), task.data(KEY), task.recipe, key=KEY)


RATES = {"adagrad": 0.05, "sgd": 0.05, "lion": 0.002, "lamb": 0.02}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "lbfgs"])
def test_each_trains_a_network(name: str) -> None:
    fitted = train({"name": name, "lr": RATES.get(name, 0.01)}, epochs=8)
    losses = [row["loss"] for row in fitted.curves]
    assert losses[-1] < 0.9 * losses[0], losses


@pytest.mark.parametrize("name", [name for name in NAMES if name != "lbfgs"])
def test_each_trains_in_half_precision_with_a_scaler(name: str) -> None:
    """The scaler unscales gradients and may skip steps; the first ones are skipped where the scale is too large."""
    fitted = train({"name": name, "lr": RATES.get(name, 0.01)}, epochs=6, precision="fp16")
    losses = [row["loss"] for row in fitted.curves]
    assert losses[-1] < losses[0], losses


LBFGS = {"name": "lbfgs", "lr": 1.0, "weight_decay": 0, "args": {"max_iter": 4}}
FREE = {"clip_norm": None, "batch": 36}


def test_lbfgs_trains_on_the_whole_set_in_few_steps() -> None:
    fitted = train(LBFGS, epochs=6, ema=None, checkpoint="last", **FREE)
    losses = [row["loss"] for row in fitted.curves]
    assert fitted.steps == 6
    assert losses[-1] < 0.7 * losses[0], losses


def test_lbfgs_evaluates_a_group_of_batches_and_counts_the_first_evaluation_alone() -> None:
    """Running statistics move once a step, though the line search goes through the network several times."""
    seen = []

    class Counting(Tiny):
        def step(self, model: nn.Module, batch: dict[str, Any]) -> Any:
            seen.append(tuple(batch["ids"]))
            return super().step(model, batch)

    given = recipe(epochs=1, accumulate=3, ema=None, checkpoint="last", clip_norm=None, batch=12)
    task = Counting(override(given, {"optimizer": LBFGS}))
    fitted = fit(task, fresh(), task.data(KEY), task.recipe, key=KEY)
    assert fitted.steps == 1
    assert len(seen) > 3
    assert len(seen) % 3 == 0
    assert seen[:3] * (len(seen) // 3) == seen
    plain = train({"name": "sgd", "lr": 1e-12}, epochs=1, accumulate=3, ema=None, checkpoint="last", batch=12)
    assert fitted.curves[0]["loss"] == plain.curves[0]["loss"]
    assert fitted.model[1].num_batches_tracked == plain.model[1].num_batches_tracked == 3
    assert torch.equal(fitted.model[1].running_mean, plain.model[1].running_mean)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "clipping would falsify: set train.clip_norm and train.clip_value to null"),
        ({"clip_norm": None, "clip_value": 1.0}, "clipping would falsify"),
        ({"clip_norm": None, "precision": "fp16"}, "fp16's loss scaling cannot: use bf16 or fp32"),
    ],
)
def test_lbfgs_refuses_what_would_not_be_lbfgs(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        train(LBFGS, **settings)
    check(optimizer(network(), OptimizerRecipe()), TrainRecipe())


def test_two_processes_search_as_one_does() -> None:
    """They decide by the loss over both shares, so neither waits for an evaluation that the other leaves out."""
    options = {"clip_norm": None, "batch": 36, "epochs": 3}
    alone = teamwork.train(teamwork.asked(1, {"optimizer": LBFGS}, **options), "plain", None, Silent())
    given = teamwork.asked(2, {"optimizer": LBFGS}, **options)
    team = together(teamwork.train, (given, "plain", None), given.train, Silent())
    assert team["losses"] == pytest.approx(alone["losses"], rel=1e-3)
    assert team["losses"][-1] < 0.9 * team["losses"][0]
