"""The queue before the engine, and waiting for the device."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from studio.chat.client import ChatClient
from studio.chat.door import Door, Taken
from studio.chat.events import Event, Finished, Waiting
from studio.chat.server import Server
from studio.chat.turns import Turns
from studio.errors import StudioError
from studio.i18n import LOCALES, say
from studio.services.chat import Board
from studio.settings import Settings
from studio.ui.chat_views import notice
from tests.unit.chat.conftest import ask


def test_first_come_first_served() -> None:
    turns = Turns()
    served: list[int] = []
    places: list[int] = []
    first = turns.take(lambda _: None, lambda: False)
    assert first is not None

    def guest(number: int) -> None:
        ticket = turns.take(places.append, lambda: False)
        assert ticket is not None
        served.append(number)
        turns.give_back(ticket)

    guests = []
    for number in range(3):
        guests.append(threading.Thread(target=guest, args=(number,)))
        guests[-1].start()
        while len(turns) < number + 2:
            pass
    turns.give_back(first)
    for one in guests:
        one.join(5)
    assert served == [0, 1, 2]
    assert set(places) <= {1, 2, 3}


def test_giving_up_leaves_the_queue() -> None:
    turns = Turns()
    ticket = turns.take(lambda _: None, lambda: False)
    assert ticket is not None
    assert turns.take(lambda _: None, lambda: True) is None
    assert len(turns) == 1


def test_only_one_door_to_a_workspace(tmp_path: Path) -> None:
    door = Door(tmp_path)
    with pytest.raises(Taken):
        Door(tmp_path)
    door.close()
    Door(tmp_path).close()


@pytest.fixture
def serve(workspace: Settings) -> Callable[..., Server]:
    """Starts a server in a thread of this process, so that its device can be a closure."""

    def start(
        acquire: Callable[[], None], release: Callable[[], None], awaited: Callable[[], bool] = lambda: False
    ) -> Server:
        workspace.workspace.mkdir()
        server = Server(workspace, Door(workspace.workspace), acquire=acquire, release=release, awaited=awaited)
        threading.Thread(target=server.run, args=(60.0,), daemon=True).start()
        return server

    return start


def test_a_busy_device_is_waited_for_and_given_back(
    workspace: Settings, tiny_model: Path, serve: Callable[..., Server]
) -> None:
    calls: list[str] = []

    def acquire() -> None:
        calls.append("acquire")
        if len(calls) == 1:
            raise StudioError("device.busy", title="first_steps-3")

    server = serve(acquire, lambda: calls.append("release"))
    events: list[Event] = list(ChatClient(workspace).stream([ask(f"local:{tiny_model}")]))
    assert events[0] == Waiting(0, "first_steps-3")
    assert isinstance(events[-1], Finished)
    server.end()
    while "release" not in calls:
        pass
    assert calls == ["acquire", "acquire", "release"]


def test_two_people_during_a_training_hear_who_is_waited_for(
    workspace: Settings, tiny_model: Path, serve: Callable[..., Server]
) -> None:
    training = threading.Event()

    def acquire() -> None:
        if not training.is_set():
            raise StudioError("device.busy", title="first_steps-3")

    server = serve(acquire, lambda: None)
    first = ChatClient(workspace).stream([ask(f"local:{tiny_model}")], name="first")
    assert next(first) == Waiting(0, "first_steps-3")
    second = ChatClient(workspace).stream([ask(f"local:{tiny_model}")], name="second")
    assert next(second) == Waiting(1, "first_steps-3")
    for locale in LOCALES:
        shown = notice(locale, Board([], waiting=Waiting(1, "first_steps-3")))
        assert say(locale, "jobs.waits_for", title="first_steps-3") in shown
        assert say(locale, "chat.waits_people", position=1) in shown
    training.set()
    answered = [[event.text for event in each if isinstance(event, Finished)] for each in (first, second)]
    assert answered[0]
    assert answered[0] == answered[1]
    server.end()


def test_an_idle_chat_leaves_soon_when_a_training_waits(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studio.chat.server.AWAITED_SECONDS", 0.5)
    wanted, gone = threading.Event(), threading.Event()
    serve(lambda: None, gone.set, wanted.is_set)
    assert not gone.wait(1.0), "nobody waits: the chat stays for its fifteen minutes"
    wanted.set()
    assert gone.wait(5.0), "somebody waits: the chat leaves"
