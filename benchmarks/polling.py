"""What live curves cost with 100,000 metric rows: time, bytes and processor per poll, from a real app over HTTP.

    python benchmarks/polling.py [--rows 100000] [--polls 300] [--json FILE]

Beside it, in the same run, the same poll as a Gradio event: what the studio would pay if pages polled that way.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from sqlalchemy import text

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from studio.jobs.metrics import COLUMNS  # noqa: E402
from studio.services.studio import open_studio  # noqa: E402
from studio.settings import Settings  # noqa: E402
from tests.live import LiveStudio  # noqa: E402

RUN = "long-1"


def fill(workspace: Path, rows: int) -> None:
    """Write a long run's metric rows."""
    studio = open_studio(Settings(workspace))
    (studio.settings.runs / RUN).mkdir(parents=True)
    recipe = (ROOT / "presets" / "recipes" / "first_steps.yaml").read_text(encoding="utf8")
    (studio.settings.runs / RUN / "recipe.yaml").write_text(recipe, encoding="utf8")
    noise = random.Random(0)
    values = [
        dict(zip(COLUMNS, (0, step, time.time(), 2 + noise.random(), noise.random() * 3, None, 2e-4, step * 800,
                           step * 900, 500 + noise.random(), 700.0, 10**9), strict=True))
        for step in range(1, rows + 1)
    ]  # fmt: skip
    names = ", ".join(COLUMNS)
    query = text(f"INSERT INTO metrics (run, {names}) VALUES ('{RUN}', {', '.join(':' + name for name in COLUMNS)})")
    with studio.jobs.database.writing() as connection:
        connection.execute(query, values)


def ask(address: str, body: dict[str, Any] | None = None) -> tuple[float, bytes]:
    """Seconds and bytes of one request."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"content-type": "application/json"} if data else {})
    started = time.monotonic()
    with urllib.request.urlopen(request, timeout=60) as answer:
        content = answer.read()
    return time.monotonic() - started, content


def processor(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def idle_cost(
    live: LiveStudio, address: str, polls: int, body: dict[str, Any] | None = None
) -> tuple[float, int, float]:
    """Median seconds, bytes, and milliseconds of processor per idle poll, less what the app uses when nobody asks."""
    assert live.process is not None
    process = psutil.Process(live.process.pid)
    for _ in range(10):
        ask(address, body)
    before = processor(process)
    time.sleep(3)
    idle = (processor(process) - before) / 3
    before, started = processor(process), time.monotonic()
    answers = [ask(address, body) for _ in range(polls)]
    used = processor(process) - before - idle * (time.monotonic() - started)
    return median(seconds for seconds, _ in answers), max(len(content) for _, content in answers), 1000 * used / polls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--polls", type=int, default=300)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / "workspace"
        fill(workspace, options.rows)
        live = LiveStudio(workspace).start()
        try:
            first = [ask(f"{live.address}/live/curves?subject={RUN}") for _ in range(5)]
            token = json.loads(first[0][1])["token"]
            idle = idle_cost(live, f"{live.address}/live/curves?subject={RUN}&after={token}", options.polls)
            event = idle_cost(live, f"{live.address}/en/gradio_api/run/curves", options.polls, {"data": [RUN, token]})
        finally:
            live.close()
    result = {
        "rows": options.rows,
        "first_poll_milliseconds": 1000 * median(seconds for seconds, _ in first),
        "first_poll_kilobytes": len(first[0][1]) / 1000,
        "idle_poll_milliseconds": 1000 * idle[0],
        "idle_poll_kilobytes": idle[1] / 1000,
        "idle_poll_processor_milliseconds": idle[2],
        "same_as_gradio_event_processor_milliseconds": event[2],
        "ratio_to_gradio_event": idle[2] / event[2],
    }
    for key, value in result.items():
        print(f"{key}: {value:.2f}" if isinstance(value, float) else f"{key}: {value}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
