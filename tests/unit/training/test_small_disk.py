"""A disk that is full in the middle of a checkpoint: a real one, of 64 MB, in a mount namespace of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from studio.settings import ROOT, Settings

RECIPE = {
    "name": "small",
    "stages": [
        {"name": "chat", "kind": "instruct", "data": [{"dataset": "chats"}], "budget": {"steps": 6},
         "rates": {"lora": 2e-3}, "batch": 2, "accumulation": 2, "length": 256}
    ],
}  # fmt: skip

ALONE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]


def test_the_checkpoint_before_stays_whole_and_the_run_goes_on_from_it(settings: Settings, tiny_model: Path) -> None:
    recipe = json.dumps({**RECIPE, "base": f"local:{tiny_model}"})
    child = [sys.executable, "-m", "tests.unit.training.small_disk", str(settings.workspace), recipe]
    if subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a disk of their own")
    done = subprocess.run([*ALONE, *child], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["told"] == "disk.full"
    assert found["left"] == ["step-000002"], "no half of the one of step 4"
    assert found["steps"] == [3, 4, 5, 6]
    assert found["losses"] == found["whole"][2:]
