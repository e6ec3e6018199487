"""What each operation does at a site."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from keyword import iskeyword
from typing import Any

from torch import nn

from ablab.errors import SurgeryError
from ablab.measure.parameters import parameters
from ablab.recipe import Edit
from ablab.records import SiteReport
from ablab.registry import Entry
from ablab.streams import Key
from ablab.surgery.build import build
from ablab.surgery.carry import assert_untied, carry, drift, redrawn
from ablab.surgery.feed import Feed, feed
from ablab.surgery.graft import HOST, CountFromZero, EachServed, Joint, PerCall, put
from ablab.surgery.host import INITIALISATION, arguments
from ablab.surgery.select import named
from ablab.surgery.sites import Site
from ablab.surgery.structure import outline
from ablab.surgery.trial import try_alone, try_values


@dataclass(frozen=True, eq=False)
class Implant:
    """What an edit put at a place: the part, what stood there (None where nothing did), and what feeds it."""

    report: SiteReport
    part: nn.Module
    old: nn.Module | None
    feeds: tuple[Feed, ...]


@dataclass(frozen=True, eq=False)
class Operation:
    """One edit under way on a patient: `at` does it site by site.

    `tried` holds with which arguments and on which shapes the part was tried so far.
    """

    patient: nn.Module
    edit: Edit
    entry: Entry | None  # None takes out
    key: Key
    tried: set[str] = field(default_factory=set)

    def at(self, site: Site) -> list[Implant]:
        """Do the edit at a site; returns what now stands there, one for each part.

        Raises SurgeryError for a part that does not fit, ConfigError for its arguments.
        """
        if self.entry is None:
            return _remove(self.patient, self.edit, site)
        label = _label(str(self.edit.part), site.old)
        done = []
        for host, use in zip(site.names, site.uses, strict=True):
            name = f"{host}.{label}" if self.edit.op == "insert" else host
            feeds = tuple(feed(self.edit, host, call) for call in use)
            done.append(self._implant(self.entry, site, name, feeds))
        _graft(self.patient, site, _joined(self.edit, site, [each.part for each in done], label))
        return done

    def _implant(self, entry: Entry, site: Site, name: str, feeds: tuple[Feed, ...]) -> Implant:
        """Build the part for one use of a site, with its weights and its mode, and try it."""
        edit, what = self.edit, f"{name}: {self.edit.part}"
        old = copy.deepcopy(site.old) if edit.op == "wrap" and len(site.uses) > 1 else site.old
        stood = None if edit.op == "insert" else site.old
        far: float | None = None
        if edit.op == "convert":
            assert_untied(self.patient, what, old)
        if entry.slot == INITIALISATION:
            part = redrawn(edit, edit.args, name, old, self.key)
            try_alone(part, what, feeds, (), stood)
        else:
            args = arguments(edit, entry, name, old, feeds)
            part = build(edit, entry, args, name, feeds, self.key)
            mode(part, site.old)
            if edit.op == "convert":
                carry(entry, what, old, part)
            self._try(part, what, args, feeds, stood)
            far = drift(part, feeds) if edit.op == "convert" else None
        gained = parameters(part) - (0 if stood is None else parameters(site.old))
        return Implant(_report(edit, site, name, feeds[0], gained, far), part, stood, feeds)

    def _try(
        self, part: nn.Module, what: str, args: Mapping[str, Any], feeds: Sequence[Feed], old: nn.Module | None
    ) -> None:
        """Try the part alone; where one like it was tried on such shapes, its values alone."""
        given = [value for value in args.values() if isinstance(value, nn.Module)]
        shapes = [outline([[*each.args], dict(each.kwargs), each.expected]) for each in feeds]
        told = "" if given else repr((shapes, args))
        if told in self.tried:
            return try_values(part, what, feeds)
        theirs = {id(tensor) for module in given for tensor in module.parameters()}
        learns = [n for n, p in part.named_parameters() if p.requires_grad and id(p) not in theirs]
        try_alone(part, what, feeds, learns, old)
        if told:
            self.tried.add(told)


def mode(part: nn.Module, old: nn.Module) -> None:
    """Put a part into the mode of what stood there, but not what it was given: a frozen norm inside stays frozen."""
    theirs = {id(module) for module in old.modules()}
    for module in part.modules():
        if id(module) not in theirs:
            module.training = old.training


def _joined(edit: Edit, site: Site, parts: list[nn.Module], label: str) -> list[nn.Module]:
    """What goes to the places of a site: the parts, or, where they were inserted, each together with its host."""
    if edit.op != "insert":
        return parts
    hosts = [site.old] if len(parts) == 1 else [copy.deepcopy(site.old) for _ in parts]
    return [Joint.of(host, part, label, bool(edit.before)) for host, part in zip(hosts, parts, strict=True)]


def _graft(patient: nn.Module, site: Site, parts: list[nn.Module]) -> None:
    """Let the site's places hold its part, or its parts one a call."""
    if len(parts) == 1:
        new = parts[0]
    else:
        new = PerCall(parts)
        new.training = site.old.training
        owner = patient if site.owner is None else site.owner
        path = _path(patient, owner, site.places)
        owner.register_forward_pre_hook(CountFromZero(path))
        owner.register_forward_hook(EachServed(path))
    for name in site.places:
        put(patient, name, new)


def _path(patient: nn.Module, owner: nn.Module, places: Sequence[str]) -> str:
    """The name that the owner itself has for one of the places."""
    heads = [f"{name}." for name, module in named(patient).items() if module is owner] or [""]
    return next(place.removeprefix(head) for head in heads for place in places if place.startswith(head))


def _remove(patient: nn.Module, edit: Edit, site: Site) -> list[Implant]:
    """Put an identity at a site, which must give what it takes."""
    new = nn.Identity()
    new.training = site.old.training
    done = []
    for name, use in zip(site.names, site.uses, strict=True):
        for call in use:
            if call.input_shape != call.output_shape:
                raise SurgeryError(
                    f"{edit}: {name} ({type(site.old).__name__}) turns {call.input_shape} into {call.output_shape}; "
                    f"without it the shapes would not fit; replace it instead"
                )
        feeds = tuple(feed(edit, name, call) for call in use)
        report = _report(edit, site, name, feeds[0], -parameters(site.old), None)
        done.append(Implant(report, new, site.old, feeds))
    for place in site.places:
        put(patient, place, new)
    return done


def _report(edit: Edit, site: Site, name: str, first: Feed, gained: int, far: float | None) -> SiteReport:
    return SiteReport(
        name=name,
        op=edit.op,
        old=type(site.old).__name__,
        new=str(edit.part or nn.Identity.__name__),
        input_shape=first.shape,
        output_shape=first.expected_shape,
        parameters=gained,
        drift=far,
    )


def _label(part: str, host: nn.Module) -> str:
    """A name for a part beside its host: `cbam`, or `cbam_2` where there is one already.

    A word of Python's own (`in`) becomes `in_`, as exporters write the names into code.
    """
    name = part.rpartition(":" if ":" in part else "/")[2].replace(".", "_").lower()
    name += "_" * iskeyword(name)
    taken = [child for child, _ in host.named_children()] if isinstance(host, Joint) else [HOST]
    return next(n for n in chain([name], (f"{name}_{i}" for i in count(2))) if n not in taken)
