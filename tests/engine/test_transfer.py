"""Starting weights: where each tensor goes, by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ablab.engine.transfer import match, transfer
from ablab.errors import ConfigError
from ablab.measure.seeding import forked
from ablab.recipe import StartRecipe
from ablab.weights import Weights


class Network(nn.Module):
    """A stem, ten layers and a head."""

    constants = ("anchors",)

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.stem = nn.Linear(4, 8)
        self.body = nn.Sequential(*(nn.Linear(8, 8, bias=False) for _ in range(10)))
        self.head = nn.Linear(8, classes)
        self.register_buffer("anchors", torch.arange(3.0))


def network(key: str = "here", classes: int = 3) -> Network:
    with forked(key):
        return Network(classes)


def file(tensors: dict[str, Tensor] | nn.Module) -> Weights:
    state = dict(tensors.state_dict()) if isinstance(tensors, nn.Module) else tensors
    return Weights(Path("w.pt"), "torch", state)


def start(least: float = 0.5, **rename: str) -> StartRecipe:
    return StartRecipe(weights="w.pt", least=least, rename=rename)


def fates(made: object) -> dict[str, str]:
    return {row.name or row.target: row.fate for row in made.rows}  # type: ignore[attr-defined]


def test_what_fits_is_loaded_to_the_bit() -> None:
    here, there = network(), network("there")
    made = transfer(here, file(there), start())
    assert made.share == 1.0
    assert all(torch.equal(here.state_dict()[name], tensor) for name, tensor in there.state_dict().items())
    assert str(made) == "14 of 14 tensors of w.pt loaded (100.0%)"


def test_every_fate_by_hand() -> None:
    here, there = network(), network("there", classes=5)
    before = here.head.weight.clone()
    there.anchors += 7
    tensors = dict(there.state_dict()) | {"extra": torch.ones(1)}
    del tensors["stem.bias"]
    made = transfer(here, file(tensors), start())
    expected = {f"body.{i}.weight": "loaded" for i in range(10)} | {
        "stem.weight": "loaded",
        "head.weight": "other shape",
        "head.bias": "other shape",
        "extra": "not in the network",
        "anchors": "constant",
        "stem.bias": "not in the file",
    }
    assert fates(made) == expected
    assert made.share == 11 / 14  # all of the file but the anchors
    assert torch.equal(here.head.weight, before)
    assert torch.equal(here.anchors, torch.arange(3.0))
    assert str(made) == (
        "11 of 14 tensors of w.pt loaded (78.6%); 2 of another shape: head.weight (5, 8), here (3, 8), head.bias (5,), "
        "here (3,); 1 not in the network: extra; 1 not in the file, so as drawn: stem.bias"
    )


def test_the_longest_prefix_of_a_rename_counts() -> None:
    there = network("there")
    renamed = {
        name.replace("body.", "model.1.").replace("stem.", "model.0."): tensor
        for name, tensor in there.state_dict().items()
    }
    here = network()
    made = transfer(here, file(renamed), start(**{"model.": "nowhere.", "model.0.": "stem.", "model.1.": "body."}))
    assert made.share == 1.0
    assert torch.equal(here.stem.weight, there.stem.weight)
    assert torch.equal(here.body[9].weight, there.body[9].weight)


def test_a_rename_that_does_nothing_or_collides_is_refused() -> None:
    there = file(network("there"))
    with pytest.raises(ConfigError, match=r"no tensor of w.pt begins with 'sten.'; did you mean 'stem.'"):
        transfer(network(), there, start(**{"sten.": "stem."}))
    with pytest.raises(ConfigError, match=r"maps both 'body.0.weight' and 'body.1.weight' of w.pt to 'body.1.weight'"):
        transfer(network(), there, start(**{"body.0.": "body.1."}))


@pytest.mark.parametrize(("theirs", "ours"), [("model.", ""), ("", "net."), ("a.b.", "net.body.")])
def test_a_prefix_that_differs_is_found_and_said_and_not_applied(theirs: str, ours: str) -> None:
    there = network("there").state_dict()
    del there["anchors"]
    here: nn.Module = network()
    for name in reversed(ours.split(".")[:-1]):
        outer = nn.Module()
        outer.add_module(name, here)
        here = outer
    made = match(here, file({theirs + name: tensor for name, tensor in there.items()}), {})
    assert made.share == 0
    assert made.hint == {theirs: ours}
    assert made.hint_loads == 14
    with pytest.raises(ConfigError) as caught:
        transfer(here, file({theirs + name: tensor for name, tensor in there.items()}), start())
    assert f"start.rename: {{'{theirs}': '{ours}'}} would load 14" in str(caught.value)
    assert match(here, file({theirs + name: t for name, t in there.items()}), made.hint).share == 1.0


def test_a_hint_stands_beside_the_renames_that_there_are() -> None:
    there = network("there").state_dict()
    names = {name: ("x." + name if name.startswith("body") else "y." + name) for name in there}
    made = match(network(), file({names[name]: tensor for name, tensor in there.items()}), {"y.": ""})
    assert made.hint == {"x.": ""}
    assert made.hint_loads == 14


def test_no_hint_where_names_have_nothing_in_common() -> None:
    made = match(network(), file({"p": torch.ones(4), "q": torch.ones(8, 8)}), {})
    assert (made.hint, made.hint_loads) == ({}, 0)
    assert match(network(), file(network("there")), {}).hint == {}


def test_too_little_is_an_error_that_shows_the_misses_and_loads_nothing() -> None:
    here = network()
    before = {name: tensor.clone() for name, tensor in here.state_dict().items()}
    few = {"stem.weight": torch.ones(8, 4), **{f"other.{i}": torch.ones(2) for i in range(9)}}
    with pytest.raises(
        ConfigError,
        match=r"only 1 of 10 tensors of w.pt loaded \(10.0%\); 9 not in the network: other.0, other.1, .*wants 50%",
    ):
        transfer(here, file(few), start())
    assert all(torch.equal(tensor, before[name]) for name, tensor in here.state_dict().items())
    assert transfer(here, file(few), start(least=0.1)).share == 0.1


def test_nothing_at_all_is_an_error_whatever_least_says() -> None:
    with pytest.raises(ConfigError, match="only 0 of 1 tensors"):
        transfer(network(), file({"other": torch.ones(2)}), start(least=0.0))


def test_nan_is_refused_where_it_would_be_loaded() -> None:
    tensors = dict(network("there").state_dict())
    tensors["unused"] = torch.tensor([torch.nan])
    transfer(network(), file(tensors), start())
    tensors["stem.bias"] = torch.full((8,), torch.nan)
    with pytest.raises(ConfigError, match=r"w.pt: NaN or inf in: stem.bias;"):
        transfer(network(), file(tensors), start())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_another_precision_is_cast_to_the_networks_own(dtype: torch.dtype) -> None:
    there = {name: tensor.to(dtype) for name, tensor in network("there").state_dict().items()}
    here = network()
    transfer(here, file(there), start())
    assert here.stem.weight.dtype == torch.float32
    assert torch.equal(here.stem.weight, there["stem.weight"].float())
