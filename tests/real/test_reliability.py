"""The reliability benchmark in small: kills at random, senseless calls, and many jobs, each on a live studio."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from studio.settings import ROOT


def measured(tmp_path: Path, part: str, *options: str) -> dict[str, Any]:
    """The figures of one part; it exits with 1 if it found a fault, and they say which."""
    file = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "benchmarks/reliability.py", "--parts", part, "--json", str(file), *options],
        cwd=ROOT, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert file.exists(), done.stderr
    figures: dict[str, Any] = json.loads(file.read_text(encoding="utf8"))[part]
    assert not figures["faults"], json.dumps(figures, indent=2, ensure_ascii=False)
    assert done.returncode == 0
    return figures


def test_nothing_is_lost_or_run_twice_when_it_rains_kills(tmp_path: Path) -> None:
    figures = measured(tmp_path, "kills", "--kills", "10")
    assert figures["apps_killed"] + figures["workers_killed"] == 10
    assert figures["workers_killed"] > 0
    assert figures["jobs"] >= 6


def test_senseless_calls_meet_refusals_and_reach_no_file_outside(tmp_path: Path) -> None:
    figures = measured(tmp_path, "fuzz", "--seconds", "5", "--examples", "1")
    assert figures["endpoints"] > 100
    assert figures["calls"] >= figures["endpoints"]
    assert 0 < figures["answered"] < figures["calls"], "some are answered, some refused"


def test_a_long_queue_is_looked_at_quickly(tmp_path: Path) -> None:
    figures = measured(tmp_path, "many", "--queued", "500", "--ended", "20")
    assert figures["look_at_the_queue_milliseconds"] < 250
