"""Operate on any network: a change is data, applied to a finished baseline.

    from ablab import surgery

    edits = [surgery.replace(of="silu", part="frelu"), surgery.insert(after="backbone.out", part="cbam", expect=3)]
    edited, report = surgery.apply(model, edits, example)

`of`, `before` and `after` name a registered part (every module of its class), a module (`backbone.stem`), a glob over
module names (`backbone.stage*.1`; `*` stays within one step of a name, `**` crosses steps), or a class (`SiLU`).
"""

from ablab.surgery.apply import apply
from ablab.surgery.edit import insert, remove, replace

__all__ = ["apply", "insert", "remove", "replace"]
