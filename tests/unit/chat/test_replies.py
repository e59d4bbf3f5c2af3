"""Replies of the chat process that come late, or say that something failed: a page must not fall over them."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from studio.chat import client
from studio.chat.client import ChatClient
from studio.chat.record import write_record
from studio.errors import StudioError
from studio.settings import Settings

STATUS = {"event": "status", "pid": 1, "base": None, "sides": ["local:/a"], "device": "cpu", "memory": 1, "weights": 0,
          "quantisation": None, "waiting": 0, "idle_seconds": 0.5}  # fmt: skip
ACCEPTED = {"event": "accepted"}
Script = Sequence[tuple[float, dict[str, object]]]


@pytest.fixture
def answering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Script], ChatClient]]:
    """A process that is there and sends lines after so many seconds each."""
    monkeypatch.setattr(client, "REPLY_SECONDS", 0.2)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    write_record(tmp_path, path=None, port=listener.getsockname()[1], token="t")

    def answer(script: Script) -> None:
        connection, _ = listener.accept()
        with connection:
            for seconds, line in script:
                time.sleep(seconds)
                connection.sendall(json.dumps(line).encode() + b"\n")
            time.sleep(0.2)

    def answering_(script: Script) -> ChatClient:
        threading.Thread(target=answer, args=(script,), daemon=True).start()
        return ChatClient(Settings(tmp_path))

    yield answering_
    listener.close()


def test_a_process_that_hears_late_is_still_understood(answering: Callable[[Script], ChatClient]) -> None:
    found = answering([(0.3, ACCEPTED), (0.0, STATUS)]).status()
    assert found is not None
    assert found.sides == ("local:/a",)


def test_a_process_that_says_nothing_is_as_if_nobody_were_there(answering: Callable[[Script], ChatClient]) -> None:
    assert answering([(0.0, ACCEPTED), (1.0, STATUS)]).status() is None


def test_a_process_that_ends_meanwhile_is_gone(answering: Callable[[Script], ChatClient]) -> None:
    assert answering([(0.0, ACCEPTED)]).status() is None


def test_a_failure_is_told_as_one(answering: Callable[[Script], ChatClient]) -> None:
    failed = {"event": "failed", "error": "chat.bad_command", "details": {"reason": "token"}}
    with pytest.raises(StudioError, match=r"chat\.bad_command"):
        answering([(0.0, ACCEPTED), (0.0, failed)]).status()
