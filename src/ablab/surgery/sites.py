"""From selected modules to sites: one part for each place that a module is called from."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from ablab.errors import SurgeryError
from ablab.surgery.probe import Call
from ablab.surgery.select import named
from ablab.surgery.structure import has_state

Calls = Mapping[int, list[Call]]


@dataclass(frozen=True, eq=False)
class Site:
    """A module to operate on, as one owner uses it.

    `uses` holds the calls that one part will serve, a list a part: several where the owner calls the module several
    times in one forward. `places` are the names under which the owner knows it.
    """

    old: nn.Module
    owner: nn.Module | None
    places: tuple[str, ...]
    uses: tuple[tuple[Call, ...], ...]

    @property
    def names(self) -> list[str]:
        """A name for each part."""
        split = len(self.uses) > 1
        return [f"{self.places[0]}.{n}" if split else self.places[0] for n in range(len(self.uses))]


def find_sites(model: nn.Module, selected: Sequence[str], calls: Calls) -> list[Site]:
    """Group the selected names by module, and split stateless modules by the place that calls them (trap 9).

    Raises SurgeryError where a module is never called, where one lies inside another, where only some of the names of
    a module with parameters are selected, and where the calls of a shared module cannot be told apart.
    """
    modules = named(model)
    _no_nesting(selected)
    groups: dict[int, list[str]] = defaultdict(list)
    for name in selected:
        groups[id(modules[name])].append(name)
    aliases: dict[int, list[str]] = defaultdict(list)
    for name, module in modules.items():
        aliases[id(module)].append(name)
    sites: list[Site] = []
    for identity, names in groups.items():
        module = modules[names[0]]
        if identity not in calls:
            raise SurgeryError(
                f"{names[0]} ({type(module).__name__}) is never called as a module on the example in evaluation mode, "
                f"so a part there would do nothing; narrow the edit with 'within'"
            )
        if has_state(module):
            left_out = [name for name in aliases[identity] if name not in names]
            if left_out:
                raise SurgeryError(
                    f"{names[0]} ({type(module).__name__}) is shared on purpose, with its parameters, with "
                    f"{', '.join(left_out)}; select all of them or none"
                )
            sites.append(Site(module, None, tuple(names), (tuple(calls[identity]),)))
        else:
            sites += _split(model, module, names, aliases[identity], calls)
    return sites


def _split(model: nn.Module, module: nn.Module, names: list[str], aliases: list[str], calls: Calls) -> list[Site]:
    """A site for each owner of a stateless module among the selected names."""
    if len(calls[id(module)]) == 1 and len(aliases) == 1:
        (only,) = calls[id(module)]
        return [Site(module, only.owner, tuple(names), ((only,),))]
    owners: dict[int, list[str]] = defaultdict(list)
    for name in aliases:
        owners[id(_owner(model, name, calls))].append(name)
    by_caller: dict[int, list[Call]] = defaultdict(list)
    for call in calls[id(module)]:
        by_caller[id(call.owner)].append(call)
    strangers = [call for call in calls[id(module)] if id(call.owner) not in owners]
    if strangers:
        raise SurgeryError(
            f"{names[0]} ({type(module).__name__}) is called by {type(strangers[0].owner).__name__}, which does not "
            f"own it, so its calls cannot be told apart; {_widths(calls[id(module)])}; give each its own module"
        )
    sites = []
    for identity, places in owners.items():
        chosen = tuple(name for name in places if name in names)
        used = by_caller.get(identity, [])
        if chosen and used:
            sites.append(Site(module, used[0].owner, chosen, _uses(chosen[0], used)))
    return sites


def _owner(model: nn.Module, name: str, calls: Calls) -> nn.Module:
    """The nearest module above `name` that has a forward which ran."""
    above = name
    while "." in above:
        above = above.rpartition(".")[0]
        parent = model.get_submodule(above)
        if id(parent) in calls:
            return parent
    return model


def _uses(name: str, calls: list[Call]) -> tuple[tuple[Call, ...], ...]:
    """The calls in the order of one forward of the owner; several forwards of one owner share their parts."""
    turns: dict[int, list[Call]] = defaultdict(list)
    for call in calls:
        turns[call.turn].append(call)
    counts = Counter(len(group) for group in turns.values())
    if len(counts) > 1:
        raise SurgeryError(
            f"{name} is called {' or '.join(map(str, sorted(counts)))} times in a forward of its owner, so its calls "
            f"cannot be told apart; {_widths(calls)}; give each call its own module"
        )
    return tuple(zip(*turns.values(), strict=True))


def _widths(calls: Sequence[Call]) -> str:
    return "inputs: " + ", ".join(str(call.input_shape) for call in calls)


def _no_nesting(selected: Sequence[str]) -> None:
    chosen = set(selected)
    for name in selected:
        steps = name.split(".")
        for n in range(1, len(steps)):
            outer = ".".join(steps[:n])
            if outer in chosen:
                raise SurgeryError(f"the edit selects {outer} and, inside it, {name}; make the pattern narrower")
