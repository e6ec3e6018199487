"""What there is to read about a part, taken from its registration and its docstring."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import Any

from ablab.registry import Entry

TRAITS = {
    "carry": "op: convert takes the weights of what stood there over",
    "flat_when_disjoint": "boxes that do not touch get no gradient",
    "needs_area": "refuses a map of one place",
    "maps": "works on maps with their channels on axis 1: refused where they are on the last",
    "one_group": "takes one group of parameters only",
    "over_classes": "sets the classes of a place against one another: refused for objectness",
    "strides": "serves these strides only: {}",
}
USES = {
    "activation": "edits: [{{op: replace, of: silu, part: {}}}]",
    "attention": "edits: [{{op: insert, after: backbone.out, part: {}}}]",
    "norm": "edits: [{{op: convert, of: bn, part: {}}}]",
    "conv": 'edits: [{{op: replace, of: "**.blocks.*.expand.conv", part: {}}}]',
    "upsample": "edits: [{{op: replace, of: neck.up, part: {}}}]",
    "dropout": "edits: [{{op: insert, after: backbone.out, part: {}}}]",
    "initialisation": "edits: [{{op: convert, of: Conv2d, part: {}}}]",
    "wrapper": 'edits: [{{op: wrap, of: "**.blocks.*.expand.conv", part: {}}}]',
    "backbone": "set: {{model.backbone: {}}}",
    "box_loss": "set: {{loss.box: {}}}",
    "class_loss": "set: {{loss.classification: {}}}",
    "distribution_loss": "set: {{loss.distribution: {}}}",
    "assigner": "set: {{loss.assigner: {}}}",
    "augmentation": "set: {{augment.extra: [{}]}}",
    "optimizer": "set: {{optimizer.name: {}}}",
    "sampler": "set: {{data.sampler: {}}}",
}


@dataclass(frozen=True)
class Argument:
    """One argument: its default as written, other values that are known, and the fact of the site that fills it."""

    name: str
    default: str | None
    others: tuple[str, ...] = ()
    host: str = ""


@dataclass(frozen=True)
class Card:
    """A part in words: `line` is one sentence, `text` all that its author says of it, `use` how a change names it."""

    slot: str
    name: str
    line: str
    text: str
    paper: str
    arguments: tuple[Argument, ...]
    traits: tuple[str, ...]
    use: str


def card(entry: Entry) -> Card:
    """The card of a part; `line` is empty where neither a docstring nor the trait `note` says anything."""
    text = entry.traits.get("note") or _documented(entry)
    traits = tuple(TRAITS[name].format(value) for name, value in entry.traits.items() if name in TRAITS and value)
    known = entry.traits.get("alternatives", {})
    arguments = tuple(
        Argument(
            name,
            None if parameter.default is inspect.Parameter.empty else _value(parameter.default),
            tuple(map(_value, known.get(name, ()))),
            entry.host.get(name, ""),
        )
        for name, parameter in entry.arguments.items()
    )
    use = USES.get(entry.slot, "").format(entry.name)
    return Card(entry.slot, entry.name, _line(text), text, entry.paper, arguments, traits, use)


def _documented(entry: Entry) -> str:
    """The part's own docstring: not one that it inherits, and none that dataclass wrote."""
    text = inspect.cleandoc(getattr(entry.build, "__doc__", None) or "")
    return "" if text.startswith(f"{getattr(entry.build, '__name__', '')}(") else text


def _line(text: str) -> str:
    """The first sentence, without the shapes that stand two blanks behind it."""
    first = " ".join(line.strip() for line in re.split(r"\n\s*\n", text)[0].splitlines())
    first = re.split(r"(?<=\.)\s(?=[A-Z`])|\s\s(?=\(|->)|\s(?=\([^()]*\)(?:, \([^()]*\))* ->)", first + " ")[0]
    return " ".join(first.split())


def _value(value: Any) -> str:
    """A default as one would write it."""
    if isinstance(value, type) or callable(value):
        return str(getattr(value, "__name__", value))
    return repr(value)
