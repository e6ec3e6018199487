"""Trap 12: run ids of four hex digits collide (a study of 300 runs would, half the time)."""

from __future__ import annotations

from ablab.config import fingerprint


def test_fingerprints_are_long_enough_to_differ() -> None:
    names = {fingerprint({"run": i}) for i in range(20_000)}
    assert len(names) == 20_000
    assert {len(name) for name in names} == {16}
