"""Who does something: a process, named so that another one can tell whether it is still there."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import psutil

BORN_WITHIN = 2.0  # seconds; a process's birth is reckoned from the machine's, which the clock's corrections move


@dataclass(frozen=True)
class Owner:
    """A process. `machine` tells two of one name apart; `born` (seconds since 1970) two of one number."""

    host: str
    machine: str
    pid: int
    born: float
    since: str  # when it took what it owns, ISO 8601

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def this_process() -> Owner:
    """The process that asks."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Owner(socket.gethostname(), _machine(), os.getpid(), psutil.Process().create_time(), now)


def owner(data: Any) -> Owner | None:
    """An owner from JSON; None where it is none, as in a file whose writer died over it."""
    if not isinstance(data, Mapping):
        return None
    with suppress(TypeError, KeyError, ValueError):
        return Owner(str(data["host"]), str(data["machine"]), int(data["pid"]), float(data["born"]), str(data["since"]))
    return None


def alive(asked: Owner) -> bool | None:
    """Whether it is still there; None for a process of another machine, which cannot be asked."""
    if (asked.host, asked.machine) != (socket.gethostname(), _machine()):
        return None
    try:
        process = psutil.Process(asked.pid)
        return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - asked.born) < BORN_WITHIN
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


@cache
def _machine() -> str:
    """The boot and the process namespace (containers of one name) where Linux tells them; "" elsewhere."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    return ""
