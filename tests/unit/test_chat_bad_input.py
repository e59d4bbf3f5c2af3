"""A chat with what people do to it: a prompt of 100,000 characters, a checkpoint that is deleted, an empty answer."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from studio.chat.events import Finished
from studio.chat.requests import Message, Sampling
from studio.i18n import LOCALES, explain, number, say
from studio.services import chat, conversations, votes
from studio.services.chat import Board, Column
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from studio.ui.chat_views import foot
from tests.talking import make_talking_run

SHORT = Sampling(greedy=True, max_new_tokens=6)


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    found = open_studio(Settings(tmp_path / "workspace"))
    yield found
    chat.unload(found)


def ask(studio: Studio, columns: Sequence[Column], prompt: str = "گربه کجا بود؟") -> list[Column]:
    *_, board = chat.talk(studio, columns, prompt, SHORT, name="x")
    return list(board.columns)


def test_a_long_prompt_and_a_deleted_checkpoint_are_said_and_the_chat_goes_on(
    studio: Studio, tiny_model: Path
) -> None:
    stages = make_talking_run(studio, "talker-1", tiny_model, ("chat", "more"))
    columns = [Column(reference) for reference in (f"local:{tiny_model}", *stages)]
    columns = ask(studio, columns)
    assert [column.finished is not None for column in columns] == [True] * 3
    columns = ask(studio, columns, "سلام " * 20_000)
    for column in columns:
        assert column.refused is not None
        assert column.refused.code == "chat.too_long"
        assert [message.role for message in column.messages] == ["user", "assistant"], "the question is taken back"
        for locale in LOCALES:
            told = explain(locale, column.refused)
            assert number(locale, column.refused.details["tokens"]) in told
            assert number(locale, 4096) in told
            assert told in foot(locale, column)
    shutil.rmtree(next((studio.settings.runs / "talker-1" / "stages").glob("*-more")))
    first, second, gone = ask(studio, [Column(each.reference, each.messages) for each in columns])
    assert [len(each.messages) for each in (first, second, gone)] == [4, 4, 2]
    assert first.finished is not None
    assert second.finished is not None
    assert gone.refused is not None
    assert gone.refused.code.startswith("model.")
    assert "more" in explain("fa", gone.refused)
    rest = ask(studio, [Column(each.reference, each.messages) for each in (first, second)])
    assert [len(each.messages) for each in rest] == [6, 6]


@pytest.mark.parametrize("locale", LOCALES)
def test_an_empty_answer_is_said_and_can_be_judged_and_kept(studio: Studio, locale: str) -> None:
    talked = (Message(role="user", content="چرا؟"), Message(role="assistant", content=""))
    done = Finished(0, "local:a", "", "end", 1, 0.1, 0.1, 10.0, 0.0)
    silent, other = Column("local:a", talked, finished=done), Column("local:b", talked, finished=done)
    assert say(locale, "chat.said_nothing") in foot(locale, silent)
    assert silent.flags == ()
    assert votes.ballot(Board([silent, other]), (0, 1)) is not None
    turn = conversations.Turn("چرا؟", "", SHORT, (silent, other))
    assert "چرا؟" in conversations.as_markdown(locale, [turn])
