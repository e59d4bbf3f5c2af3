"""A studio as a user starts it: ``python app.py`` in a process of its own, on a free port and a fresh workspace."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from studio.settings import ROOT


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Stay(urllib.request.HTTPRedirectHandler):
    """For an opener that does not follow where it is sent."""

    def redirect_request(self, *_: Any) -> None:
        return None


class LiveStudio:
    """Starts, kills and restarts one app of the sources in `root`; its workers outlive it.

    `variables` are added to its environment.
    """

    def __init__(self, workspace: Path, root: Path = ROOT, **variables: str) -> None:
        self.workspace, self._root = workspace, root
        self._variables = variables
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> LiveStudio:
        """Start the app and wait until it answers."""
        environment = {**os.environ, "PORT": str(self.port), "WORKSPACE": str(self.workspace), **self._variables}
        log = (self.workspace.parent / "app.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=self._root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        log.close()
        give_up = time.monotonic() + 60
        while True:
            try:
                self.get("/en/")
                return self
            except (urllib.error.URLError, ConnectionError) as error:
                if self.process.poll() is not None or time.monotonic() > give_up:
                    told = (self.workspace.parent / "app.log").read_text()
                    raise AssertionError(f"the app did not come up: {told}") from error
                time.sleep(0.1)

    def get(self, path: str) -> bytes:
        """The body of a page."""
        with urllib.request.urlopen(self.address + path, timeout=20) as answer:
            return bytes(answer.read())

    def kill(self) -> None:
        """End the app at once, as a crash would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def close(self) -> int:
        """End the app as Ctrl-C does, with all jobs and the chat; returns its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        status = self.process.wait(20)
        self.end_workers()
        return status

    def end_workers(self) -> None:
        """End whatever a test left running on this workspace."""
        from studio.jobs.local import LocalRunner
        from studio.services.studio import open_studio
        from studio.settings import Settings

        studio = open_studio(Settings(self.workspace))
        from studio.services import chat

        chat.unload(studio)
        runner = LocalRunner(studio.settings)
        for job in studio.jobs.listing(states=("queued", "waiting", "running", "stopping")):
            if job.process is not None:
                runner.kill(job.process)
            studio.jobs.finish(job.id, "stopped")

    def command(self, *words: str, status: int = 0) -> dict[str, Any]:
        """What ``python -m studio`` answers with ``--json``."""
        return command(self.workspace, *words, status=status)


def command(workspace: Path, *words: str, status: int = 0, timeout: float = 600) -> dict[str, Any]:
    """Run a verb with ``--json`` and hold its exit status and its one line of output."""
    done = subprocess.run(
        [sys.executable, "-m", "studio", *words, "--json", "--workspace", str(workspace)],
        cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
    assert done.returncode == status, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert done.stdout.count("\n") == 1, f"more than one line on stdout: {done.stdout!r}"
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def plain(workspace: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A verb without ``--json``, as a person types it."""
    kept = {key: value for key, value in os.environ.items() if key not in ("LC_ALL", "LC_MESSAGES", "LANG")}
    return subprocess.run(
        [sys.executable, "-m", "studio", *words, "--workspace", str(workspace)],
        cwd=ROOT, env={**kept, **environment}, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
