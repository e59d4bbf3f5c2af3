"""Translate-test in its second form: the evaluated model first puts the questions into English, then answers those.

As in Llama-Persian (arXiv 2412.13375). The translations are stored beside the answers, so that everybody can read what
was asked; items that bring a column ``NAME_en`` keep it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance

from studio.evaluation.definitions import lay_items
from studio.evaluation.harness import WatchedModel, definitions, loaded
from studio.evaluation.suites import SuiteTask
from studio.jobs.events import Progress

PROMPT = "Translate to English.\nPersian: {text}\nEnglish:"
WRITING = {"until": ["\n"], "do_sample": False, "max_gen_toks": 128}


def translate_items(
    model: WatchedModel, task: SuiteTask, folder: Path, limit: int | None, *, progress: Progress
) -> None:
    """Lay the items of `task` with what is missing of their English.

    Args:
        model: Translates, greedily.
        task: With the columns to translate; a list is translated piece by piece.
        folder: Of the evaluation; ``items/TASK.jsonl`` holds the translations afterwards.
        limit: Most items.
        progress: Told the share done.

    Raises:
        StudioError: ``evaluation.no_data``, ``job.stopped``.
    """
    found = loaded(definitions(task, folder / "tasks"), task)
    rows = [dict(doc) for asked in found for doc in asked.eval_docs][:limit]
    texts = sorted({text for row in rows for name in task.translate if not row.get(f"{name}_en")
                    for text in _texts(row[name])})  # fmt: skip
    model.watch(progress)
    asked = [
        Instance("generate_until", {}, (PROMPT.format(text=" ".join(text.split())), WRITING), at)
        for at, text in enumerate(texts)
    ]
    said = dict(zip(texts, model.generate_until(asked) if asked else [], strict=True))
    lay_items(folder, task.task, [{**row, **_english(row, task, said)} for row in rows])


def _texts(value: Any) -> Sequence[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def _english(row: Mapping[str, Any], task: SuiteTask, said: Mapping[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name in task.translate:
        if row.get(f"{name}_en"):
            continue
        pieces = [said[text].strip() or text for text in _texts(row[name])]
        made[f"{name}_en"] = pieces if isinstance(row[name], list) else pieces[0]
    return made
