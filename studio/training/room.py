"""Whether what a training still needs is running low: room on the disk, memory of the machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

CHECKPOINTS_AHEAD = 3
"""Room for so many more checkpoints is little: pruning keeps as many, and each is written before one is removed."""
SPARE_DISK = 500_000_000
LEAST_MEMORY = 0.05
"""Share of the machine's memory; below it the system begins to end processes."""


def low(folder: Path, checkpoint_bytes: int, available: tuple[int, int]) -> Iterator[tuple[str, dict[str, int]]]:
    """What runs low: ``disk_low`` with free and needed bytes, ``memory_low`` with free and all bytes.

    Args:
        folder: On the disk that checkpoints are written to.
        checkpoint_bytes: Of one.
        available: Bytes of memory that are free, and all.
    """
    free, needed = shutil.disk_usage(folder).free, CHECKPOINTS_AHEAD * checkpoint_bytes + SPARE_DISK
    if free < needed:
        yield "disk_low", {"free": free, "needed": needed}
    spare, whole = available
    if spare < LEAST_MEMORY * whole:
        yield "memory_low", {"free": spare, "all": whole}
