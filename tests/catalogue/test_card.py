"""What the catalogue says of a part, and that it has something to say of every one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ablab import registry, surgery
from ablab.catalogue import Argument, card
from ablab.catalogue.card import TRAITS, USES
from ablab.config import override, parse_yaml
from ablab.recipe import Change
from ablab.registry import Entry
from ablab.surgery import contract

PARTS = [(slot, name) for slot in registry.SLOTS for name in registry.names(slot)]


@pytest.mark.parametrize(("slot", "name"), PARTS, ids=["/".join(part) for part in PARTS])
def test_every_part_says_in_one_line_what_it_is(slot: str, name: str) -> None:
    entry = registry.get(name, slot)
    assert entry.build.__module__.startswith("ablab.") or entry.traits.get("note"), "torch's words are not ours"
    told = card(entry)
    assert 8 <= len(told.line) <= 160
    assert "(B, C, H, W)" not in told.line
    assert " ".join(told.text.split()).startswith(told.line)
    assert entry.paper == "" or entry.paper.startswith("https://")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x * tanh(exp(x)).  (*) -> (*)\n\nMore.", "x * tanh(exp(x))."),
        ("Each channel\ntimes a gate.  (B, C, H, W) -> (B, C, H, W)", "Each channel times a gate."),
        ("Sampling (Gupta et al. 2019, section 3.3).\n", "Sampling (Gupta et al. 2019, section 3.3)."),
        ("max(x, 0). A unit may die.", "max(x, 0)."),
        ("v = m v + g;  w -= lr v.", "v = m v + g; w -= lr v."),
    ],
)
def test_the_line_is_the_first_sentence_without_shapes(text: str, line: str) -> None:
    assert card(Entry("activation", "x", nn.ReLU, traits={"note": text})).line == line


def test_a_part_that_says_nothing_has_an_empty_line() -> None:
    class Silent(nn.Module):
        pass

    assert card(Entry("activation", "silent", Silent)).line == ""


def test_arguments_with_defaults_other_values_and_who_fills_them_in() -> None:
    told = card(registry.get("attention/cbam"))
    assert told.arguments == (
        Argument("channels", None, (), "channels"),
        Argument("reduction", "16"),
        Argument("kernel_size", "7"),
        Argument("fuse", "'multiply'", ("'add'",)),
    )
    assert card(registry.get("box_loss/iou")).traits == (TRAITS["flat_when_disjoint"],)
    assert card(registry.get("activation/prelu")).traits == (TRAITS["carry"],)


def test_every_slot_has_words_for_how_it_is_called() -> None:
    assert set(contract.CALLS) == set(contract.PROMISES) == set(registry.SLOTS)
    assert set(USES) == set(registry.SLOTS)


USED = {"upsample": "transposed", "wrapper": "residual"}


@pytest.mark.parametrize("slot", USES)
def test_the_use_that_a_card_offers_works_on_the_detector(slot: str) -> None:
    recipe = registry.task_recipe("detection")()
    use = card(registry.get(USED.get(slot, registry.names(slot)[0]), slot)).use
    change = Change(name="used", **parse_yaml(use, "use"))
    if change.set:
        assert override(recipe, change.set, "use") != recipe or "ciou" in use or "bce" in use
        return
    model = registry.task("detection")[1](recipe).build()
    _, report = surgery.apply(model, list(change.edits), example=torch.rand(1, 3, 64, 64))
    assert report.sites
