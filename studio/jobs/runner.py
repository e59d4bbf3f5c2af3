"""What the queue needs of a place that runs jobs: start one, and reach it if it does not stop by itself."""

from __future__ import annotations

from typing import Protocol

from studio.jobs.process import ProcessIdentity
from studio.jobs.store import Job


class Runner(Protocol):
    """A place where workers run; `studio.jobs.local` is this machine."""

    def start(self, job: Job, token: str | None) -> ProcessIdentity | None:
        """Start a worker that will claim `job`; `token` is a Hub token for it, or None. Says who it is, if known."""

    def alive(self, process: ProcessIdentity) -> bool:
        """Whether exactly this worker still runs."""

    def kill(self, process: ProcessIdentity) -> None:
        """End the worker and all it started, at once."""
