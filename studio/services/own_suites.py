"""Suites of the user's own questions: a file becomes one task, asked and scored as all others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from studio.auth import owner_only
from studio.data.read import open_rows
from studio.data.script import persian_share
from studio.errors import StudioError
from studio.evaluation.sentence_pairs import Pairs, are_pairs, collect
from studio.evaluation.suites import NAME, PRESET_SUITES, Suite, SuiteTask, names
from studio.services.studio import Studio

QUESTION = ("question", "prompt", "پرسش", "سؤال", "سوال")
ANSWER = ("answer", "correct", "پاسخ", "جواب")
CATEGORY = ("category", "subject", "دسته", "موضوع")
LETTERS = ([*"abcdefgh"], [*"۱۲۳۴۵۶۷۸"], [*"12345678"], ["الف", *"بجدهوزح"])
MOST_CHOICES = 8
_CHOICES = (
    [f"choice{number}" for number in range(1, MOST_CHOICES + 1)],
    [f"option{number}" for number in range(1, MOST_CHOICES + 1)],
    list("abcdefgh"),
    [f"گزینه{digit}" for digit in "۱۲۳۴۵۶۷۸"],
    [f"گزینه{number}" for number in range(1, MOST_CHOICES + 1)],
)


@dataclass(frozen=True, slots=True)
class Made:
    """A suite made of a file: how its questions are answered, and how many there are."""

    name: str
    kind: str
    items: int
    language: str


@owner_only
def add(studio: Studio, name: str, file: Path) -> Made:
    """Make a suite of a table of questions.

    Columns, in either language: a question, an answer, optionally a category; for multiple choice either ``choices``
    (a list) or a column for each (``a`` to ``h``, ``choice1`` …, ``گزینه۱`` …). The answer is a choice's text, letter
    or number from 1; without choices it is what the model should write, in few words. A table with the columns ``fa``
    and ``en`` asks for each sentence's translation among all; with a column ``score`` of people's grades it also tells
    how well the model's likeness agrees with them.

    Raises:
        StudioError: ``evaluation.bad_name``, ``evaluation.name_taken``, ``evaluation.no_columns``,
            ``evaluation.bad_row`` with its number, ``evaluation.no_items``, ``evaluation.no_pairs``,
            ``evaluation.bad_grade``, and what reading a file raises.
    """
    if not NAME.fullmatch(name):
        raise StudioError("evaluation.bad_name", name=name)
    if name in names(studio.settings):
        raise StudioError("evaluation.name_taken", name=name)
    with open_rows(file) as rows:
        first = next(iter(rows), None)
        if first is None:
            raise StudioError("evaluation.no_items")
        if are_pairs(first[1]):
            return _add_pairs(studio, name, file.name, collect(chain([first], rows), file.name))
        items = [_item(number, values) for number, values in chain([first], rows)]
    kind = "choices" if "choices" in items[0] else "short"
    for number, item in enumerate(items, start=1):
        if ("choices" in item) != (kind == "choices"):
            raise StudioError("evaluation.bad_row", row=number)
    text = " ".join(str(item["question"]) for item in items)
    language = "fa" if persian_share(text) > 0.5 else "en"
    _write(studio.settings.suites / name, name, file.name, kind, language, items)
    return Made(name, kind, len(items), language)


def _item(number: int, values: Mapping[str, Any]) -> dict[str, Any]:
    columns = {_plain(name): value for name, value in values.items()}
    question, answer = _first(columns, QUESTION), _first(columns, ANSWER)
    if question is None or answer is None:
        raise StudioError("evaluation.no_columns", columns=", ".join(values))
    item: dict[str, Any] = {"question": str(question).strip(), "category": str(_first(columns, CATEGORY) or "")}
    choices = _choices(columns)
    if not item["question"] or not str(answer).strip() or len(choices) == 1:
        raise StudioError("evaluation.bad_row", row=number)
    if not choices:
        return {**item, "answer": str(answer).strip()}
    place = _place(answer, choices)
    if place is None:
        raise StudioError("evaluation.bad_row", row=number)
    return {**item, "choices": choices, "answer": place}


def _plain(name: str) -> str:
    return "".join(str(name).replace("\u200c", "").lower().split()).replace("_", "").replace("گزینهٔ", "گزینه")


def _first(columns: Mapping[str, Any], wanted: tuple[str, ...]) -> Any:
    return next((columns[name] for name in wanted if columns.get(name) not in (None, "")), None)


def _choices(columns: Mapping[str, Any]) -> list[str]:
    given = columns.get("choices", columns.get("candidates"))
    if isinstance(given, str) and given.strip().startswith("["):
        try:
            given = json.loads(given)
        except ValueError:
            return []
    if isinstance(given, list):
        return [str(choice).strip() for choice in given]
    for form in _CHOICES:
        found = [str(columns[name]).strip() for name in form if columns.get(name) not in (None, "")]
        if found:
            return found
    return []


def _place(answer: Any, choices: list[str]) -> int | None:
    """Which choice is meant: by its text, else by letter or number from 1."""
    said = str(answer).strip()
    if said in choices:
        return choices.index(said)
    for letters in LETTERS:
        if said.lower() in letters[: len(choices)]:
            return letters.index(said.lower())
    return None


def _add_pairs(studio: Studio, name: str, source: str, pairs: Pairs) -> Made:
    if len(pairs.texts) < 2:  # the only translation is always the nearest
        raise StudioError("evaluation.no_items")
    task = SuiteTask(task=_task_name(name), kind="retrieval", language="both", metric="acc", source=source)
    grades = [{}] * len(pairs.texts) if pairs.grades is None else [{"score": grade} for grade in pairs.grades]
    items = [{"fa": fa, "en": en, **grade} for (fa, en), grade in zip(pairs.texts, grades, strict=True)]
    _put(studio.settings.suites / name, name, task, items)
    return Made(name, "pairs" if pairs.grades is None else "graded_pairs", len(items), "both")


def _task_name(name: str) -> str:
    return f"own_{name.replace('-', '_')}"


def _write(folder: Path, name: str, source: str, kind: str, language: str, items: list[dict[str, Any]]) -> None:
    metric, chance = ("acc" if kind == "choices" else "answer"), None
    if kind == "choices":
        chance = sum(1 / len(item["choices"]) for item in items) / len(items)
    told: dict[str, Any] = {"task": _task_name(name), "language": language, "metric": metric, "chance": chance,
            "category": "category", "source": source}  # fmt: skip
    definition = PRESET_SUITES / "own" / f"{kind}.yaml"
    text = definition.read_text(encoding="utf8").replace("TASK", told["task"]).replace("LANGUAGE", language)
    _put(folder, name, SuiteTask.model_validate(told), items, text)


def _put(folder: Path, name: str, task: SuiteTask, items: list[dict[str, Any]], definition: str = "") -> None:
    """Write the suite's folder whole; without a `definition` of lm-eval's the task needs none."""
    suite = Suite(name=name, title={"fa": name, "en": name}, tasks=(task,))
    aside = folder.with_name(f".{folder.name}")
    shutil.rmtree(aside, ignore_errors=True)
    (aside / "tasks").mkdir(parents=True)
    (aside / "items").mkdir()
    lines = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items)
    (aside / "items" / f"{task.task}.jsonl").write_text(lines, encoding="utf8")
    if definition:
        (aside / "tasks" / f"{task.task}.yaml").write_text(definition, encoding="utf8")
        shutil.copyfile(PRESET_SUITES / "tasks" / "judging.py", aside / "tasks" / "judging.py")
    (aside / "suite.yaml").write_text(
        yaml.safe_dump(suite.model_dump(mode="json"), allow_unicode=True), encoding="utf8"
    )
    aside.rename(folder)
