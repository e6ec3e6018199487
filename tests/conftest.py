"""Lets tests of every folder import the tiny task in tests/engine/tiny.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "engine"))
