"""ablab: which of your changes help, by how much, how sure, and at what cost."""

from ablab.registry import register

__all__ = ["register"]
__version__ = "0.1.0"
