"""Workers as processes of this machine, each in its own session: nothing that happens to a page reaches it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from studio.jobs.process import ProcessIdentity, identity_of, is_alive
from studio.jobs.store import Job
from studio.settings import ROOT, Settings, worker_environment


def log_path(settings: Settings, job: Job) -> Path:
    """Where a job's worker writes: in its run's folder, else among the workspace's logs."""
    return (
        settings.runs / job.run / "log.txt" if job.run and job.kind == "train" else settings.logs / f"job-{job.id}.txt"
    )


class LocalRunner:
    """Starts ``python -m studio.worker JOB`` with stdin closed and output in a file.

    Output is never a pipe: a pipe that a page drains stops the training when the page closes (LLaMA-Factory #8817).
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def start(self, job: Job, token: str | None) -> ProcessIdentity | None:
        """Start a worker; the token goes through an anonymous pipe that it reads once.

        Raises:
            OSError: If the log cannot be opened.
        """
        command = [sys.executable, "-m", "studio.worker", str(job.id), "--workspace", str(self._settings.workspace)]
        readable = -1
        if token is not None:
            readable, writable = os.pipe()
            os.write(writable, token.encode())
            os.close(writable)
            command += ["--token-descriptor", str(readable)]
        path = log_path(self._settings, job)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("ab") as log:
                worker = subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=worker_environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=() if readable < 0 else (readable,),
                )
        finally:
            if readable >= 0:
                os.close(readable)
        _children.append(worker)
        try:
            return identity_of(worker.pid)
        except psutil.NoSuchProcess:  # it has ended already
            return None
        finally:
            _forget_ended()

    def alive(self, process: ProcessIdentity) -> bool:
        """Whether exactly this worker still runs."""
        _forget_ended()
        return is_alive(process)

    def kill(self, process: ProcessIdentity) -> None:
        """End the worker's whole process group at once."""
        if is_alive(process):
            os.killpg(process.pid, signal.SIGKILL)


# An ended child stays a zombie until its parent asks after it; the app asks at every look at the queue.
_children: list[subprocess.Popen[bytes]] = []


def _forget_ended() -> None:
    _children[:] = [child for child in _children if child.poll() is None]
