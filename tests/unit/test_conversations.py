"""A conversation as a file holds all that is needed to ask again."""

from __future__ import annotations

import json

import pytest

from studio.chat.events import Finished
from studio.chat.requests import Message, Sampling
from studio.errors import StudioError
from studio.i18n import LOCALES, say
from studio.services import conversations
from studio.services.chat import Column
from studio.services.conversations import Turn

QUESTION, ANSWER = "پایتخت ایران\nکجاست؟", "تهران.\n\n# نه عنوان"


def turn(sampling: Sampling) -> Turn:
    said = (Message(role="user", content=QUESTION), Message(role="assistant", content=ANSWER))
    answered = Column("run:a-1", said, Finished(0, "run:a-1", ANSWER, "end", 9, 2.0, 0.1, 4.5, 7.25))
    return Turn(
        QUESTION, "کوتاه بگو", sampling, (answered, Column("local:/b", refused=StudioError("chat.other_base")))
    )


def test_json_holds_models_messages_settings_and_speeds() -> None:
    told = json.loads(conversations.as_json([turn(Sampling(seed=7, top_k=3))]))
    assert told["models"] == ["run:a-1", "local:/b"]
    (only,) = told["turns"]
    assert (only["question"], only["system"]) == (QUESTION, "کوتاه بگو")
    assert (only["sampling"]["seed"], only["sampling"]["top_k"]) == (7, 3)
    first, second = only["answers"]
    assert first["messages"][-1] == {"role": "assistant", "content": ANSWER}
    assert (first["tokens"], first["tokens_per_second"], first["reason"]) == (9, 4.5, "end")
    assert second == {"model": "local:/b", "error": "chat.other_base"}


def test_a_greedy_answer_names_no_settings_without_effect() -> None:
    (only,) = json.loads(conversations.as_json([turn(Sampling(greedy=True))]))["turns"]
    assert only["sampling"].keys() & {"temperature", "top_p", "top_k"} == set()
    assert only["sampling"]["greedy"] is True


@pytest.mark.parametrize("locale", LOCALES)
def test_markdown_is_for_people_and_an_answer_cannot_break_it(locale: str) -> None:
    text = conversations.as_markdown(locale, [turn(Sampling(seed=7))])
    lines = text.splitlines()
    assert lines[0] == f"# {say(locale, 'chat.title')}"
    assert "> کجاست؟" in lines
    assert "> # نه عنوان" in lines
    assert [line for line in lines if line.startswith("### ")] == ["### run:a-1", "### local:/b"]
    assert '"seed": 7' in text
    assert say(locale, "chat.system") in text


def test_nothing_is_no_file() -> None:
    for write in (conversations.as_json, lambda turns: conversations.as_markdown("en", turns)):
        with pytest.raises(StudioError, match=r"chat\.nothing_to_export"):
            write([])
