"""What a kernel's size must be."""

from __future__ import annotations

from ablab.errors import ConfigError


def odd(kernel_size: int) -> int:
    """The size itself, where it is odd and positive; an even one would shift the map.

    Raises ConfigError with the nearest odd sizes.
    """
    if kernel_size < 1 or kernel_size % 2 == 0:
        near = f"{max(kernel_size - 1, 1)} or {max(kernel_size + 1, 3)}"
        raise ConfigError(f"kernel_size must be odd and positive, got {kernel_size}; take {near}")
    return kernel_size
