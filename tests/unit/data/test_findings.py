from __future__ import annotations

import json

import pytest

from studio.data.findings import SILENCES, check, read_findings
from studio.errors import StudioError


def ask(file, states, **options) -> dict:
    asked = []

    def find(repo, token) -> str:
        asked.append(repo)
        return states[repo]

    options = {"find": find, "reach": lambda: None, "stopping": lambda: False} | options
    return {"asked": asked, **check(list(states), file, token=None, progress=lambda *_: None, **options)}


def silent() -> None:
    raise StudioError("hub.unreachable", endpoint="x")


def test_answers_are_kept_with_their_date(tmp_path) -> None:
    file = tmp_path / "catalogue.json"
    told = ask(file, {"org/a": "found", "org/b": "not_found"})
    assert (told["checked"], told["states"]) == (2, {"found": 1, "not_found": 1})
    found = read_findings(file)
    assert {repo: each.state for repo, each in found.items()} == {"org/a": "found", "org/b": "not_found"}
    assert found["org/a"].checked.endswith("+00:00")
    ask(file, {"org/b": "gated"})
    assert {repo: each.state for repo, each in read_findings(file).items()} == {"org/a": "found", "org/b": "gated"}


def test_without_a_network_nothing_is_asked_and_nothing_known_is_lost(tmp_path) -> None:
    file = tmp_path / "catalogue.json"
    ask(file, {"org/a": "found"})
    told = ask(file, {"org/a": "found", "org/b": "found"}, reach=silent)
    assert (told["asked"], told["checked"], told["states"]) == ([], 0, {"unreachable": 2})
    assert {repo: each.state for repo, each in read_findings(file).items()} == {
        "org/a": "found",
        "org/b": "unreachable",
    }


def test_a_hub_that_falls_silent_is_not_asked_for_ever(tmp_path) -> None:
    states = {f"org/{number}": "unreachable" for number in range(20)}
    assert len(ask(tmp_path / "c.json", states)["asked"]) == SILENCES


def test_one_silence_is_no_silence(tmp_path) -> None:
    states = {f"org/{number}": ("unreachable", "found")[number % 2] for number in range(20)}
    assert len(ask(tmp_path / "c.json", states)["asked"]) == 20


def test_a_stop_keeps_what_was_known(tmp_path) -> None:
    file = tmp_path / "catalogue.json"
    ask(file, {"org/a": "found"})
    before = file.read_bytes()
    with pytest.raises(StudioError) as caught:
        ask(file, {"org/a": "not_found"}, stopping=lambda: True)
    assert (caught.value.code, file.read_bytes()) == ("job.stopped", before)


@pytest.mark.parametrize("text", ["", "[]", "{", json.dumps({"org/a": {"state": "perhaps", "checked": ""}})])
def test_a_damaged_file_counts_as_none(tmp_path, text) -> None:
    file = tmp_path / "catalogue.json"
    file.write_text(text, encoding="utf8")
    assert read_findings(file) == {}
    assert ask(file, {"org/a": "found"})["checked"] == 1
    assert list(tmp_path.iterdir()) == [file]
