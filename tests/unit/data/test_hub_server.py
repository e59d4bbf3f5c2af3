"""The real Hub libraries against a Hub on this machine, in one fresh process because they read the address once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

import pytest

from .hub_server import COPY, MAIN, REPOSITORIES, SERVED, serve

# After every answer it waits for a word, so that the bytes can be counted.
CLIENT = """
import json, sys
from pathlib import Path
from studio.data.hub import import_hub
from studio.data.hub_answers import find
from studio.errors import StudioError

for number, (repo, config, split, *limit) in enumerate(json.loads(sys.argv[2])):
    try:
        found = import_hub(
            repo, config, split, Path(sys.argv[1]), f"d{number}", rows_limit=limit[0] if limit else None,
            progress=lambda *_: None, stopping=lambda: False,
        )
        print(json.dumps(["stored", found.model_dump(mode="json")]), flush=True)
    except StudioError as error:
        print(json.dumps([error.code, error.details]), flush=True)
    sys.stdin.readline()
for repo in json.loads(sys.argv[3]):
    print(json.dumps(["state", find(repo)]), flush=True)
    sys.stdin.readline()
"""
STATES = {
    "org/good": "found",
    "org/lonely": "found",
    "org/nothing": "not_found",
    "org/closed": "gated",
    "org/moderated": "gated",
}
ASKED: dict[str, tuple] = {
    "good": ("org/good", None, "train"),
    "good, other config": ("org/good", "other", "train"),
    "unknown config": ("org/good", "x", "train"),
    "unknown split": ("org/good", None, "dev"),
    "unknown": ("org/nothing", None, "train"),
    "gated": ("org/closed", None, "train"),
    "script": ("org/script", None, "train"),
    "script without a copy": ("org/lonely", None, "train"),
    "script, one version": ("org/versions", "fa", "train"),
    "script, part of a version": ("org/versions", "en", "train"),
    "script, which version?": ("org/versions", None, "train"),
    "script, unknown version": ("org/versions", "de", "train"),
    "script, unknown split": ("org/versions", "fa", "dev"),
    "ten rows": ("org/large", None, "train", 10),
    "a thousand rows": ("org/large", None, "train", 1000),
}


class Answers(NamedTuple):
    """What came of every question, the datasets left behind, and the bytes that each question took."""

    told: dict[str, list]
    left: list[str]
    taken: dict[str, int]


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> Answers:
    folder = tmp_path_factory.mktemp("hub")
    with serve() as server, (folder / "errors").open("w") as errors:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = subprocess.Popen(
            [sys.executable, "-c", CLIENT, str(folder / "datasets"), json.dumps(list(ASKED.values())),
             json.dumps(list(STATES))],
            env={
                **os.environ,
                "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
                "HF_HOME": str(folder / "home"),
                "HF_HUB_DISABLE_XET": "1",
            },
            cwd=Path(__file__).parents[3],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )  # fmt: skip
        told, taken = dict[str, list](), dict[str, int]()
        assert client.stdin is not None
        assert client.stdout is not None
        for asked in [*ASKED, *STATES]:
            before = SERVED.total()
            lines = (line for line in client.stdout if line.startswith("["))
            line = next(lines, "")
            assert line, (folder / "errors").read_text()
            told[asked], taken[asked] = json.loads(line), SERVED.total() - before
            client.stdin.write("\n")
            client.stdin.flush()
        client.communicate(timeout=60)
        server.shutdown()
    left = sorted(item.name for item in (folder / "datasets").iterdir())
    return Answers(told, left, taken)


@pytest.mark.parametrize(
    ("asked", "code", "details"),
    [
        ("unknown config", "hub.unknown_config", {"repo": "org/good", "config": "x", "available": "default, other"}),
        ("unknown split", "hub.unknown_split", {"repo": "org/good", "split": "dev", "available": "train"}),
        ("unknown", "hub.unknown_dataset", {"repo": "org/nothing"}),
        ("gated", "hub.gated", {"repo": "org/closed"}),
        ("script without a copy", "hub.script_dataset", {"repo": "org/lonely"}),
        ("script, which version?", "hub.config_missing", {"repo": "org/versions", "available": "en, fa"}),
        (
            "script, unknown version",
            "hub.unknown_config",
            {"repo": "org/versions", "config": "de", "available": "en, fa"},
        ),
        ("script, unknown split", "hub.unknown_split", {"repo": "org/versions", "split": "dev", "available": "train"}),
    ],
)
def test_refusals_of_the_real_libraries(answers, asked, code, details) -> None:
    assert answers.told[asked] == [code, details]


@pytest.mark.parametrize(
    ("asked", "source"),
    [
        ("good", "hub:org/good/train"),
        ("good, other config", "hub:org/good/other/train"),
        ("script", "hub:org/script/train"),
    ],
)
def test_datasets_are_streamed_and_stored(answers, asked, source) -> None:
    outcome, found = answers.told[asked]
    assert outcome == "stored", found
    assert (found["rows"], found["source"], found["licence"]) == (300, source, "cc-by-4.0")


def test_refused_datasets_leave_nothing(answers) -> None:
    assert answers.left == ["d0", "d1", "d13", "d14", "d6", "d8", "d9"]


def test_a_copy_is_read_one_configuration_at_a_time(answers) -> None:
    (_, persian), (_, english) = answers.told["script, one version"], answers.told["script, part of a version"]
    assert (persian["rows"], persian["persian_share"]) == (300, 1.0)
    assert (english["rows"], english["persian_share"]) == (70, 0.0)


def test_the_commit_that_was_read_is_recorded(answers) -> None:
    origins = {asked: answers.told[asked][1]["origin"] for asked in ("good", "script")}
    assert [(each["revision"], each["parquet_copy"]) for each in origins.values()] == [(MAIN, False), (COPY, True)]


def test_no_more_than_the_rows_need_is_downloaded(answers) -> None:
    whole = len(REPOSITORIES["large"][MAIN]["train.parquet"])
    assert whole > 20_000_000
    ten, thousand = answers.taken["ten rows"], answers.taken["a thousand rows"]
    assert (answers.told["ten rows"][1]["rows"], answers.told["a thousand rows"][1]["rows"]) == (10, 1000)
    assert ten < 0.35 * whole, f"{ten} of {whole} bytes"
    assert thousand < 0.6 * whole, f"{thousand} of {whole} bytes"


def test_the_warning_of_a_licence_reaches_the_manifest(answers) -> None:
    _, found = answers.told["ten rows"]
    assert (found["licence"], found["origin"]["warnings"]) == ("cc-by-nc-4.0", ["non_commercial"])
    assert answers.told["good"][1]["origin"]["warnings"] == []


@pytest.mark.parametrize(("repo", "state"), STATES.items())
def test_what_is_there_and_what_is_not(answers, repo, state) -> None:
    assert answers.told[repo] == ["state", state]
