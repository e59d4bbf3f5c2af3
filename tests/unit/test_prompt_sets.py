"""Fixed prompts: all of them to all models, a table that spreadsheets read, and an end when somebody says so."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from studio.chat.events import Finished, Reason
from studio.chat.requests import Message, Sampling
from studio.errors import StudioError
from studio.i18n import sentences
from studio.services import chat, prompt_sets
from studio.services.chat import Board, Column
from studio.services.prompt_sets import Table
from studio.services.studio import Studio, open_studio
from studio.settings import Settings

MODELS = ("starter:smollm2-135m", "run:a-1")


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return open_studio(Settings(tmp_path))


class Talk:
    """Stands for a chat: answers with `text`, and with `reason` at the prompt of that number."""

    def __init__(self, text: str = "پاسخ", end_at: int = -1) -> None:
        self.text, self.end_at = text, end_at
        self.asked: list[str] = []

    def __call__(self, studio: Any, columns: Any, prompt: str, sampling: Any, **_: Any) -> Iterator[Board]:
        reason: Reason = "stopped" if len(self.asked) == self.end_at else "end"
        self.asked.append(prompt)
        started = [replace(column, messages=(Message(role="user", content=prompt),)) for column in columns]
        yield Board(started)
        yield Board([self._ended(column, reason) for column in started])

    def _ended(self, column: Column, reason: Reason) -> Column:
        return replace(column, finished=Finished(0, column.reference, self.text, reason, 3, 1.0, 0.1, 3.04, 4.0))


def ask(studio: Studio, *chosen: str, **more: Any) -> Table:
    *_, table = prompt_sets.ask_all(studio, MODELS, chosen, Sampling(), name="x", **more)
    return table


def test_seven_subjects_have_names_in_both_languages() -> None:
    found = prompt_sets.subjects()
    assert len(found) == 7
    assert all(prompts for prompts in found.values())
    for locale in ("fa", "en"):
        named = {key.rpartition(".")[2] for key in sentences(locale) if key.startswith("prompts.subject.")}
        assert named == set(found)


def test_every_prompt_goes_to_every_model(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Talk()
    monkeypatch.setattr(chat, "talk", talk)
    table = ask(studio, "consistency", "culture")
    known = prompt_sets.subjects()
    assert talk.asked == [*known["culture"], *known["consistency"]], "in the order of the file"
    assert (len(table.rows), table.total) == (len(talk.asked), len(talk.asked))
    assert [column.reference for column in table.rows[0].columns] == list(MODELS)


def test_a_stop_ends_it_and_keeps_what_is_whole(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "talk", Talk(end_at=2))
    assert len(ask(studio, "culture").rows) == 2
    talk = Talk()
    monkeypatch.setattr(chat, "talk", talk)
    assert len(ask(studio, "culture", stopping=lambda: len(talk.asked) == 1).rows) == 1


def test_what_is_no_subject_is_refused(studio: Studio) -> None:
    for chosen, code in (((), "prompts.no_subject"), (("nonsense",), "prompts.unknown_subject")):
        with pytest.raises(StudioError, match=re.escape(code)):
            ask(studio, *chosen)


def test_what_all_models_refuse_ends_it(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    def talk(studio: Any, columns: Any, *_: Any, **__: Any) -> Iterator[Board]:
        yield Board([replace(column, refused=StudioError("chat.no_memory")) for column in columns])

    monkeypatch.setattr(chat, "talk", talk)
    with pytest.raises(StudioError, match=r"chat\.no_memory"):
        ask(studio, "culture")


def test_the_table_is_one_that_spreadsheets_read(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "talk", Talk("=1+1, می رود\nو کتاب ها"))
    lines = list(csv.reader(io.StringIO(prompt_sets.as_csv(ask(studio, "consistency")), newline="")))
    assert lines[0][:5] == ["subject", "prompt", MODELS[0], f"{MODELS[0]} flags", f"{MODELS[0]} tokens/s"]
    assert len(lines) == 1 + len(prompt_sets.subjects()["consistency"])
    assert lines[1][2:5] == ["'=1+1, می رود\nو کتاب ها", "half_spaces=2", "3.0"]
