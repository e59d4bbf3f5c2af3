"""A clock for durations within one process: it begins at the wall's time and goes on evenly when that one is set."""

from __future__ import annotations

import time

_WALL, _MONOTONIC = time.time(), time.monotonic()


def steady() -> float:
    """Unix seconds as they were when this process began, plus the seconds since; a suspended machine stands still."""
    return _WALL + time.monotonic() - _MONOTONIC
