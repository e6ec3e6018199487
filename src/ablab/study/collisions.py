"""Two changes that cannot stand in one network, and where: one took away what the other works on, or put in.

Every pair that some arm combines is built once more, on the CPU, and each place that a change works on when alone is
looked up: what stands there together must still be what that change made. An edit that silently finds fewer places, or
undoes what another did, would give an arm that is not what its name says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from torch import nn

from ablab import registry
from ablab.contracts import Task
from ablab.errors import UserError
from ablab.recipe import Change
from ablab.records import SiteReport
from ablab.study.build import Made, build, untaught
from ablab.study.design import Arm
from ablab.study.spec import Study
from ablab.study.together import ADVICE, together
from ablab.surgery.graft import HOST, INNER


@dataclass(frozen=True)
class Standing:
    """A network with some changes made: its sites, and {plain name: classes that stand there}."""

    sites: tuple[SiteReport, ...]
    classes: Mapping[str, frozenset[str]]


def collisions(study: Study, made: Sequence[Arm]) -> Iterator[str]:
    """One sentence for each two changes that some arm combines and that collide, and for each that fails alone."""
    combined = {pair for arm in made for pair in combinations(arm.changes, 2)}
    if not combined:
        return
    alone: dict[str, Standing] = {}
    for change in study.changes:
        try:
            alone[change.name] = _standing(study, [change])
        except UserError as error:
            yield f"change '{change.name}': {error}"
    for one, other in combinations([change for change in study.changes if change.name in alone], 2):
        if (one.name, other.name) not in combined or not (one.edits or other.edits):
            continue
        try:
            both = _standing(study, [one, other])
        except UserError as error:
            yield f"changes '{one.name}' and '{other.name}' collide when combined: {error}; {ADVICE}"
            continue
        if _other_network(one.set) or _other_network(other.set):
            continue  # whose places are others anyhow
        for first, second in ((one, other), (other, one)):
            lost = [site for site in alone[first.name].sites if not _stands(site, alone[first.name], both)]
            if lost:
                yield (
                    f"changes '{first.name}' and '{second.name}' collide when combined at {lost[0].name}"
                    f"{f' and {len(lost) - 1} more places' if len(lost) > 1 else ''}: {first.name} alone makes it "
                    f"{_words(alone[first.name], lost[0])}, with {second.name} it is {_words(both, lost[0])}; {ADVICE}"
                )
                break


def _other_network(settings: Mapping[str, Any]) -> bool:
    return any(path.split(".")[0] == "model" for path in settings)


def _stands(site: SiteReport, alone: Standing, both: Standing) -> bool:
    name = plain(site.name)
    return alone.classes.get(name, frozenset()) <= both.classes.get(name, frozenset())


def _words(found: Standing, site: SiteReport) -> str:
    return ", ".join(sorted(found.classes.get(plain(site.name), ()))) or "gone"


def _standing(study: Study, changes: Sequence[Change]) -> Standing:
    name = "+".join(change.name for change in changes)
    recipe, edits, _ = together(study, changes, name)
    arm = Arm(name, "change", "", untaught(recipe), edits, stream=study.name)
    task: Task = registry.task(recipe.task)[1](arm.recipe)
    made: Made = build(task, arm, study.seeds[0])
    return Standing(made.report.sites, standing(made.model))


def standing(model: nn.Module) -> dict[str, frozenset[str]]:
    """The classes of the modules under each name, as it was before anything stood beside or around them."""
    found: dict[str, set[str]] = {}
    for name, module in model.named_modules():
        found.setdefault(plain(name), set()).add(type(module).__name__)
    return {name: frozenset(classes) for name, classes in found.items()}


def plain(name: str) -> str:
    """A module's name without the steps that an inserted part or a wrapper adds."""
    return ".".join(step for step in name.split(".") if step not in (HOST, INNER))
