"""One job in one process: ``python -m studio.worker JOB``. It claims the job, does it, and starts what comes next."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from studio import workspace
from studio.errors import StudioError
from studio.jobs.database import PATIENT_SECONDS, Database
from studio.jobs.local import LocalRunner
from studio.jobs.metrics import MetricStore
from studio.jobs.process import current_process
from studio.jobs.queue import Queue
from studio.jobs.store import Job, JobStore
from studio.salvage import finished_before
from studio.settings import Settings, load_settings
from studio.tasks import TASKS

BEAT_SECONDS = 1.0
REPORT_SECONDS = 0.5

log = logging.getLogger("studio.worker")


@dataclass
class Work:
    """What a task may use: its job, the stores, and the two callables every long function takes."""

    job: Job
    settings: Settings
    store: JobStore
    metrics: MetricStore
    token: str | None
    stop: threading.Event = field(default_factory=threading.Event)
    _reported: float = 0.0

    def progress(self, fraction: float, note: str) -> None:
        """Tell how far the job is; written at most twice a second."""
        now = time.monotonic()
        if now - self._reported >= REPORT_SECONDS or fraction >= 1:
            self._reported = now
            try:
                self.store.report(self.job.id, fraction, note)
            except StudioError as error:  # the next report says more than this one: not worth the job
                log.warning("progress was not written: %s", error)

    def stopping(self) -> bool:
        """Whether somebody asked the job to stop."""
        return self.stop.is_set()


class _Heartbeat(threading.Thread):
    """Says every second that the job is alive and hears whether it shall stop."""

    def __init__(self, store: JobStore, job: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._store, self._job, self._stop_asked = store, job, stop
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(BEAT_SECONDS):
            try:
                if self._store.beat(self._job):
                    self._stop_asked.set()
            except StudioError as error:  # a locked database; without this thread nobody could stop the job later
                log.warning("no heartbeat: %s", error)


def main(arguments: list[str] | None = None) -> int:
    """Claim and do one job, then move the queue on; returns the exit status."""
    options = _parse(arguments)
    warnings.simplefilter("ignore", FutureWarning)  # libraries about each other: noise in a user's log
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns of a kernel that only 4-bit bases would use
    settings = load_settings(options.workspace)
    token = _read_token(options.token_descriptor)
    # Pages stay quick while a training uses every core: the worker steps back, they do not.
    os.nice(5)
    store = JobStore(Database(settings.database, PATIENT_SECONDS))
    queue = Queue(store, LocalRunner(settings))
    job = queue.claim(options.job, current_process())
    if job is None:
        return 0
    log.info("job %s: %s «%s», attempt %s", job.id, job.kind, job.title, job.attempts)
    work = Work(job, settings, store, MetricStore(store.database), token)
    signal.signal(signal.SIGTERM, lambda *_: work.stop.set())
    heartbeat = _Heartbeat(store, job.id, work.stop)
    heartbeat.start()
    try:
        failed = _do(work, TASKS[job.kind])
    finally:
        heartbeat.ended.set()
        heartbeat.join()
    queue.advance()
    return int(failed)


def _do(work: Work, task: Callable[[Work], dict[str, Any]]) -> bool:
    """Run the task and write how it ended; True if it failed."""
    try:
        result = finished_before(work.job, work.settings) or task(work)
    except StudioError as error:
        return _fail(work, error)
    except MemoryError:
        return _fail(work, StudioError("memory.host_full"))
    except OSError as error:
        log.exception("job %s", work.job.id)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            return _fail(work, workspace.disk_error(error, work.settings.workspace))
        return _fail(work, StudioError("job.unexpected", reason=str(error)))
    except Exception as error:  # the last border: an unforeseen fault still ends in a row and a log, never in silence
        log.exception("job %s", work.job.id)
        if type(error).__name__ == "OutOfMemoryError":
            return _fail(work, StudioError("memory.device_full"))
        return _fail(work, StudioError("job.unexpected", reason=f"{type(error).__name__}: {error}"))
    state = "stopped" if result.get("state") == "stopped" else "done"
    work.store.finish(work.job.id, "stopped" if state == "stopped" else "done", result=result)
    log.info("job %s: %s", work.job.id, state)
    return False


def _fail(work: Work, error: StudioError) -> bool:
    if error.code == "job.again":
        log.info("job %s: again, in a new process", work.job.id)
        work.store.again(work.job.id, error.details)
        return False
    stopped = error.code == "job.stopped"
    work.store.finish(work.job.id, "stopped" if stopped else "failed", error=None if stopped else error)
    log.info("job %s: %s", work.job.id, error)
    return not stopped


def _read_token(descriptor: int | None) -> str | None:
    if descriptor is None:
        return None
    with os.fdopen(descriptor, "r", encoding="utf8") as pipe:
        return pipe.read() or None


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m studio.worker", description=__doc__)
    parser.add_argument("job", type=int)
    parser.add_argument("--workspace", required=True)
    parser.add_argument("--token-descriptor", type=int, default=None)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
