"""From the words of an edit to modules of a network."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from torch import nn

from ablab import registry
from ablab.errors import SurgeryError, UnknownName, suggest
from ablab.recipe import Edit
from ablab.surgery.audit import FunctionalCall, is_torch_activation
from ablab.surgery.twins import twins

Named = Mapping[str, nn.Module]  # a module that has several names stands under each


def named(model: nn.Module) -> dict[str, nn.Module]:
    """Every module by every name that it has, but the network itself."""
    return {name: module for name, module in model.named_modules(remove_duplicate=False) if name}


def select(model: nn.Module, edit: Edit) -> list[str]:
    """The names that an edit speaks of, in the network's order; empty where there are none.

    A part's name is read first, then a module's name or a glob, then a class: in a network with a module `relu` of its
    own, `relu` means every `nn.ReLU`, and `[r]elu` that module. A part's name also finds other libraries' modules of
    the same function (timm's `Swish` for `silu`), but not torch's subclasses. A container without a forward of its own
    (`nn.ModuleDict`, `nn.ModuleList`) stands for what it contains. Raises SurgeryError where `within` matches nothing.
    """
    modules = named(model)
    if edit.within is not None and not any(inside(name, edit.within) for name in modules):
        raise SurgeryError(f"{edit}: 'within: {edit.within}' matches no module{suggest(edit.within, modules)}")
    word = place(edit)
    kind = part_class(word)
    if kind is not None:
        alike = set(twins(registry.get(word), modules))
        found = [name for name, module in modules.items() if type(module) is kind or name in alike]
    else:
        found = [name for name in modules if glob(word).fullmatch(name)]
        found = found or [name for name, module in modules.items() if type(module).__name__ == word]
    names = [inner for name in found for inner in _contents(name, modules[name])]
    kept = [name for name in dict.fromkeys(names) if edit.within is None or inside(name, edit.within)]
    return _without(edit, kept, modules)


def _without(edit: Edit, names: list[str], modules: Named) -> list[str]:
    """The names but those inside a glob of `but`, each of which must leave something out."""
    out = {pattern: [name for name in names if inside(name, pattern)] for pattern in edit.but}
    for pattern, left in out.items():
        if names and not left:
            raise SurgeryError(
                f"{edit}: 'but: {pattern}' leaves nothing out of {len(names)} modules, the first of them {names[0]}"
                f"{suggest(pattern, modules)}"
            )
    kept = [name for name in names if not any(name in left for left in out.values())]
    if names and not kept:
        raise SurgeryError(f"{edit}: 'but' leaves out all of the {len(names)} modules that it speaks of")
    return kept


def place(edit: Edit) -> str:
    """What the edit's `of`, `before`, `after` or `branch` says."""
    return edit.place


def part_class(word: str) -> type | None:
    """The class of the part that `word` names; None where it names none, or one that a function builds untold."""
    try:
        return registry.get(word).kind
    except UnknownName:
        return None


def glob(pattern: str) -> re.Pattern[str]:
    """A glob over dotted names: `*` and `?` stay within a step, `**` crosses steps, `[ab]` and `[!ab]` are letters."""
    wild = {"**": ".*", "*": "[^.]*", "?": "[^.]"}
    tokens = re.findall(r"\*\*|\*|\?|\[[^\]]+\]|[^*?\[]+|\[", pattern)
    letters = {token: "[^" + token[2:] if token[1] == "!" else token for token in tokens if re.match(r"\[.", token)}
    try:
        return re.compile("".join(wild.get(token) or letters.get(token) or re.escape(token) for token in tokens))
    except re.error as error:
        raise SurgeryError(f"'{pattern}' is not a glob over module names: {error}") from None


def inside(name: str, pattern: str) -> bool:
    """Whether a module, or one that contains it, matches the glob."""
    steps = name.split(".")
    return any(glob(pattern).fullmatch(".".join(steps[: n + 1])) for n in range(len(steps)))


def _contents(name: str, module: nn.Module) -> list[str]:
    if type(module).forward is not nn.Module.forward:
        return [name]
    return [inner for child, part in module.named_children() for inner in _contents(f"{name}.{child}", part)]


def nothing(model: nn.Module, edit: Edit, functional: Sequence[FunctionalCall]) -> SurgeryError:
    """The error for an edit that matches no module: what there is instead."""
    word, modules = place(edit), named(model)
    scope = f" within '{edit.within}'" if edit.within else ""
    kind = part_class(word)
    calls = [call for call in functional if call.kind == (kind.__name__ if kind else word).lower()]
    if calls:
        callers = [modules[call.where] for call in calls if call.where]
        wrappers = {type(module).__name__ for module in callers if not any(True for _ in module.children())}
        advice = (
            f"if the whole module does just that, write 'of: {min(wrappers)}'"
            if wrappers
            else "make it a module there first"
        )
        return SurgeryError(
            f"{edit}: no module{scope} is a '{word}', but it is called as a function, which '{word}' does not reach: "
            f"{', '.join(map(str, calls[:6]))}{', ...' if len(calls) > 6 else ''}; {advice}"
        )
    if kind is None and ("." in word or re.search(r"[*?\[]", word)):
        return SurgeryError(f"{edit}: no module{scope} is called '{word}'{suggest(word, modules)}")
    slot = registry.get(word).slot if kind else ""
    like = _census(modules, slot)
    if like:
        return SurgeryError(f"{edit}: '{word}' matches nothing{scope}; {slot or 'module'}s in this network: {like}")
    there = f"; {slot}s in this network: none" if slot else ""
    words = {*modules, *(type(module).__name__ for module in modules.values())}
    return SurgeryError(f"{edit}: '{word}' matches nothing{scope}{there}{'' if slot else suggest(word, words)}")


def _census(modules: Named, slot: str) -> str:
    """The modules of a slot, counted by class: `Hardswish (57)`."""
    if not slot:
        return ""
    kinds = {registry.get(name, slot).kind for name in registry.names(slot)}
    distinct = {id(module): module for module in modules.values()}.values()
    counts = Counter(
        type(module).__name__
        for module in distinct
        if type(module) in kinds or (slot == "activation" and is_torch_activation([module]))
    )
    return ", ".join(f"{name} ({count})" for name, count in counts.most_common())
