"""The page: one file without anything fetched, and the content policy that holds it to that."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files

PAGE = files("ablab.serve").joinpath("page.html").read_text("utf-8")


def _source(tag: str) -> str:
    """The one inline `tag` by its hash, as CSP level 2 has it: nothing else of its kind is run or applied."""
    (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", PAGE, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


POLICY = "; ".join(
    (
        "default-src 'none'",
        f"script-src {_source('script')}",
        f"style-src {_source('style')}",
        "img-src data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
