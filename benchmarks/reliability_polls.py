"""Many open pages during a training: their answers, the server's processor, and what the training feels of it."""

from __future__ import annotations

import http.client
import json
import random
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

import psutil

from studio.services.studio import open_studio
from studio.settings import Settings
from tests.live import LiveStudio, command
from tests.starter import fetch_starter
from tests.tiny import build_tiny

INTERVAL = 2.0
"""Seconds between the polls of a page, as ``assets/studio.js`` has it."""
ASKED = ("status", "board", "curves", "report", "answers")
"""What an open page of the training tab asks for at every beat."""
STEPS = 100_000  # nobody waits for them: the run is stopped at the end


def measure(clients: int, seconds: float, turns: int, *, tiny: bool) -> dict[str, Any]:
    """Turn about, `turns` times each: `seconds` without pages, and `seconds` with `clients` of them."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / "workspace"
        run, job = _begin(workspace, tiny=tiny)
        live = LiveStudio(workspace).start()
        studio = open_studio(Settings(workspace))
        try:
            while studio.metrics.latest(run) is None:
                time.sleep(0.5)
            assert live.process is not None
            server = psutil.Process(live.process.pid)
            quiet: list[tuple[float, float]] = []
            busy: list[tuple[float, float]] = []
            idle, used, answers = 0.0, 0.0, []
            for turn in range(turns):
                for each in (quiet, busy) if turn % 2 == 0 else (busy, quiet):
                    before, began = _processor(server), time.time()
                    if each is busy:
                        answers += poll(live.port, clients, seconds, run)
                        used += _processor(server) - before
                    else:
                        time.sleep(seconds)
                        idle += _processor(server) - before
                    each.append((began, time.time()))
            speeds = [_speeds(studio, run, windows) for windows in (quiet, busy)]
            command(workspace, "jobs", "stop", str(job))
        finally:
            live.close()
    taken = sorted(1000 * one for one, _ in answers)
    p95 = taken[int(0.95 * len(taken))]
    cost = 1000 * max(used - idle, 0.0) / len(answers)
    refused = sum(status != 200 for _, status in answers)
    faults = [name for name, bad in (("p95", p95 > 300), ("processor", cost > 3), ("refused", refused)) if bad]
    return {
        "clients": clients,
        "model": "tiny" if tiny else "starter:smollm2-135m",
        "answers": len(answers),
        "refused": refused,
        "answer_milliseconds_median": median(taken),
        "answer_milliseconds_p95": p95,
        "processor_milliseconds_per_answer": cost,
        "tokens_per_second_without": median(speeds[0]),
        "tokens_per_second_with": median(speeds[1]),
        "slowdown_percent": 100 * (1 - median(speeds[1]) / median(speeds[0])),
        "slowdowns_percent_of_turns": [
            round(100 * (1 - with_ / without), 1) for without, with_ in zip(*speeds, strict=True)
        ],
        "faults": faults,
    }


def poll(port: int, clients: int, seconds: float, run: str) -> list[tuple[float, int]]:
    """Seconds and status of every answer that `clients` pages got within `seconds`."""
    answers: list[tuple[float, int]] = []
    give_up = time.monotonic() + seconds

    def page(number: int) -> None:
        tokens = dict.fromkeys(ASKED, "")
        time.sleep(random.Random(number).uniform(0, INTERVAL))
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while time.monotonic() < give_up:
            beat = time.monotonic()
            for name in ASKED:
                began = time.perf_counter()
                connection.request("GET", f"/live/{name}?{urlencode({'subject': run, 'after': tokens[name]})}")
                answer = connection.getresponse()
                told = json.loads(answer.read())
                answers.append((time.perf_counter() - began, answer.status))
                tokens[name] = str(told.get("token", ""))
            time.sleep(max(INTERVAL - (time.monotonic() - beat), 0))
        connection.close()

    threads = [threading.Thread(target=page, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def _begin(workspace: Path, *, tiny: bool) -> tuple[str, int]:
    """Start the training; its run and job."""
    workspace.mkdir()
    base: Path | str = "starter:smollm2-135m"
    if tiny:
        base = f"local:{build_tiny(workspace / 'models' / 'tiny')}"
    else:
        (workspace / "models").symlink_to(fetch_starter("smollm2-135m").parent)
    settings = ("--set", f"base={base}", "--set", f"stages.0.budget.steps={STEPS}")
    started = command(workspace, "run", "first_steps", *settings, "--detach")
    return started["run"], started["job"]


def _speeds(studio: Any, run: str, windows: list[tuple[float, float]]) -> list[float]:
    """Tokens a second within each window, between the first and the last step that end there."""
    rows = [row[1:] for row in studio.metrics.rows_after(run, 0, ("time", "tokens"))]
    found = []
    for began, ended in windows:
        inside = [row for row in rows if began <= row[0] <= ended]
        if len(inside) < 3:
            raise ValueError(f"{len(inside)} steps within {ended - began:.0f} s: give longer turns")
        found.append((inside[-1][1] - inside[0][1]) / (inside[-1][0] - inside[0][0]))
    return found


def _processor(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
