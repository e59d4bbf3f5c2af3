"""The real Hub libraries against a Hub on this machine, in one fresh process because they read the address once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from .hub_server import serve

CLIENT = """
import json, sys
from pathlib import Path
from studio.data.hub import import_hub
from studio.errors import StudioError

for number, (repo, config, split) in enumerate(json.loads(sys.argv[2])):
    try:
        found = import_hub(
            repo, config, split, Path(sys.argv[1]), f"d{number}", progress=lambda *_: None, stopping=lambda: False
        )
        print(json.dumps(["stored", found.model_dump(mode="json")]), flush=True)
    except StudioError as error:
        print(json.dumps([error.code, error.details]), flush=True)
"""
ASKED = {
    "good": ("org/good", None, "train"),
    "good, other config": ("org/good", "other", "train"),
    "unknown config": ("org/good", "x", "train"),
    "unknown split": ("org/good", None, "dev"),
    "unknown": ("org/nothing", None, "train"),
    "gated": ("org/closed", None, "train"),
    "script": ("org/script", None, "train"),
    "script without a copy": ("org/lonely", None, "train"),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> tuple[dict[str, list], list[str]]:
    folder = tmp_path_factory.mktemp("hub")
    with serve() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        finished = subprocess.run(
            [sys.executable, "-c", CLIENT, str(folder / "datasets"), json.dumps(list(ASKED.values()))],
            env={
                **os.environ,
                "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
                "HF_HOME": str(folder / "home"),
                "HF_HUB_DISABLE_XET": "1",
            },
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        server.shutdown()
    lines = [json.loads(line) for line in finished.stdout.splitlines() if line.startswith("[")]
    assert len(lines) == len(ASKED), finished.stderr
    left = sorted(item.name for item in (folder / "datasets").iterdir())
    return dict(zip(ASKED, lines, strict=True)), left


@pytest.mark.parametrize(
    ("asked", "code", "details"),
    [
        ("unknown config", "hub.unknown_config", {"repo": "org/good", "config": "x", "available": "default, other"}),
        ("unknown split", "hub.unknown_split", {"repo": "org/good", "split": "dev", "available": "train"}),
        ("unknown", "hub.unknown_dataset", {"repo": "org/nothing"}),
        ("gated", "hub.gated", {"repo": "org/closed"}),
        ("script without a copy", "hub.script_dataset", {"repo": "org/lonely"}),
    ],
)
def test_refusals_of_the_real_libraries(answers, asked, code, details) -> None:
    assert answers[0][asked] == [code, details]


@pytest.mark.parametrize(
    ("asked", "source"),
    [
        ("good", "hub:org/good/train"),
        ("good, other config", "hub:org/good/other/train"),
        ("script", "hub:org/script/train"),
    ],
)
def test_datasets_are_streamed_and_stored(answers, asked, source) -> None:
    outcome, found = answers[0][asked]
    assert outcome == "stored", found
    assert (found["rows"], found["source"], found["licence"]) == (300, source, "cc-by-4.0")


def test_refused_datasets_leave_nothing(answers) -> None:
    assert answers[1] == ["d0", "d1", "d6"]
