"""Edits as one writes them in Python; a study file holds the same words."""

from __future__ import annotations

from typing import Any

from ablab.config import parse
from ablab.recipe import Edit


def replace(*, of: str, part: str, within: str | None = None, expect: int | None = None, **args: Any) -> Edit:
    """Put a part where modules stand now; `args` are the part's own.  Raises ConfigError."""
    return _edit(op="replace", of=of, part=part, within=within, expect=expect, args=args)


def insert(
    *,
    part: str,
    after: str | None = None,
    before: str | None = None,
    within: str | None = None,
    expect: int | None = None,
    **args: Any,
) -> Edit:
    """Put a part behind or in front of modules, which stay; give one of `after` and `before`.  Raises ConfigError."""
    return _edit(op="insert", after=after, before=before, part=part, within=within, expect=expect, args=args)


def remove(*, of: str, within: str | None = None, expect: int | None = None) -> Edit:
    """Take modules out; an identity keeps their places.  Raises ConfigError."""
    return _edit(op="remove", of=of, within=within, expect=expect)


def _edit(op: str, **fields: Any) -> Edit:
    return parse(Edit, {"op": op} | fields, f"surgery.{op}")
