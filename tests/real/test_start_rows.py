"""Start rows on the real starter model: what they must reach before any training, and that English stays as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from studio.chat.engine import Engine
from studio.chat.events import Finished
from studio.chat.requests import Message, Request, Sampling
from studio.data.starters import held_out_lines
from studio.models.files import ModelFiles
from studio.publish.expanded import expand as write_expanded
from studio.services.rows import STARTER_TEXT
from studio.tokenizer import fitting
from studio.tokenizer.corpus import Part
from studio.tokenizer.fitting import Budget
from studio.tokenizer.starting import make_starts
from studio.tokenizer.starts import ENGLISH_LIMIT, Starts
from tests.real.expanded import expand
from tests.starter import fetch_starter

QUESTIONS = ("Tell me a very short story about a cat.", "Write a Python function that adds two numbers.")
HELD: Any = {language: held_out_lines(language)[:4] for language in ("fa", "en")}


def quiet(share: float, note: str) -> None:
    """Tell nobody."""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelFiles, Path, Starts]:
    base = fetch_starter("smollm2-135m")
    files = ModelFiles("starter:smollm2-135m", "starter:smollm2-135m", base, base)
    folder = tmp_path_factory.mktemp("vocabulary") / "extended"
    expand(base, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(fitting.BUDGETS, "cpu", Budget(16, 4, 96))
        parts = [Part(STARTER_TEXT, False)]
        found = make_starts(
            files, folder, parts, HELD, ("mean", "fitted"), "best", progress=quiet, stopping=lambda: False
        )
    return files, folder, found


def test_fitted_rows_reach_the_base_in_both_languages(started: tuple[ModelFiles, Path, Starts]) -> None:
    found = started[2]
    mean, fitted = found.starts
    assert found.chosen == "fitted"
    assert fitted.fa <= 1.05 * found.base_fa < mean.fa
    assert fitted.en <= (1 + ENGLISH_LIMIT) * found.base_en


def test_the_expanded_starter_chats_in_english_as_before(
    started: tuple[ModelFiles, Path, Starts], tmp_path: Path
) -> None:
    files, folder, _ = started
    out = tmp_path / "model"
    write_expanded(files, folder, out, progress=quiet, stopping=lambda: False)
    expanded = replace(files, reference="local:expanded", base="local:expanded", folder=out, tokenizer_folder=out)
    answers = []
    for side in (files, expanded):
        engine = Engine({side.reference: side}.__getitem__)
        sampling = Sampling(greedy=True, max_new_tokens=40)
        asked = [
            Request(side=side.reference, messages=(Message(role="user", content=text),), sampling=sampling)
            for text in QUESTIONS
        ]
        events = [event for each in asked for event in engine.generate([each])]
        answers.append([(event.text, event.tokens) for event in events if isinstance(event, Finished)])
        engine.unload()
    assert len(answers[0]) == len(QUESTIONS)
    assert answers[0] == answers[1]
