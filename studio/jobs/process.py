"""Which process is which: a pid alone is not an identity, since the kernel reuses it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

_TICK_BITS = 33
"""Ticks since boot (100 a second) fit for 2.7 years; 20 bits of the boot stand above: a REAL keeps 53 exactly."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process by pid and by `started`, a number that no other process of that pid has, after a reboot neither.

    On Linux it is the start in clock ticks since boot, and which boot. The time of day at which a process started, as
    psutil tells it, will not do: it is worked out from the moment of boot, which moves whenever the clock is set.
    """

    pid: int
    started: float


def identity_of(pid: int) -> ProcessIdentity:
    """The identity of the process that has `pid` now.

    Raises:
        psutil.NoSuchProcess: If there is none.
    """
    found = _started(pid)
    if found is None:
        raise psutil.NoSuchProcess(pid)
    return ProcessIdentity(pid, found)


def current_process() -> ProcessIdentity:
    """The identity of the calling process."""
    return identity_of(os.getpid())


def is_alive(process: ProcessIdentity) -> bool:
    """Whether exactly this process still runs; a zombie, or another process under the same pid, does not count."""
    found = _started(process.pid)
    # On Linux that is to the tick; elsewhere two readings of a start time may differ by a few ticks of 10 ms.
    return found is not None and abs(found - process.started) < 1.0


def of_this_boot(process: ProcessIdentity) -> bool:
    """Whether the machine has not begun anew since the process did; True where that cannot be told."""
    return not _BOOT.exists() or int(process.started) >> _TICK_BITS == boot_number()


def _started(pid: int) -> float | None:
    """What tells the process of `pid` from others of that pid; None if it has ended."""
    try:
        if not _BOOT.exists():
            found = psutil.Process(pid)
            return None if found.status() == psutil.STATUS_ZOMBIE else float(found.create_time())
        # The name of a program, in brackets, may hold anything; the fields that count stand after it.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return None
    if fields[0] in (b"Z", b"X"):
        return None
    return float((boot_number() << _TICK_BITS) + int(fields[19]) % (1 << _TICK_BITS))


@cache
def boot_number() -> int:
    """20 bits of this boot's own id."""
    return int(_BOOT.read_text().replace("-", "")[:5], 16)
