"""Suites: those that ship are whole, and a wrong one is told by its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.errors import StudioError
from studio.evaluation.definitions import GENERATED, PLACE, fingerprint, lay
from studio.evaluation.suites import PRESET_SUITES, load_suite, names, read_suite
from studio.settings import Settings

OURS = {path.stem for path in (PRESET_SUITES / "tasks").glob("*.yaml")}


@pytest.mark.parametrize("name", sorted(path.stem for path in PRESET_SUITES.glob("*.yaml")))
def test_a_suite_that_ships_is_whole(name: str, tmp_path: Path) -> None:
    suite = load_suite(name, Settings(tmp_path))
    assert suite.name == name
    assert set(suite.title) == {"fa", "en"}
    for task in suite.tasks:
        if task.task in OURS and task.task not in GENERATED:
            text = (PRESET_SUITES / "tasks" / f"{task.task}.yaml").read_text(encoding="utf8")
            items = PRESET_SUITES / "items" / f"{task.task}.jsonl"
            assert (f"{PLACE}{task.task}.jsonl" in text) == items.is_file()
        if "lm-eval's own" in task.source or name == "persian":
            assert not task.verified, "items that were never fetched here cannot be called checked"


def test_the_quick_suite_comes_first_and_needs_no_connection(tmp_path: Path) -> None:
    assert names(Settings(tmp_path))[0] == "quick"
    suite = load_suite("quick", Settings(tmp_path))
    tasks = lay(suite, PRESET_SUITES, tmp_path, {})
    for task in suite.tasks:
        if task.kind == "harness":
            assert (tmp_path / "items" / f"{task.task}.jsonl").stat().st_size > 1000
            assert (tasks / f"{task.task}.yaml").is_file()
    assert "http" not in "".join(
        (tmp_path / "bases" / f"{task.task}.yaml").read_text(encoding="utf8")
        for task in suite.tasks
        if task.kind == "harness"
    )


def test_questions_have_four_choices_of_which_one_is_right() -> None:
    lines = (PRESET_SUITES / "items" / "questions_fa.jsonl").read_text(encoding="utf8").splitlines()
    items = [json.loads(line) for line in lines]
    assert len(items) == 60
    for item in items:
        assert len(set(item["choices"])) == 4
        assert 0 <= item["answer"] < 4
    assert len({item["question"] for item in items}) == 60
    places = [sum(item["answer"] == place for item in items) for place in range(4)]
    assert min(places) >= 10, "a model that always takes one place must not score far above chance"


def test_what_decides_the_questions_changes_the_fingerprint(tmp_path: Path) -> None:
    suite = load_suite("papers", Settings(tmp_path))
    own = tmp_path / "items.jsonl"
    own.write_text('{"question": "؟"}\n', encoding="utf8")
    before = fingerprint(suite, PRESET_SUITES, {})
    other = fingerprint(suite, PRESET_SUITES, {"farstail": str(own)})
    own.write_text('{"question": "!"}\n', encoding="utf8")
    assert len({before, other, fingerprint(suite, PRESET_SUITES, {"farstail": str(own)})}) == 3
    with pytest.raises(StudioError, match=r"evaluation\.no_data"):
        fingerprint(suite, PRESET_SUITES, {"farstail": str(tmp_path / "gone.jsonl")})


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("name: a\ntitle: {fa: الف, en: a}\ntasks: []\n", "tasks"),
        ("name: a\ntitle: {fa: الف, en: a}\ntasks:\n  - {task: b, language: fa, metric: accuracy, source: s}\n", "0"),
        ("name: [\n", "s.yaml"),
    ],
)
def test_a_wrong_suite_is_told_by_its_place(tmp_path: Path, text: str, key: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(text, encoding="utf8")
    with pytest.raises(StudioError, match=r"evaluation\.bad_suite") as refused:
        read_suite(path)
    assert key in str(refused.value.details["key"])


@pytest.mark.parametrize("name", ["nothing", "../quick", "tasks/own", ""])
def test_a_suite_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StudioError, match=r"evaluation\.no_such_suite"):
        load_suite(name, Settings(tmp_path))
