"""What surgery did at a site, in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def becomes(site: Mapping[str, Any]) -> str:
    """What stands at a site after an edit, and for a conversion how far its output moved (`SiteReport.drift`)."""
    old, new, drift = site["old"], site["new"], site.get("drift")
    done = {"insert": f"+ {new}", "wrap": f"{new}({old})", "remove": "nothing"}
    text = done.get(site["op"], str(new))
    if drift is None:
        return text
    return f"{text}, output as before" if drift < 1e-4 else f"{text}, output {drift:.1%} off"
