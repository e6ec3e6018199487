"""The packages that only shipping wants: they come with `pip install 'ablab[export]'`, and are imported where used."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from ablab.errors import ConfigError

INSTALL = "pip install 'ablab[export]'"
ELSEWHERE = {"tensorrt": "NVIDIA's own package: pip install tensorrt, on the machine with the card"}


def need(package: str) -> ModuleType:
    """Import a package. Raises ConfigError that says how to get it where it is missing or does not load."""
    try:
        return import_module(package)
    except ImportError as error:
        how = ELSEWHERE.get(package, INSTALL)
        raise ConfigError(f"this wants the package {package}, which cannot be imported ({error}); {how}") from None
