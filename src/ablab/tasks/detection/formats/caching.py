"""Where everything is kept that can be made again."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache() -> Path:
    """The folder: `ABLAB_CACHE`, or else the user's cache folder."""
    return Path(os.environ.get("ABLAB_CACHE") or platformdirs.user_cache_dir("ablab"))
