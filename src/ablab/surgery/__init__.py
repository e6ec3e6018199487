"""Operate on any network: a change is data, applied to a finished baseline.

    from ablab import surgery

    edits = [surgery.replace(of="silu", part="frelu"), surgery.insert(after="backbone.out", part="cbam", expect=3)]
    edited, report = surgery.apply(model, edits, example)

replace   a part in place of a module              insert   a part before or after it, or where a branch ends
convert   the same, and the weights go along       wrap     a part around it      remove   nothing in place of it

`of`, `before`, `after` and `branch` name a registered part (every module of its class), a module (`backbone.stem`), a
glob over module names (`backbone.stage*.1`; `*` stays within one step of a name, `**` crosses steps), or a class
(`SiLU`). `within` and `but` are globs that narrow it.
"""

from ablab.surgery.apply import apply
from ablab.surgery.edit import convert, insert, remove, replace, wrap

__all__ = ["apply", "convert", "insert", "remove", "replace", "wrap"]
