"""A studio whose jobs run in the test's own process: 20 workers would each import torch and peft for eight seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from studio.jobs.metrics import MetricStore
from studio.jobs.process import ProcessIdentity, current_process
from studio.jobs.queue import Queue
from studio.jobs.store import Job
from studio.services.studio import Studio, Vault, open_studio
from studio.settings import Settings
from studio.worker import Work


class Here:
    """Takes the place of `LocalRunner`: it starts nothing by itself, and `run_all` does what waits."""

    def __init__(self, settings: Settings) -> None:
        opened = open_studio(settings)
        self._waiting: list[int] = []
        self.studio: Studio = replace(opened, queue=Queue(opened.jobs, self), vault=Vault())

    def start(self, job: Job, token: str | None) -> None:
        self._waiting.append(job.id)

    def alive(self, process: ProcessIdentity) -> bool:
        return True

    def kill(self, process: ProcessIdentity) -> None:
        raise AssertionError("nothing is killed here")

    def run_all(self, do: Callable[[Work], None]) -> None:
        """Run every job that may, until none waits; `do` also sets how it ended."""
        store = self.studio.jobs
        while self._waiting:
            claimed = self.studio.queue.claim(self._waiting.pop(0), current_process())
            assert claimed is not None
            do(Work(claimed, self.studio.settings, store, MetricStore(store.database), None))
            self.studio.queue.advance()
