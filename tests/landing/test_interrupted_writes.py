"""A write that ends at any instruction leaves the old content or the new, and nothing else that could be read."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablab import records
from ablab.errors import StoreError

OLD, NEW = {"state": "old", "more": list(range(100))}, {"state": "new", "more": list(range(3000))}
CALLS = [(records.os, name) for name in ("open", "fdopen", "fsync", "chmod", "replace", "close", "unlink")]
CALLS.append((records.tempfile, "mkstemp"))


class Cut(BaseException):
    """What no `except OSError` catches: Ctrl-C, or a test's end of the world."""


def interrupted(patch: pytest.MonkeyPatch, at: int, error: BaseException) -> Iterator[int]:
    """Have the `at`-th system call of a write raise; yields once, with the number of calls when it is asked again."""
    count = 0

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def made(*arguments: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count == at:
                raise error
            return call(*arguments, **named)

        return made

    for module, name in CALLS:
        patch.setattr(module, name, counted(getattr(module, name)))
    yield 0
    yield count


@given(
    at=st.integers(1, 12),
    error=st.sampled_from([OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EIO, "I/O error"), Cut()]),
    there=st.booleans(),
)
def test_an_error_in_any_system_call_leaves_the_old_or_the_new(
    tmp_path_factory: pytest.TempPathFactory, at: int, error: BaseException, there: bool
) -> None:
    path = tmp_path_factory.mktemp("write") / "record.json"
    if there:
        records.write_json(path, OLD)
    with pytest.MonkeyPatch.context() as patch:
        calls = interrupted(patch, at, error)
        next(calls)
        try:
            records.write_json(path, NEW)
            told = False
        except (StoreError, Cut):
            told = True
        made = next(calls)
    content = json.loads(path.read_text()) if path.exists() else None
    assert content in ((OLD if there else None), NEW)
    if not told:
        assert content == NEW  # what was not complained about is there
    if isinstance(error, OSError) and at < made:
        assert {each.name for each in path.parent.iterdir()} <= {"record.json"}  # and no litter


def killed_at(step: int, work: Callable[[], None]) -> bool:
    """Do the work in a forked process that ends, without a word or a cleanup, at its `step`-th traced instruction.

    Every opcode of `ablab.records` is one, every line of what it calls. Returns whether it came that far.
    """
    pid = os.fork()
    if not pid:
        left = step

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal left
            frame.f_trace_opcodes = frame.f_code.co_filename == records.__file__
            left -= 1
            if left <= 0:
                os._exit(9)
            return trace

        try:
            sys.settrace(trace)
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9


def test_a_process_that_dies_at_any_instruction_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    path, seen = tmp_path / "record.json", list[str]()
    records.write_bytes(path, b"old")
    step, stride = 1, 8  # every eighth of some hundred
    while killed_at(step, lambda: records.write_bytes(path, b"new")):
        seen.append(path.read_text())
        records.write_bytes(path, b"old")
        step += stride
    assert path.read_text() == "new"
    assert set(seen) == {"old", "new"}
    assert seen == sorted(seen, reverse=True)  # old up to the rename, new from there on
    assert len(seen) > 20
