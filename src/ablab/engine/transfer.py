"""Starting weights: a file's tensors into a network, and what became of each of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from ablab import weights
from ablab.errors import ConfigError, suggest
from ablab.recipe import StartRecipe

Fate = Literal["loaded", "other shape", "not in the network", "constant", "not in the file"]
Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]


@dataclass(frozen=True)
class Row:
    """One tensor: its name in the file and in the network (empty where it is not there), its shapes, its fate."""

    name: str
    target: str
    shape: Shape | None
    expected: Shape | None
    fate: Fate


@dataclass(frozen=True)
class Transfer:
    """What became of every tensor of a file, then what the network has besides.

    `hint` is a rename under which `hint_loads` tensors would load, more than now; empty where none is known.
    """

    where: str
    rows: tuple[Row, ...]
    hint: Mapping[str, str]
    hint_loads: int

    def of(self, fate: Fate) -> list[Row]:
        """The rows with a fate."""
        return [row for row in self.rows if row.fate == fate]

    @property
    def held(self) -> int:
        """How many tensors of the file count: all but constants, which the network has of its own."""
        return len([row for row in self.rows if row.fate not in ("constant", "not in the file")])

    @property
    def share(self) -> float:
        """Share of the file's tensors that found a place, 0..1."""
        return len(self.of("loaded")) / max(self.held, 1)

    def __str__(self) -> str:
        shaped = [f"{row.target} {row.shape}, here {row.expected}" for row in self.of("other shape")]
        said = [
            f"{len(self.of('loaded'))} of {self.held} tensors of {self.where} loaded ({self.share:.1%})",
            _few("of another shape", shaped),
            _few("not in the network", [row.name for row in self.of("not in the network")]),
            _few("not in the file, so as drawn", [row.target for row in self.of("not in the file")]),
        ]
        if self.hint:
            pairs = ", ".join(f"'{old}': '{new}'" for old, new in self.hint.items())
            said.append(f"the names differ by a prefix: start.rename: {{{pairs}}} would load {self.hint_loads}")
        return "; ".join(filter(None, said))


def transfer(model: nn.Module, found: weights.Weights, start: StartRecipe) -> Transfer:
    """Load what fits by name and shape into the network, in place, in the network's own precision.

    Raises ConfigError where less than `start.least` of the file finds a place, naming what did not and the rename that
    would help; where a `rename` matches nothing or maps two tensors to one; and for NaN in a tensor that would load.
    """
    made = match(model, found, start.rename)
    if made.share < start.least or not made.of("loaded"):
        raise ConfigError(
            f"start: only {made}. start.least wants {start.least:.0%}: name the file of this network, map its names "
            "with start.rename, or lower start.least"
        )
    rows = made.of("loaded")
    weights.refuse_nan({row.name: found.tensors[row.name] for row in rows}, found.path)
    own = model.state_dict()
    with torch.no_grad():
        for row in rows:
            own[row.target].copy_(found.tensors[row.name])
    return made


def match(model: nn.Module, found: weights.Weights, rename: Mapping[str, str]) -> Transfer:
    """What would become of each tensor; nothing is loaded. Raises ConfigError for a `rename` that cannot be meant."""
    given: dict[str, Shape] = {name: tuple(tensor.shape) for name, tensor in found.tensors.items()}
    own: dict[str, Shape] = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    for old in rename:
        if not any(name.startswith(old) for name in given):
            heads = {name[: name.find(".") + 1] for name in given if "." in name}
            raise ConfigError(f"start.rename: no tensor of {found.path} begins with '{old}'{suggest(old, heads)}")
    constants = _constants(model)
    rows = _rows(given, own, rename, constants, str(found.path))
    return Transfer(str(found.path), tuple(rows), *_hint(given, own, rename, rows, constants))


def _constants(model: nn.Module) -> set[str]:
    """Names of the buffers that modules declare as `constants` (anchors, an image's mean): no file replaces them."""
    return {
        f"{name}.{buffer}" if name else buffer
        for name, module in model.named_modules()
        for buffer in getattr(module, "constants", ())
    }


def _rows(given: Shapes, own: Shapes, rename: Mapping[str, str], constants: set[str], where: str) -> list[Row]:
    targets: dict[str, str] = {}
    for name in given:
        target = _renamed(name, rename)
        if target in targets:
            raise ConfigError(f"start.rename maps both '{targets[target]}' and '{name}' of {where} to '{target}'")
        targets[target] = name
    rows = [_row(name, given[name], target, own, constants) for target, name in targets.items()]
    rest = [name for name in own if name not in targets and name not in constants]
    return rows + [Row("", name, None, own[name], "not in the file") for name in rest]


def _row(name: str, shape: Shape, target: str, own: Shapes, constants: set[str]) -> Row:
    if target not in own:
        return Row(name, "", shape, None, "not in the network")
    fate: Fate = "constant" if target in constants else "loaded" if shape == own[target] else "other shape"
    return Row(name, target, shape, own[target], fate)


def _renamed(name: str, rename: Mapping[str, str]) -> str:
    """The name in the network: of the prefixes that match, the longest counts."""
    old = max((prefix for prefix in rename if name.startswith(prefix)), key=len, default=None)
    return name if old is None else rename[old] + name.removeprefix(old)


def _hint(
    given: Shapes, own: Shapes, rename: Mapping[str, str], rows: Sequence[Row], constants: set[str]
) -> tuple[dict[str, str], int]:
    """One more rename of a prefix under which at least a tenth of the file more would load, and how many would.

    Names that end alike and have one shape vote for what stands before; the pair that loads most is taken.
    """
    tails: dict[tuple[str, Shape], list[str]] = defaultdict(list)
    for name, shape in own.items():
        for head, tail in _splits(name):
            tails[tail, shape].append(head)
    votes: Counter[tuple[str, str]] = Counter()
    for name in (row.name for row in rows if row.fate == "not in the network"):
        known = [(head, tails[tail, given[name]]) for head, tail in _splits(name) if (tail, given[name]) in tails]
        votes.update((head, new) for head, heads in known[:1] for new in heads[:8])
    now = sum(row.fate == "loaded" for row in rows)
    best: dict[str, str] = {}
    most = now + max(len(given) // 10, 2) - 1
    for (old, new), _ in votes.most_common(5):
        tried = {**rename, old: new}
        targets = [(name, _renamed(name, tried)) for name in given]
        loads = sum(own.get(target) == given[name] and target not in constants for name, target in targets)
        if len({target for _, target in targets}) == len(targets) and loads > most:
            best, most = {old: new}, loads
    return best, most if best else now


def _splits(name: str) -> list[tuple[str, str]]:
    """`a.b.c` -> ('', 'a.b.c'), ('a.', 'b.c'), ('a.b.', 'c')"""
    steps = name.split(".")
    return [("".join(f"{step}." for step in steps[:i]), ".".join(steps[i:])) for i in range(len(steps))]


def _few(what: str, names: Sequence[str], most: int = 2) -> str:
    shown = ", ".join([*names[:most], *(["..."] if len(names) > most else [])])
    return f"{len(names)} {what}: {shown}" if names else ""


def as_rows(made: Transfer) -> list[dict[str, Any]]:
    """The rows as plain data."""
    return [vars(row) for row in made.rows]
