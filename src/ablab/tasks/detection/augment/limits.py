"""How far an augmentation's settings may go."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from ablab.errors import ConfigError


def limit(part: object, **most: float) -> None:
    """Raise ConfigError where one of the named settings is not a number from 0 to so much."""
    for name, end in most.items():
        value = getattr(part, name)
        if not 0 <= value <= end:
            expected = f"in 0 to {end:g}" if end < inf else "0 or more"
            raise ConfigError(f"augmentation {type(part).__name__}: {name} must be {expected}, got {value}")


@dataclass(frozen=True)
class Chance:
    """An augmentation that happens with a probability."""

    probability: float = 0.5

    def __post_init__(self) -> None:
        limit(self, probability=1)
