"""A JSON document with one place changed."""

from __future__ import annotations

import copy
from typing import Any


def changed(document: Any, path: str, value: Any) -> Any:
    """A copy of `document` with the place at `path` (keys and numbers with dots between) changed; `...` deletes it."""
    document = copy.deepcopy(document)
    *steps, last = (int(step) if step.isdigit() else step for step in path.split("."))
    place = document
    for step in steps:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return document
