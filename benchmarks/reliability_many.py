"""How long pages take with hundreds of queued jobs and thousands of runs."""

from __future__ import annotations

import json
import tempfile
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import text

from studio.jobs.store import NewJob, insert_job
from studio.services.studio import Studio, open_studio
from studio.settings import ROOT, Settings
from tests.live import LiveStudio
from tests.ui.test_api import PANELS

ROUNDS = 7
LIMIT = 500.0
CLOCKS: dict[str, list[Any]] = {"job_choices": [None], "runs": [None, "first_steps", "starter:smollm2-135m", "", []]}
"""What the clocks of the fullest pages ask for, and with what."""


def measure(queued: int, ended: int) -> dict[str, Any]:
    """Milliseconds, medians of `ROUNDS`, of the pages, of each panel, of the pages' clocks and of a look at the queue.

    `faults` names what takes longer than `LIMIT`.
    """
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / "workspace"
        studio = open_studio(Settings(workspace))
        fill(studio, queued, ended)
        studio.queue.advance()
        look = _milliseconds(studio.queue.advance)
        began = time.monotonic()
        live = LiveStudio(workspace).start()
        started = time.monotonic() - began
        try:
            asked = {f"/{locale}/": f"/{locale}/" for locale in ("fa", "en")}
            asked |= {f"live/{name}": f"/live/{name}?locale=fa" for name in PANELS}
            taken = {name: _milliseconds(partial(live.get, path)) for name, path in asked.items()}
            for name, values in CLOCKS.items():
                taken[name] = _milliseconds(partial(call, live, name, values))
        finally:
            live.close()
    slow = {name: round(each, 1) for name, each in taken.items() if each > LIMIT}
    return {
        "queued": queued,
        "ended": ended,
        "look_at_the_queue_milliseconds": look,
        "start_seconds": started,
        "slowest_milliseconds": max(taken.values()),
        "milliseconds": {name: round(each, 1) for name, each in sorted(taken.items(), key=lambda one: -one[1])},
        "faults": slow,
    }


def fill(studio: Studio, queued: int, ended: int) -> None:
    """Runs that have ended, each with its folder, job and some metrics, and jobs that wait for one that waits."""
    recipe = (ROOT / "presets" / "recipes" / "first_steps.yaml").read_text(encoding="utf8")
    result = {"run": "", "steps": 60, "loss": 2.1, "tokens_per_second": 512.0, "seconds": 90.0}
    with studio.jobs.database.writing() as connection:
        for number in range(ended):
            run = f"first_steps-{number}"
            folder = studio.settings.runs / run
            folder.mkdir()
            (folder / "recipe.yaml").write_text(recipe, encoding="utf8")
            job = insert_job(connection, NewJob("train", run, {"run": run}, "device", run))
            values = {"id": job, "result": json.dumps({**result, "run": run}), "now": time.time() - ended + number}
            connection.execute(
                text("""UPDATE jobs SET state = 'done', progress = 1, attempts = 1, started = :now, finished = :now,
                     result = :result WHERE id = :id"""),
                values,
            )
            row = {"run": run, "now": time.time()}
            connection.execute(
                text("""INSERT INTO metrics (run, stage, step, time, loss, tokens, characters)
                     VALUES (:run, 0, 60, :now, 2.1, 1000, 3000)"""),
                row,
            )
        first = insert_job(
            connection, NewJob("fetch", "hub:gated/model", {"model": "hub:gated/model"}, needs_token=True)
        )
        for number in range(queued - 1):
            insert_job(connection, NewJob("examine", f"texts-{number}", {"name": "x"}, after=(first,)))


def call(live: LiveStudio, name: str, values: list[Any]) -> None:
    """An event that goes round the queue, as a page sends it."""
    body = json.dumps({"data": values}).encode()
    address = f"{live.address}/en/gradio_api/run/{name}"
    request = urllib.request.Request(address, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        answer.read()


def _milliseconds(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - began))
    return median(taken)
