"""The operation: a copy of the network with every edit done, and a report of what was done."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from itertools import chain, count
from typing import Any

from torch import Tensor, nn

from ablab.errors import SurgeryError
from ablab.measure.flops import flops
from ablab.measure.forward import Example
from ablab.measure.parameters import parameters
from ablab.recipe import Edit
from ablab.records import EditReport, SiteReport
from ablab.streams import Key
from ablab.surgery.audit import FunctionalCall
from ablab.surgery.graft import HOST, CountFromZero, Joint, PerCall, put
from ablab.surgery.probe import Probe, probe
from ablab.surgery.select import inside, named, nothing, part_class, place, select
from ablab.surgery.sites import Site, find_sites
from ablab.surgery.structure import Shape, first_shape, outline
from ablab.surgery.trial import build, feed, try_alone


def apply(
    model: nn.Module, edits: Sequence[Edit], example: Example, *, key: Key = ("surgery", 0)
) -> tuple[nn.Module, EditReport]:
    """A copy of the network with the edits done in the order written, each seeing what the ones before it did.

    `example` is what the network takes: a tensor, a tuple of arguments or a mapping of named ones. New parts are drawn
    from ("init", *key, site name), so `key` is (study, seed). The model itself, its modes and buffers, and torch's
    generators stand as they stood. Raises SurgeryError for an edit that cannot be applied; UnknownName and ConfigError
    for a part or an argument that does not exist.
    """
    memo: dict[int, Any] = {}
    patient = copy.deepcopy(model, memo)
    healthy = probe(patient, example).output
    sites: list[SiteReport] = []
    unreached: dict[str, None] = {}
    for edit in edits:
        done, missed = _operate(patient, edit, example, key, healthy)
        sites += done
        unreached |= dict.fromkeys(map(str, missed))
    _assert_untouched(model, memo, patient)
    return patient, EditReport(
        sites=tuple(sites),
        parameters=parameters(patient) - parameters(model),
        flops=flops(patient, example) - flops(model, example) if edits else 0,
        unreached=tuple(unreached),
    )


def _operate(
    patient: nn.Module, edit: Edit, example: Example, key: Key, healthy: Any
) -> tuple[list[SiteReport], list[FunctionalCall]]:
    """Do one edit on the patient itself; returns the sites, and the functional calls that it would have meant too."""
    selected = select(patient, edit)
    modules = named(patient)
    seen = probe(patient, example, watch=[modules[name] for name in selected])
    if not selected:
        raise nothing(patient, edit, seen.functional)
    sites = find_sites(patient, selected, seen.calls)
    _assert_expected(edit, sites)
    done = [pair for site in sites for pair in _operate_site(patient, edit, site, key)]
    try:
        after = probe(patient, example)
    except SurgeryError as error:
        raise SurgeryError(f"{edit}: with the edit done, {error}") from error
    idle = [report.name for report, module in done if id(module) not in after.calls]
    if idle:
        raise SurgeryError(f"{edit}: what now stands at {idle[0]} is never called; the network reaches it another way")
    _assert_same_structure(edit, healthy, after.output)
    return [report for report, _ in done], _missed(edit, seen, selected)


def _operate_site(patient: nn.Module, edit: Edit, site: Site, key: Key) -> list[tuple[SiteReport, nn.Module]]:
    """Put new modules at a site; returns each with its report."""
    if edit.op == "remove":
        return _remove(patient, edit, site)
    label = _label(str(edit.part), site.old)
    done, parts = [], []
    for host, use in zip(site.names, site.uses, strict=True):
        name = f"{host}.{label}" if edit.op == "insert" else host
        feeds = [feed(edit, host, call) for call in use]
        part = build(edit, name, feeds, key)
        try_alone(part, str(edit.part), name, feeds)
        part.train(site.old.training)
        parts.append(part)
        done.append((_report(edit, site, name, part, feeds[0].shape, first_shape(feeds[0].expected)), part))
    _assert_own(edit, patient, parts)
    if edit.op == "insert":
        hosts = [site.old] if len(parts) == 1 else [copy.deepcopy(site.old) for _ in parts]
        parts = [Joint.of(host, p, label, bool(edit.before)) for host, p in zip(hosts, parts, strict=True)]
    _graft(patient, site, parts)
    return done


def _graft(patient: nn.Module, site: Site, parts: list[nn.Module]) -> None:
    """Let the site's places hold its part, or its parts one a call."""
    if len(parts) == 1:
        new = parts[0]
    else:
        new = PerCall(parts)
        new.training = site.old.training
        owner = patient if site.owner is None else site.owner
        owner.register_forward_pre_hook(CountFromZero(_path(patient, owner, site.places)))
    for name in site.places:
        put(patient, name, new)


