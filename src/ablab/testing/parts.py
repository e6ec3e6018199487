"""Checks of a part, found by name."""

from __future__ import annotations

from ablab import registry
from ablab.surgery import contract


def checks(slot: str, name: str) -> list[contract.Check]:
    """One callable for each promise of the slot; calling it raises ContractError, which is an AssertionError.

    `name` may be an import string (`my_package.my_module:TanhExp`). Raises UnknownName for a slot or part that does
    not exist; ConfigError for a slot without a contract.
    """
    return contract.checks(registry.get(name, slot))


def check_part(slot: str, name: str) -> None:
    """Run all of a part's checks; raises ContractError that lists every broken promise."""
    contract.check(registry.get(name, slot))
