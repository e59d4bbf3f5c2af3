"""Programs that an export runs beside itself: watched, ended when the job is, their words kept in a file."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from studio.errors import StudioError
from studio.jobs.events import Stopping
from studio.settings import child_environment

_POLL_SECONDS = 0.2


def run_child(command: Sequence[str], log: Path, *, watch: Callable[[], None], stopping: Stopping) -> int:
    """Run `command` to its end and return its exit status.

    Args:
        command: Program and arguments; the model hub is out of its reach.
        log: Gets all that it prints.
        watch: Called a few times a second, to tell the progress.
        stopping: Asked as often; the program is killed when it says so.

    Raises:
        StudioError: ``job.stopped``.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=child_environment() | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
        )
    try:
        while process.poll() is None:
            if stopping():
                raise StudioError("job.stopped")
            watch()
            time.sleep(_POLL_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return process.returncode


def last_words(log: Path) -> str:
    """The last line that a program printed, cut to what fits a sentence."""
    lines = [line.strip() for line in log.read_text(encoding="utf8", errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")[-300:]
