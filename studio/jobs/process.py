"""Which process is which: a pid alone is not an identity, since the kernel reuses it."""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process by pid and by the moment it started (seconds, as psutil tells it)."""

    pid: int
    started: float


def current_process() -> ProcessIdentity:
    """The identity of the calling process."""
    pid = os.getpid()
    return ProcessIdentity(pid, psutil.Process(pid).create_time())


def is_alive(process: ProcessIdentity) -> bool:
    """Whether exactly this process still runs; a zombie, or another process under the same pid, does not count."""
    try:
        found = psutil.Process(process.pid)
        # The start time is derived from boot time and clock ticks: two readings may differ by a few ticks of 10 ms.
        return abs(found.create_time() - process.started) < 1.0 and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
