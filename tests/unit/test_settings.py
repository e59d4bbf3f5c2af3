"""What the environment says, and what the studio's own processes find in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from studio.settings import ROOT, SPINS, WORKER_SPINS, load_settings, worker_environment


def test_an_address_of_the_newer_kind_stands_in_brackets(tmp_path: Path) -> None:
    assert load_settings(tmp_path, host="::1", port=7000).address == "http://[::1]:7000"
    assert load_settings(tmp_path, host="127.0.0.1", port=7000).address == "http://127.0.0.1:7000"


def told(environment: dict[str, str]) -> str:
    code = (
        "import os, studio.settings as settings\n"
        "print(os.environ['GOMP_SPINCOUNT'], settings.worker_environment()['GOMP_SPINCOUNT'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_threads_wait_awake_for_a_while_and_those_of_workers_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    assert told(dict(os.environ)) == f"{SPINS} {WORKER_SPINS}"
    monkeypatch.setenv("GOMP_SPINCOUNT", SPINS)
    assert told(worker_environment()) == f"{WORKER_SPINS} {WORKER_SPINS}", "a worker starts the next one"


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "0")
    assert told(dict(os.environ)) == "0 0"
