"""The definitions of a suite's tasks, laid into an evaluation's folder so that the folder alone repeats it.

What lies there is lm-eval's own form: ``lm_eval --include_path FOLDER/tasks --tasks NAME`` asks the same questions.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from studio.data.read import open_rows
from studio.errors import StudioError
from studio.evaluation.sentence_pairs import STORIES
from studio.evaluation.story_endings import story_endings
from studio.evaluation.suites import Suite, SuiteTask

_INCLUDE = re.compile(r"^include: (\S+)$", re.MULTILINE)
PLACE = "ITEMS/"
"""What a definition writes for the folder of items, which is elsewhere on each machine."""
GENERATED = {"story_endings_fa": "fa", "story_endings_en": "en"}


def fingerprint(suite: Suite, home: Path, data: Mapping[str, str]) -> str:
    """SHA-256 of all that decides the questions of a suite and is not lm-eval's own.

    Raises:
        StudioError: ``evaluation.no_data`` for a file of `data` that is not there.
    """
    digest = hashlib.sha256(suite.model_dump_json().encode())
    for task in suite.tasks:
        files = [*_definition(home / "tasks" / f"{task.task}.yaml"), home / "items" / f"{task.task}.jsonl"]
        for path in [*files, *([Path(data[task.task])] if task.task in data else [])]:
            if path.is_file():
                digest.update(path.read_bytes())
            elif path not in files:
                raise StudioError("evaluation.no_data", task=task.task, reason=str(path))
        if task.task in GENERATED:
            digest.update(json.dumps(story_endings(GENERATED[task.task]), ensure_ascii=False).encode())
    return digest.hexdigest()


def _definition(path: Path) -> list[Path]:
    """A definition, those it includes and the code they may call."""
    if not path.is_file():
        return []
    included = _INCLUDE.search(path.read_text(encoding="utf8"))
    return [path, *(_definition(path.parent / included[1]) if included else sorted(path.parent.glob("*.py")))]


def check_items(suite: Suite, home: Path, data: Mapping[str, str]) -> None:
    """Refuse a suite whose items are gone before a job is queued for it.

    Raises:
        StudioError: ``evaluation.no_data``.
    """
    for task in suite.tasks:
        if task.task not in data and _has_items(task, home):
            _found_items(task.task, home)


def _has_items(task: SuiteTask, home: Path) -> bool:
    if task.kind == "retrieval":
        return task.task != STORIES
    source = home / "tasks" / f"{task.task}.yaml"
    return task.task not in GENERATED and source.is_file() and PLACE in source.read_text(encoding="utf8")


def _found_items(task: str, home: Path) -> Path:
    found = home / "items" / f"{task}.jsonl"
    if not found.is_file():
        raise StudioError("evaluation.no_data", task=task, reason=str(found))
    return found


def lay(suite: Suite, home: Path, folder: Path, data: Mapping[str, str]) -> Path:
    """Write the definitions and items of `suite` below `folder`.

    Args:
        suite: What is asked.
        home: Folder with the ``tasks`` and ``items`` of the suite.
        folder: Of the evaluation.
        data: Files that take the place of a task's own items, by task; any format that a dataset may have.

    Returns:
        The folder for lm-eval's ``include_path``.

    Raises:
        StudioError: ``evaluation.no_such_task`` for `data` of a task that the suite does not have or that is lm-eval's
            own, ``evaluation.no_data`` for a missing file of items, and what reading `data` raises.
    """
    for name in data:
        suite.task(name)
    for part in ("tasks", "bases", "items"):
        (folder / part).mkdir(exist_ok=True)
    place = json.dumps(f"{folder / 'items'}/", ensure_ascii=False)[1:-1]
    for source in (home / "tasks").iterdir():
        if source.suffix in (".py", ".yaml"):
            text = source.read_text(encoding="utf8").replace(PLACE, place)
            (folder / "bases" / source.name).write_text(text, encoding="utf8")
    for task in suite.tasks:
        if task.kind == "harness":
            _lay_task(task.task, suite, home, folder, data.get(task.task))
        elif _has_items(task, home) and task.task not in data:
            _copy_items(task.task, home, folder)
    return folder / "tasks"


def _lay_task(task: str, suite: Suite, home: Path, folder: Path, file: str | None) -> None:
    """One task of ours: it includes its definition from outside the include path, and says where its items are."""
    source, items = home / "tasks" / f"{task}.yaml", folder / "items" / f"{task}.jsonl"
    if not source.is_file():
        if file is not None:
            raise StudioError("evaluation.no_such_task", task=task, suite=suite.name)
        return
    if file is not None:
        lay_items(folder, task, _read(Path(file), task))
        return
    if task in GENERATED:
        _write(items, story_endings(GENERATED[task]))
    elif PLACE in source.read_text(encoding="utf8"):
        _copy_items(task, home, folder)
    _include(folder, task, {})


def _copy_items(task: str, home: Path, folder: Path) -> None:
    found = _found_items(task, home)
    shutil.copyfile(found, folder / "items" / found.name)


def lay_items(folder: Path, task: str, rows: list[dict[str, Any]]) -> None:
    """Let `rows` take the place of a task's own items."""
    items = folder / "items" / f"{task}.jsonl"
    _write(items, rows)
    splits = {"training_split": None, "validation_split": None, "test_split": "test", "fewshot_split": "test"}
    files = {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": {"test": str(items)}}}
    _include(folder, task, {**files, **splits})


def _include(folder: Path, task: str, over: dict[str, Any]) -> None:
    laid = {"include": f"../bases/{task}.yaml", "task": task, **over}
    (folder / "tasks" / f"{task}.yaml").write_text(yaml.safe_dump(laid, allow_unicode=True), encoding="utf8")


def _read(path: Path, task: str) -> list[dict[str, Any]]:
    if not path.is_file():
        raise StudioError("evaluation.no_data", task=task, reason=str(path))
    with open_rows(path) as rows:
        found = [values for _, values in rows]
    if not found:
        raise StudioError("evaluation.no_items")
    return found


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf8")
