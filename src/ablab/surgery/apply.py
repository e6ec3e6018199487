"""The operation: a copy of the network with every edit done, and a report of what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from ablab.errors import SurgeryError
from ablab.measure.flops import counted
from ablab.measure.forward import Example, forward, still
from ablab.measure.parameters import parameters
from ablab.measure.seeding import forked
from ablab.recipe import Edit
from ablab.records import EditReport, SiteReport
from ablab.streams import Key
from ablab.surgery.audit import FunctionalCall
from ablab.surgery.bare import bare_copy
from ablab.surgery.branch import branch_ends
from ablab.surgery.given import every_given_argument_counts
from ablab.surgery.host import meant
from ablab.surgery.operate import Implant, Operation
from ablab.surgery.probe import Call, Probe, probe
from ablab.surgery.select import inside, named, nothing, part_class, select
from ablab.surgery.sites import Site, find_sites
from ablab.surgery.structure import outline
from ablab.surgery.trial import try_among_others


def apply(
    model: nn.Module, edits: Sequence[Edit], example: Example, *, key: Key = ("surgery", 0)
) -> tuple[nn.Module, EditReport]:
    """A copy of the network with the edits done in the order written, each seeing what the ones before it did.

    `example` is what the network takes: a tensor, a tuple of arguments or a mapping of named ones. New parts are drawn
    from ("init", *key, site name), so `key` is (study, seed). The model itself, its modes and buffers, and torch's
    generators stand as they stood. A network that `torch.compile` or `nn.DataParallel` stands around is operated on
    inside, under its own names, and comes back compiled or parallel likewise. Raises SurgeryError for an edit that
    cannot be applied; UnknownName and ConfigError for a part or an argument that does not exist.
    """
    patient, memo, dressed = bare_copy(model)
    sites: list[SiteReport] = []
    unreached: dict[str, None] = {}
    # The network runs once before the first edit and once after each; the next edit looks at what that run shows.
    selected = _selected(patient, edits[0], example) if edits else []
    seen, before = _look(patient, example, selected)
    healthy, after = seen.output, before
    for number, edit in enumerate(edits):
        implants, missed = _operate(patient, edit, selected, seen, key)
        sites += [implant.report for implant in implants]
        unreached |= dict.fromkeys(map(str, missed))
        following = edits[number + 1 : number + 2]
        selected = _selected(patient, following[0], example) if following else []
        try:
            seen, after = _look(patient, example, selected) if following else _run(patient, example, implants)
        except SurgeryError as error:
            raise SurgeryError(f"{edit}: with the edit done, {error}") from error
        _assert_alive(edit, implants, healthy, seen)
    _assert_untouched(model, memo, patient)
    return dressed(patient), EditReport(
        sites=tuple(sites),
        parameters=parameters(patient) - parameters(model),
        flops=after - before,
        unreached=tuple(unreached),
    )


def _selected(patient: nn.Module, edit: Edit, example: Example) -> list[str]:
    """The names of the modules that the edit works on, of whatever the edits before it made."""
    names = select(patient, edit)
    return branch_ends(patient, edit, names, example) if edit.branch else names


def _look(patient: nn.Module, example: Example, selected: Sequence[str]) -> tuple[Probe, int]:
    """Probe the patient, with all that goes through the selected modules; also its FLOPs."""
    modules = named(patient)
    with counted() as flops:
        seen = probe(patient, example, watch=[modules[name] for name in selected])
    return seen, flops()


def _run(patient: nn.Module, example: Example, implants: Sequence[Implant]) -> tuple[Probe, int]:
    """What the last look needs, without the rest: the output, which implants were called, and the FLOPs."""
    called: dict[int, list[Call]] = {}
    with ExitStack() as stack:
        for implant in implants:
            hook = implant.part.register_forward_pre_hook(lambda part, _: called.update({id(part): []}))
            stack.callback(hook.remove)
        for context in (still(patient), torch.no_grad(), forked("probe")):
            stack.enter_context(context)
        flops = stack.enter_context(counted())
        try:
            output = forward(patient, example)
        except Exception:
            probe(patient, example)  # which names the module that fails
            raise
    return Probe(called, (), output), flops()


def _operate(
    patient: nn.Module, edit: Edit, selected: Sequence[str], seen: Probe, key: Key
) -> tuple[list[Implant], list[FunctionalCall]]:
    """Do one edit on the patient itself; returns what went in, and functional calls that it would have meant too."""
    entry = meant(edit) if edit.part else None
    if not selected:
        raise nothing(patient, edit, seen.functional)
    sites = find_sites(patient, selected, seen.calls)
    _assert_expected(edit, sites)
    taken = {id(x) for x in chain(patient.modules(), patient.parameters())}
    operation = Operation(patient, edit, entry, key)
    done = [implant for site in sites for implant in operation.at(site)]
    if entry is not None:
        _assert_own(edit, done, taken)
        least = min(done, key=lambda implant: prod(implant.feeds[0].shape))
        try_among_others(least.part, f"{least.report.name}: {edit.part}", least.feeds[0], least.old)
        every_given_argument_counts(edit, entry, done, key)
    return done, _missed(edit, seen, selected)


def _assert_own(edit: Edit, done: Sequence[Implant], taken: set[int]) -> None:
    """A part made for a site may share nothing with the network, but the module that it wraps, nor with another site's
    (trap 4). `taken` holds what was in the network before."""
    for implant in done:
        given = [implant.old] if implant.old is not None and edit.op == "wrap" else []
        theirs = {id(x) for module in given for x in chain(module.modules(), module.parameters())}
        mine = {id(x) for x in chain(implant.part.modules(), implant.part.parameters())} - theirs
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
    kind = part_class(edit.place)
    word = (kind.__name__ if kind else edit.place).lower()
    scope = edit.within or "**"
    calls = [call for call in seen.functional if call.kind == word and inside(call.where, scope)]
    return [call for call in calls if not any(inside(call.where, name) for name in (*selected, *edit.but))]


def _assert_alive(edit: Edit, implants: Sequence[Implant], healthy: Any, seen: Probe) -> None:
    """What went in is called, and the network gives what it gave, in nested shapes."""
    idle = [implant.report.name for implant in implants if id(implant.part) not in seen.calls]
    if idle:
        raise SurgeryError(f"{edit}: what now stands at {idle[0]} is never called; the network reaches it another way")
    before, after = outline(healthy, skip=1), outline(seen.output, skip=1)
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
    return torch.equal(left, right) or bool(((left == right) | (left.isnan() & right.isnan())).all())
