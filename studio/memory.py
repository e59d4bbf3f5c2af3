"""The most memory that this process has held, what the machine has left, and whom it ended for want of it."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import psutil

_STATUS = Path("/proc/self/status")
_EVENTS = Path("/proc/vmstat")


def peak_memory() -> int:
    """Bytes resident at most since the program began.

    Linux keeps ``ru_maxrss`` of whoever started the program: a counting process of 100 MB under a studio of 366 said
    366. Its ``VmHWM`` begins anew with each program.
    """
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def kills() -> int | None:
    """How many processes the system has ended since it began for want of memory; None where it does not count them.

    Linux counts those of containers and other limits, too.
    """
    try:
        words = _EVENTS.read_text().split()
        return int(words[words.index("oom_kill") + 1])
    except (OSError, ValueError):
        return None


def available() -> tuple[int, int]:
    """Bytes that programs could still take without others being moved to disk, and all of the machine's."""
    found = psutil.virtual_memory()
    return int(found.available), int(found.total)
