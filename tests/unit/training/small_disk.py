"""A training whose disk fills in the middle of a checkpoint; `test_small_disk.py` starts it where it may mount one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from studio.errors import StudioError
from studio.jobs.events import MetricRow
from studio.models.files import locate
from studio.recipes import parse_recipe
from studio.settings import Settings
from studio.training import checkpoints, curriculum


def main(workspace: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Train ``whole`` on the big disk and ``full`` on a small one, which is given room again after it has failed."""
    settings, recipe = Settings(workspace), parse_recipe(given)

    def train(run: str, fill: int = 0) -> list[MetricRow]:
        rows: list[MetricRow] = []

        def record(row: MetricRow) -> None:
            rows.append(row)
            if fill and row.step == 3:  # the checkpoint of step 2 is there, that of step 4 has half the room it needs
                left = os.statvfs(settings.runs / run)
                (settings.runs / run / "filler").write_bytes(bytes(left.f_bavail * left.f_frsize - fill))

        curriculum.train(
            settings.runs / run, recipe, locate(recipe.base, settings), settings, record=record,
            progress=lambda fraction, note: None, stopping=lambda: False, dtype=torch.float32, journal=None,
        )  # fmt: skip
        return rows

    whole = train("whole")
    stage = settings.runs / "full" / "stages" / "00-chat"
    saved = checkpoints.checkpoint_folder(settings.runs / "whole" / "stages" / "00-chat", 4)
    (settings.runs / "full").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "small", settings.runs / "full"], check=True)
    try:
        train("full", fill=sum(path.stat().st_size for path in saved.iterdir()) // 2)
        told = ""
    except StudioError as error:
        told = error.code
    left = [path.name for path in (stage / "checkpoints").iterdir()]
    (settings.runs / "full" / "filler").unlink()
    rest = train("full")
    return {
        "told": told,
        "left": sorted(left),
        "steps": [row.step for row in rest],
        "losses": [row.loss for row in rest],
        "whole": [row.loss for row in whole],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), json.loads(sys.argv[2]))) + "\n")
