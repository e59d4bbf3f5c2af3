"""What the history costs with many runs: milliseconds of every answer its tab asks for, from a real app over HTTP.

    python benchmarks/history.py [--runs 2000] [--steps 100] [--times 20] [--json FILE]

No run is trained: recipes, rows and folders are written as a training leaves them. Beside it, the clocks of the
other tabs that list runs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import text

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from gradio_client import Client  # noqa: E402

from studio.jobs.metrics import COLUMNS  # noqa: E402
from studio.recipes import preset_recipe  # noqa: E402
from studio.services.studio import Studio, open_studio  # noqa: E402
from studio.settings import Settings  # noqa: E402
from studio.ui.train_draft import Draft  # noqa: E402
from tests.live import LiveStudio  # noqa: E402
from tests.past import make_run, measure  # noqa: E402

LIMIT = 500.0  # milliseconds, of the page and of each answer to the history's tab
OTHERS = "other tabs"  # told beside it, and held to nothing
STAGES = 3


def fill(studio: Studio, runs: int, steps: int) -> None:
    """Write the runs, each of three stages, with their metric rows in one go."""
    recipe = preset_recipe("recommended")
    for number in range(runs):
        name = f"recommended-{number}"
        make_run(studio, name, recipe, created=1_800_000_000.0 + number, steps=(0,) * STAGES, checkpoints={2: (20,)})
        if number % 100 == 0:
            studio.run_notes.set_title(name, f"نام {number}")
            for stage in range(-1, STAGES):
                measure(studio, name, stage, steps if stage >= 0 else 0, 2.0 - stage / 10, 1.5)
    names = ", ".join(COLUMNS)
    query = text(f"INSERT INTO metrics (run, {names}) VALUES (:run, {', '.join(':' + name for name in COLUMNS)})")
    for number in range(runs):
        rows = [
            {"run": f"recommended-{number}", **dict(zip(COLUMNS, _row(stage, step, steps), strict=True))}
            for stage in range(STAGES)
            for step in range(1, steps + 1)
        ]
        with studio.jobs.database.writing() as connection:
            connection.execute(query, rows)


def _row(stage: int, step: int, steps: int) -> tuple[Any, ...]:
    done = (stage * steps + step) * 800
    return (stage, step, time.time(), 2.0, 1.0, None, 2e-4, done, 3 * done, 500.0, 700.0, 10**9, None)


def timed(ask: Callable[[], object], times: int) -> dict[str, float]:
    """Milliseconds: of the first call, of the middle one and of the slowest after the first."""
    taken = []
    for _ in range(times + 1):
        started = time.monotonic()
        ask()
        taken.append((time.monotonic() - started) * 1000)
    rest = sorted(taken[1:])
    figures = {"first": taken[0], "median": median(rest), "p95": rest[int(0.95 * (len(rest) - 1))]}
    return {name: round(value, 1) for name, value in figures.items()}


def asked(live: LiveStudio, runs: int) -> dict[str, Callable[[], object]]:
    """Everything that the tab asks for, then what other tabs ask."""
    client = Client(f"{live.address}/fa/", verbose=False)
    newest = f"recommended-{runs - 1}"
    form = list(asdict(Draft("first_steps")).values())

    def get(path: str, **question: str) -> Callable[[], bytes]:
        return lambda: live.get(f"{path}?{urllib.parse.urlencode(question)}")

    def call(name: str, *values: Any) -> Callable[[], object]:
        return lambda: client.predict(*values, api_name=f"/{name}")

    return {
        "the page itself": get("/fa/"),
        "table, poll": get("/live/history", locale="fa", subject="0:", after=""),
        "table, last page": get("/live/history", locale="fa", subject="9999:", after=""),
        "table, words": get("/live/history", locale="fa", subject="0:نام 1", after=""),
        "one run, poll": get("/live/past_run", locale="fa", subject=newest, after=""),
        "choices, clock": call("history_runs", "", 0, newest, [newest, "recommended-0"]),
        "find": call("history_find", "نام 1", 0, newest, []),
        "older": call("history_older", "", 3, newest, []),
        "open": call("history_open", newest),
        "compare six": call("history_compare", [f"recommended-{number}" for number in range(6)]),
        "curves of one": get("/live/curves", subject="recommended-0", after=""),
        "ask what is free": call("history_free", newest),
        "ask to delete": call("history_delete", newest),
        "save as CSV": get("/runs.csv"),
        "other tabs: runs, clock": call("runs", None, form[0], "starter:smollm2-135m", "", []),
        "other tabs: start, poll": get("/live/story", locale="fa", subject="", after=""),
        "other tabs: board, poll": get("/live/board", locale="fa", subject="", after=""),
        "other tabs: merge, clock": call("merge_choices", None),
        "other tabs: sharing, clock": call("shareable"),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / "workspace"
        fill(open_studio(Settings(workspace)), options.runs, options.steps)
        live = LiveStudio(workspace).start()
        try:
            for name, ask in asked(live, options.runs).items():
                figures[name] = timed(ask, options.times)
                first, middle, slow = figures[name].values()
                print(f"{name:28} first {first:8.1f} ms   median {middle:8.1f} ms   p95 {slow:8.1f} ms", flush=True)
        finally:
            live.close()
    own = {name: found for name, found in figures.items() if not name.startswith(OTHERS)}
    late = [name for name, found in own.items() if found["p95"] > LIMIT]
    print(
        f"{options.runs} runs of {STAGES * options.steps} steps; over {LIMIT:.0f} ms: {', '.join(late) or 'nothing'}"
    )
    if options.json:
        options.json.write_text(json.dumps({"runs": options.runs, "milliseconds": figures}, indent=2))
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