def _path(patient: nn.Module, owner: nn.Module, places: Sequence[str]) -> str:
    """The name that the owner itself has for one of the places."""
    heads = [f"{name}." for name, module in named(patient).items() if module is owner] or [""]
    return next(place.removeprefix(head) for head in heads for place in places if place.startswith(head))


def _remove(patient: nn.Module, edit: Edit, site: Site) -> list[tuple[SiteReport, nn.Module]]:
    """Put an identity at a site, which must give what it takes."""
    new = nn.Identity()
    done: list[tuple[SiteReport, nn.Module]] = []
    for name, use in zip(site.names, site.uses, strict=True):
        for call in use:
            if call.input_shape != call.output_shape:
                raise SurgeryError(
                    f"{edit}: {name} ({type(site.old).__name__}) turns {call.input_shape} into {call.output_shape}; "
                    f"without it the shapes would not fit; replace it instead"
                )
        done.append((_report(edit, site, name, new, use[0].input_shape, use[0].output_shape), new))
    new.training = site.old.training
    for name in site.places:
        put(patient, name, new)
    return done


def _report(edit: Edit, site: Site, name: str, new: nn.Module, input_shape: Shape, output_shape: Shape) -> SiteReport:
    lost = 0 if edit.op == "insert" else parameters(site.old)
    return SiteReport(
        name=name,
        op=edit.op,
        old=type(site.old).__name__,
        new=str(edit.part or type(new).__name__),
        input_shape=input_shape,
        output_shape=output_shape,
        parameters=parameters(new) - lost,
    )


def _label(part: str, host: nn.Module) -> str:
    """A name for a part beside its host: `cbam`, or `cbam_2` where there is one already."""
    name = part.rpartition(":" if ":" in part else "/")[2].replace(".", "_").lower()
    taken = [child for child, _ in host.named_children()] if isinstance(host, Joint) else [HOST]
    return next(n for n in chain([name], (f"{name}_{i}" for i in count(2))) if n not in taken)


def _assert_own(edit: Edit, patient: nn.Module, parts: Sequence[nn.Module]) -> None:
    """A part made for a site may share nothing with the network or with another site's (trap 4)."""
    taken = {id(x) for x in chain(patient.modules(), patient.parameters())}
    for part in parts:
        mine = {id(x) for x in chain(part.modules(), part.parameters())}
        if mine & taken:
            raise SurgeryError(
                f"{edit}: '{edit.part}' gives the same module or parameter to several sites; its factory must build a "
                f"new one at each call"
            )
        taken |= mine


def _assert_expected(edit: Edit, sites: Sequence[Site]) -> None:
    found = [name for site in sites for name in site.names]
    if edit.expect is not None and edit.expect != len(found):
        listed = ", ".join(found[:12]) + (", ..." if len(found) > 12 else "")
        raise SurgeryError(
            f"{edit}: expected {edit.expect} sites, found {len(found)}: {listed}; narrow it with 'within', or write "
            f"'expect: {len(found)}'"
        )


def _missed(edit: Edit, seen: Probe, selected: Sequence[str]) -> list[FunctionalCall]:
    """Functional calls of the kind that the edit takes away, but those that went with a selected module."""
    if edit.op == "insert":
        return []
    kind = part_class(place(edit))
    word = (kind.__name__ if kind else place(edit)).lower()
    scope = edit.within or "**"
    calls = [call for call in seen.functional if call.kind == word and inside(call.where, scope)]
    return [call for call in calls if not any(inside(call.where, name) for name in selected)]


def _assert_same_structure(edit: Edit, healthy: Any, output: Any) -> None:
    before, after = outline(healthy, skip=1), outline(output, skip=1)
    if before != after:
        raise SurgeryError(f"{edit}: the network gave {before} and now gives {after}; an edit must keep that")


def _assert_untouched(model: nn.Module, memo: Mapping[int, Any], patient: nn.Module) -> None:
    """Every parameter and buffer that is still in the patient equals the model's to the bit (trap 15)."""
    kept = {id(tensor) for tensor in chain(patient.parameters(), patient.buffers())}
    for name, tensor in chain(model.named_parameters(), model.named_buffers()):
        twin = memo.get(id(tensor))
        if twin is not None and id(twin) in kept and not _same(tensor, twin):
            raise SurgeryError(f"surgery changed '{name}', which no edit touches; please report this as a bug")


def _same(left: Tensor, right: Tensor) -> bool:
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    return bool(((left == right) | (left.isnan() & right.isnan())).all())
