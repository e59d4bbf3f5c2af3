"""SIGKILL at random to the app and to workers over a stream of short jobs; then every job must be done, once."""

from __future__ import annotations

import random
import re
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from studio.data.manifest import read_manifest
from studio.jobs.local import log_path
from studio.jobs.store import ENDED, Job, NewJob
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from tests.live import LiveStudio

ROWS = 300
AT_WORK = 6
"""Jobs that are kept in the queue while it rains."""
APP_SHARE = 0.2
PATIENCE = 240.0
"""Seconds without any job ending after which the queue is called stuck; a worker killed before its claim costs 60."""


def measure(kills: int, seed: int) -> dict[str, Any]:
    """Kill, resume what was lost as a user would, wait for the end, and hold what is there against what was asked."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / "workspace"
        studio = open_studio(Settings(workspace))
        live = LiveStudio(workspace).start()
        stream, began = Stream(studio), time.monotonic()
        try:
            killed = _rain(studio, live, stream, kills, chance)
            stuck = _settle(studio, stream)
            found = {**killed, **_faults(studio, stream), "stuck": stuck}
        finally:
            live.close()
        left = [process.pid for process in _workers(workspace)]
        lost = stream.resumed
    faults = [name for name in ("missing", "wrong_rows", "run_twice", "stuck", "database") if found[name]]
    seconds = time.monotonic() - began
    figures = {"jobs": len(stream.jobs), "resumed": lost, "seconds": seconds, "workers_left": len(left)}
    return {"kills": kills, **figures, **found, "faults": faults + (["workers_left"] if left else [])}


class Stream:
    """Imports of small files, each followed by an examination of what it brought."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._files = Path(tempfile.mkdtemp(dir=studio.settings.workspace))
        self.jobs: list[int] = []
        self.names: list[str] = []
        self.resumed = 0

    def feed(self) -> None:
        """Keep enough in the queue."""
        while self.unfinished() < AT_WORK:
            name = f"texts-{len(self.names)}"
            file = self._files / f"{name}.txt"
            rows = [f"سطر {number} از {name} برای آزمودن." for number in range(ROWS)]
            file.write_text("\n".join(rows) + "\n", encoding="utf8")
            arguments = {"source": "files", "files": [str(file)], "name": name, "licence": "CC0-1.0"}
            first = self._studio.jobs.add(NewJob("import", name, arguments))
            after: dict[str, Any] = {"name": name, "against": [], "model": None}
            second = self._studio.jobs.add(NewJob("examine", name, after, after=(first,)))
            self.jobs += [first, second]
            self.names.append(name)

    def unfinished(self) -> int:
        return sum(job.state not in ENDED for job in self.found())

    def found(self) -> list[Job]:
        return self._studio.jobs.listing(limit=1_000_000)

    def resume(self) -> None:
        """Press «resume» on what did not end well, what comes first first."""
        for job in sorted(self.found(), key=lambda job: job.id):
            if job.state in ENDED and job.state != "done":
                self._studio.queue.resume(job.id)
                self.resumed += 1


def _rain(studio: Studio, live: LiveStudio, stream: Stream, kills: int, chance: random.Random) -> dict[str, int]:
    counted = {"apps_killed": 0, "workers_killed": 0}
    while sum(counted.values()) < kills:
        stream.feed()
        stream.resume()
        time.sleep(chance.uniform(0.02, 1.5))
        if chance.random() < APP_SHARE:
            live.kill()
            counted["apps_killed"] += 1
            time.sleep(chance.uniform(0, 1))
            live.start()
            continue
        workers = _workers(studio.settings.workspace)
        if workers:
            try:
                chance.choice(workers).send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
            counted["workers_killed"] += 1
    return counted


def _settle(studio: Studio, stream: Stream) -> list[str]:
    """Wait until all is done; what is not, if nothing ends any more."""
    moved, done = time.monotonic(), -1
    while True:
        stream.resume()
        found = stream.found()
        now_done = sum(job.state == "done" for job in found)
        if now_done == len(found):
            return []
        if now_done != done:
            moved, done = time.monotonic(), now_done
        if time.monotonic() - moved > PATIENCE:
            return [f"{job.id} {job.kind} {job.state} {job.error}" for job in found if job.state != "done"]
        time.sleep(0.5)


def _faults(studio: Studio, stream: Stream) -> dict[str, Any]:
    known = {job.id for job in stream.found()}
    wrong, twice = [], []
    for name in stream.names:
        folder = studio.settings.datasets / name
        rows = read_manifest(folder).rows if (folder / "manifest.json").exists() else 0
        if rows != ROWS:
            wrong.append(f"{name}: {rows}")
    for job in stream.found():
        told = log_path(studio.settings, job).read_text(encoding="utf8", errors="replace")
        attempts = re.findall(rf"job {job.id}: .*, attempt (\d+)$", told, re.MULTILINE)
        ends = re.findall(rf"job {job.id}: done$", told, re.MULTILINE)
        if len(ends) > 1 or len(set(attempts)) != len(attempts) or len(attempts) > job.attempts:
            twice.append(f"{job.id}: attempts {attempts} of {job.attempts}, {len(ends)} ends")
    with studio.jobs.database.reading() as connection:
        sound = connection.exec_driver_sql("PRAGMA integrity_check").scalar_one()
        leases = connection.exec_driver_sql("SELECT COUNT(*) FROM leases").scalar_one()
    return {
        "missing": sorted(set(stream.jobs) - known),
        "wrong_rows": wrong,
        "run_twice": twice,
        "database": [] if (sound, leases) == ("ok", 0) else [f"{sound}, {leases} leases"],
        "folders_left_behind": sum(path.name.startswith(".") for path in studio.settings.datasets.iterdir()),
    }


def _workers(workspace: Path) -> list[psutil.Process]:
    """Worker processes of this workspace, those included that have not claimed their job yet."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if "studio.worker" in words and str(workspace) in words and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found
