"""Trap 7: `**_` eats a typo."""

from __future__ import annotations

import pytest

from ablab.errors import ConfigError
from ablab.registry import register


def test_a_part_with_kwargs_is_refused() -> None:
    with pytest.raises(ConfigError, match="would swallow a typo"):

        @register("activation", "greedy")
        def greedy(channels: int, **_: object) -> None: ...
