"""What an edit's part is, and what its host, the site, tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from ablab import registry
from ablab.errors import SurgeryError
from ablab.recipe import Edit
from ablab.registry import CONV_FACTS, Entry
from ablab.surgery.feed import Feed

INITIALISATION = "initialisation"
Pair = tuple[int, int]


def meant(edit: Edit) -> Entry:
    """The part that an edit means, which must suit the operation.

    Raises UnknownName for a part that does not exist; SurgeryError for one that another operation wants, and for a
    conversion to a part that takes no weights over.
    """
    part = str(edit.part)
    entry = registry.get(part, "wrapper" if edit.op == "wrap" else None)
    if edit.op == "wrap" and (entry.slot != "wrapper" or "inner" not in entry.host.values()):
        raise SurgeryError(
            f"{edit}: {part} does not wrap, as it takes no module `inner`; wrappers: "
            f"{', '.join(registry.names('wrapper'))}"
        )
    if edit.op != "wrap" and entry.slot == "wrapper":
        raise SurgeryError(f"{edit}: {part} stands around a module: write 'op: wrap, of: {edit.place}'")
    if edit.op != "convert" and entry.slot == INITIALISATION:
        raise SurgeryError(f"{edit}: {part} draws weights anew: write 'op: convert, of: {edit.place}'")
    if edit.op == "convert" and entry.slot != INITIALISATION and "carry" not in entry.traits:
        instead = f"{entry.slot}s that do: {_carrying(entry.slot)}" if entry.slot else "register it with carry="
        raise SurgeryError(f"{edit}: {part} takes no weights over; {instead}; or replace it, and it starts anew")
    return entry


def _carrying(slot: str) -> str:
    return ", ".join(name for name in registry.names(slot) if "carry" in registry.get(name, slot).traits) or "none"


def arguments(edit: Edit, entry: Entry, site: str, old: nn.Module, feeds: Sequence[Feed]) -> dict[str, Any]:
    """All that the part is built with: the edit's arguments, and what it asks of its host and was not told.

    Raises SurgeryError where the site does not know it.
    """
    asked = dict(entry.host)
    if not entry.slot and {"in_channels", "out_channels"} <= set(entry.arguments):  # someone's own convolution
        asked = {name: name for name in entry.arguments if name in CONV_FACTS}
    told = {fact: edit.args[name] for name, fact in asked.items() if name in edit.args}
    facts: dict[str, Any] = {}
    if entry.traits.get("maps"):
        assert_channels_first(f"{site}: {edit.part}", feeds)
    if any(fact in CONV_FACTS for fact in asked.values()):
        if edit.op == "insert":
            raise SurgeryError(f"{edit}: {edit.part} stands in place of a convolution; write 'op: replace' and 'of'")
        facts = window(old, told, feeds, f"{site}: {edit.part}")
    if "inner" in asked.values():
        facts["inner"] = old
    if "channels" in asked.values() and "channels" not in told:
        facts["channels"] = channels(f"{site}: {edit.part}", feeds)
    return dict(edit.args) | {name: facts[fact] for name, fact in asked.items() if fact not in told and fact in facts}


def channels(what: str, feeds: Sequence[Feed]) -> int:
    """The one number of channels that all maps have which the part will receive; else SurgeryError."""
    shapes = list(dict.fromkeys(feed.shape for feed in feeds))
    widths = {shape[1] for shape in shapes if len(shape) > 1}
    assert_channels_first(what, feeds)
    if len(widths) != 1:
        raise SurgeryError(
            f"{what} wants one number of channels, but the calls that it would serve bring "
            f"{', '.join(map(str, shapes))}; give each call a module of its own in the network, or choose a part that "
            f"takes no channels"
        )
    return widths.pop()


def assert_channels_first(what: str, feeds: Sequence[Feed]) -> None:
    """SurgeryError where a part that knows axis 1 as the channels' would receive a map with them on the last axis."""
    wrong = [str(feed.shape) for feed in feeds if feed.channels_last and len(feed.shape) > 2]
    if wrong:
        raise SurgeryError(
            f"{what} counts channels on axis 1 of (B, C, ...), but the map here is as linear layers and layer norms "
            f"leave it, with its channels on the last axis: {', '.join(dict.fromkeys(wrong))}; choose a part that "
            f"knows no channels"
        )


def window(old: nn.Module, told: Mapping[str, Any], feeds: Sequence[Feed], what: str) -> dict[str, Any]:
    """What the convolution at a site was told, each size as a number where both axes agree.

    Where the edit tells another kernel or dilation and no padding, the padding is such that the output keeps its size.
    Raises SurgeryError where no convolution over (B, C, H, W) stands there.
    """
    if not all(hasattr(old, name) for name in CONV_FACTS) or getattr(old, "transposed", False):
        raise SurgeryError(
            f"{what} stands where a convolution stands, and here is a {type(old).__name__}; name convolutions"
        )
    if not isinstance(old.kernel_size, int) and len(tuple(old.kernel_size)) != 2:  # type: ignore[arg-type]
        raise SurgeryError(f"{what} convolves over (B, C, H, W), and {type(old).__name__} here over {feeds[0].shape}")
    facts: dict[str, Any] = {name: getattr(old, name) for name in CONV_FACTS}
    facts["bias"] = facts["bias"] is not None and facts["bias"] is not False  # a parameter, or the word itself
    if ("kernel_size" in told or "dilation" in told) and not isinstance(facts["padding"], str):
        facts["padding"] = _padding(facts, facts | dict(told), feeds)
    return {name: _plain(value) for name, value in facts.items()}


def _padding(old: Mapping[str, Any], new: Mapping[str, Any], feeds: Sequence[Feed]) -> Pair:
    """The window's centres stay where they are, so that the output keeps its size; where the two spans differ by an odd
    number, half a cell goes to the side that fits the example."""
    rows = zip(*(_pair(each[name]) for each in (old, new) for name in ("kernel_size", "dilation")), strict=True)
    found = []
    for axis, (kernel, dilation, wanted, rate) in enumerate(rows):
        grown = rate * (wanted - 1) - dilation * (kernel - 1)
        fitting = [
            padding
            for padding in {(grown // 2) + _pair(old["padding"])[axis], -(-grown // 2) + _pair(old["padding"])[axis]}
            if all(_fits(feed, axis, padding, rate * (wanted - 1), _pair(new["stride"])[axis]) for feed in feeds)
        ]
        found.append(max(min(fitting, default=grown // 2 + _pair(old["padding"])[axis]), 0))
    return found[0], found[1]


def _fits(feed: Feed, axis: int, padding: int, span: int, stride: int) -> bool:
    given, expected = feed.shape[axis - 2], feed.expected_shape[axis - 2]
    return (given + 2 * padding - span - 1) // stride + 1 == expected


def _pair(size: Any) -> Pair:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def _plain(value: Any) -> Any:
    """(3, 3) as 3, as one writes it."""
    return value[0] if isinstance(value, tuple) and len(value) == 2 and value[0] == value[1] else value
