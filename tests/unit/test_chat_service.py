"""What a page shows of a chat while its events come in, and which models it offers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from studio.chat.client import ChatClient
from studio.chat.events import Event, Finished, Piece, Refused, Started
from studio.chat.requests import Message, Request, Sampling
from studio.services import chat
from studio.services.chat import Column
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from tests.past import make_run
from tests.talking import make_talking_run
from tests.tiny import build_tiny

SIDE = "run:a-1"


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return open_studio(Settings(tmp_path / "workspace"))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """The requests of the last question; every side answers «بله», the second is refused."""
    found: list[Request] = []

    def stream(self: Any, requests: Sequence[Request], *, name: str) -> Iterator[Event]:
        found[:] = requests
        yield Started(0, SIDE, 5, 0, False)
        yield Piece(0, "بله")
        yield Finished(0, SIDE, "بله", "end", 2, 1.0, 0.1, 2.0, 3.0)
        if len(requests) > 1:
            yield Refused(1, SIDE, "chat.too_long", {"tokens": 9, "limit": 5})

    monkeypatch.setattr(ChatClient, "stream", stream)
    return found


def ask(studio: Studio, columns: Sequence[Column], system: str = "") -> chat.Board:
    *_, board = chat.talk(studio, columns, "چرا؟", Sampling(), system=system, name="x")
    return board


def test_the_system_message_stands_before_every_turn(studio: Studio, asked: list[Request]) -> None:
    talked = (Message(role="user", content="سلام"), Message(role="assistant", content="سلام!"))
    ask(studio, [Column(SIDE, talked)], system=" کوتاه بگو ")
    assert [message.role for message in asked[0].messages] == ["system", "user", "assistant", "user"]
    assert asked[0].messages[0].content == "کوتاه بگو"
    ask(studio, [Column(SIDE, asked[0].messages)], system="بلند بگو")
    assert [message.content for message in asked[0].messages if message.role == "system"] == ["بلند بگو"]


def test_a_refused_column_takes_its_question_back(studio: Studio, asked: list[Request]) -> None:
    first, second = ask(studio, [Column(SIDE), Column(SIDE)]).columns
    assert [message.role for message in first.messages] == ["user", "assistant"]
    assert (first.is_over, first.question, first.has_template) == (True, "چرا؟", False)
    assert second.refused is not None
    assert (second.is_over, second.messages, second.flags) == (True, (), ())


def test_stages_are_offered_once_a_run_has_several(studio: Studio, tmp_path: Path) -> None:
    base = build_tiny(tmp_path / "tiny")
    make_talking_run(studio, "one-1", base)
    make_talking_run(studio, "three-1", base, ("align", "pretrain", "instruct"))
    make_run(studio, "begun-1", steps=(40,), finished=0, checkpoints={0: (20,)})
    offered = chat.adapted(studio)
    assert [name for name in offered if "one" in name] == ["run:one-1"]
    assert [name for name in offered if "begun" in name] == ["run:begun-1", "run:begun-1/chat@20"]
    assert [name for name in offered if "three" in name] == [
        "run:three-1", "run:three-1/instruct", "run:three-1/pretrain", "run:three-1/align"
    ]  # fmt: skip


def test_the_newest_run_is_one_that_can_answer(studio: Studio, tmp_path: Path) -> None:
    assert chat.newest(studio) is None
    make_run(studio, "begun-1", created=2_000_000_000.0)  # its base is not on disk
    assert chat.newest(studio) is None
    make_talking_run(studio, "one-1", build_tiny(tmp_path / "tiny"))
    assert chat.newest(studio) == "run:one-1"
