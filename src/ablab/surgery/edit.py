"""Edits as one writes them in Python; a study file holds the same words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ablab.config import parse
from ablab.recipe import Edit


def replace(
    *, of: str, part: str, within: str | None = None, but: Sequence[str] = (), expect: int | None = None, **args: Any
) -> Edit:
    """Put a part where modules stand now; `args` are the part's own.  Raises ConfigError."""
    return _edit(op="replace", of=of, part=part, within=within, but=but, expect=expect, args=args)


def convert(
    *, of: str, part: str, within: str | None = None, but: Sequence[str] = (), expect: int | None = None, **args: Any
) -> Edit:
    """Put a part where modules stand now and give it their weights; or, with a part of the slot `initialisation`, draw
    their weights anew.  Raises ConfigError."""
    return _edit(op="convert", of=of, part=part, within=within, but=but, expect=expect, args=args)


def wrap(
    *, of: str, part: str, within: str | None = None, but: Sequence[str] = (), expect: int | None = None, **args: Any
) -> Edit:
    """Put a part of the slot `wrapper` around modules, which it calls.  Raises ConfigError."""
    return _edit(op="wrap", of=of, part=part, within=within, but=but, expect=expect, args=args)


def insert(
    *,
    part: str,
    after: str | None = None,
    before: str | None = None,
    branch: str | None = None,
    within: str | None = None,
    but: Sequence[str] = (),
    expect: int | None = None,
    **args: Any,
) -> Edit:
    """Put a part behind or in front of modules, which stay, or where the branch of residual blocks ends; give one of
    `after`, `before` and `branch`.  Raises ConfigError."""
    places = {"after": after, "before": before, "branch": branch}
    return _edit(op="insert", **places, part=part, within=within, but=but, expect=expect, args=args)


def remove(*, of: str, within: str | None = None, but: Sequence[str] = (), expect: int | None = None) -> Edit:
    """Take modules out; an identity keeps their places.  Raises ConfigError."""
    return _edit(op="remove", of=of, within=within, but=but, expect=expect)


def _edit(op: str, *, but: Sequence[str], **fields: Any) -> Edit:
    if isinstance(but, str):  # a tuple of its letters otherwise
        but = (but,)
    return parse(Edit, {"op": op, "but": list(but)} | fields, f"surgery.{op}")
