"""The chat process and its client: real processes, real sockets, a tiny model."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from studio.chat.channel import connect
from studio.chat.client import ChatClient
from studio.chat.events import Event, Finished, Loading, Piece, Refused, Waiting
from studio.chat.record import Record, read_record
from studio.chat.requests import Sampling
from studio.errors import StudioError
from studio.recipes import dump_recipe, parse_recipe
from studio.settings import Settings
from tests.unit.chat.conftest import ask

ENDLESS = Sampling(greedy=True, max_new_tokens=3000)


def furnish(workspace: Path, tiny_model: Path, adapters: dict[str, Path]) -> Settings:
    """A workspace with two runs over the tiny model."""
    settings = Settings(workspace=workspace)
    stage = {"name": "chat", "kind": "instruct", "data": [{"dataset": "sample-chats"}], "budget": {"steps": 1}}
    recipe = parse_recipe({"name": "first", "base": f"local:{tiny_model}", "stages": [stage]})
    for name, adapter in adapters.items():
        run = settings.runs / name
        shutil.copytree(adapter, run / "stages" / "00-chat")
        (run / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf8")
    return settings


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, adapters: dict[str, Path]
) -> Iterator[ChatClient]:
    """One process for all tests that leave it alive: importing torch is most of what a start costs."""
    settings = furnish(tmp_path_factory.mktemp("shared"), tiny_model, adapters)
    yield ChatClient(settings)
    ChatClient(settings).unload()


@pytest.fixture
def settings(tmp_path: Path, tiny_model: Path, adapters: dict[str, Path]) -> Iterator[Settings]:
    """A workspace of its own; whatever process it got ends with the test."""
    settings = furnish(tmp_path / "w", tiny_model, adapters)
    yield settings
    ChatClient(settings).unload()


@pytest.fixture
def client(settings: Settings) -> ChatClient:
    return ChatClient(settings)


@pytest.fixture
def base(tiny_model: Path) -> str:
    return f"local:{tiny_model}"


def texts(events: list[Event]) -> dict[int, str]:
    return {event.answer: event.text for event in events if isinstance(event, Finished)}


def wait_for(condition: object, seconds: float = 20.0) -> None:
    give_up = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.02)


def test_two_sides_stream_from_one_process(client: ChatClient, base: str) -> None:
    events = list(client.stream([ask(base), ask("run:first")]))
    assert events[0] == Loading(0.0, "progress.chat.start")
    whole = texts(events)
    assert whole[0] != whole[1]
    for number, text in whole.items():
        assert "".join(event.text for event in events if isinstance(event, Piece) and event.answer == number) == text
    notes: list[str] = []
    opened = client.open([base, "run:second"], progress=lambda share, note: notes.append(note))
    assert set(opened.sides) == {base, "run:first", "run:second"}
    assert notes[-1] == "progress.chat.ready"
    status = client.status()
    assert status is not None
    assert (status.base, status.sides, status.waiting) == (base, opened.sides, 0)
    assert status.memory > status.weights > 0


def test_the_server_is_private_and_away_from_our_session(client: ChatClient, settings: Settings) -> None:
    record = client.start_if_needed()
    assert client.start_if_needed() == record
    assert os.getsid(record.pid) == record.pid
    modes = [stat.S_IMODE((settings.workspace / name).stat().st_mode) for name in ("chat.json", "chat.sock")]
    assert modes == [0o600, 0o600]
    assert os.readlink(f"/proc/{record.pid}/fd/0") == "/dev/null"
    assert os.readlink(f"/proc/{record.pid}/fd/1").endswith("logs/chat.log")


def test_a_command_without_the_token_is_refused(shared: ChatClient) -> None:
    channel = connect(shared.start_if_needed())
    channel.send({"do": "quit", "token": "wrong"})
    channel.receive(5)
    assert channel.receive(5) == {"event": "failed", "error": "chat.bad_command", "details": {"reason": "token"}}
    channel.close()
    assert shared.status() is not None


@pytest.mark.parametrize("line", [b"{}\n", b"[1]\n", b"no json\n", b'{"do": "fly", "token": "x"}\n', b""])
def test_nonsense_on_the_socket_harms_nobody(shared: ChatClient, line: bytes) -> None:
    shared.start_if_needed()
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(shared.settings.workspace / "chat.sock"))
        stranger.sendall(line)
        stranger.shutdown(socket.SHUT_WR)
        stranger.settimeout(5)
        stranger.recv(1000)
    assert shared.status() is not None


def test_a_long_path_falls_back_to_the_loopback(tmp_path: Path, base: str) -> None:
    client = ChatClient(Settings(workspace=tmp_path / ("long" * 30)))
    try:
        record = client.start_if_needed()
        assert record.path is None
        assert record.port
        assert client.status() is not None
    finally:
        assert client.unload()


def test_stop_from_another_handler(shared: ChatClient, base: str) -> None:
    shared.open([base])
    stream = shared.stream([ask(base, ENDLESS)], name="mine")
    seen: list[Event] = []
    for event in stream:
        seen.append(event)
        if len(seen) == 5:
            begin = time.monotonic()
            assert ChatClient(shared.settings).stop("somebody else's") == 0
            assert ChatClient(shared.settings).stop("mine") == 1
    assert isinstance(seen[-1], Finished)
    assert seen[-1].reason == "stopped"
    assert time.monotonic() - begin < 2


def test_a_page_that_leaves_stops_its_answer(shared: ChatClient, base: str) -> None:
    shared.open([base])
    stream = shared.stream([ask(base, ENDLESS)])
    assert any(isinstance(event, Piece) for event in stream)
    stream.close()  # type: ignore[attr-defined]
    wait_for(lambda: shared.status().waiting == 0, 3)  # type: ignore[union-attr]


def test_the_second_of_two_clients_sees_its_place(shared: ChatClient, base: str) -> None:
    shared.open([base])
    first = shared.stream([ask(base, ENDLESS)], name="first")
    while not isinstance(next(first), Piece):
        pass
    second = ChatClient(shared.settings).stream([ask(base)])
    assert next(second) == Waiting(1)
    shared.stop("first")
    assert [type(event) for event in first][-1] is Finished
    assert texts(list(second))[0]


def test_one_who_waits_can_leave(shared: ChatClient, base: str) -> None:
    shared.open([base])
    first = shared.stream([ask(base, ENDLESS)], name="first")
    next(first)
    second = shared.stream([ask(base)], name="second")
    assert next(second) == Waiting(1)
    shared.stop("second")
    assert list(second) == []
    assert shared.status().waiting == 1  # type: ignore[union-attr]


def test_unload_ends_the_process_even_while_it_speaks(client: ChatClient, settings: Settings, base: str) -> None:
    client.open([base])
    pid = client.start_if_needed().pid
    speaking = client.stream([ask(base, ENDLESS)])
    next(speaking)
    assert client.unload()
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    last = list(speaking)[-1]
    assert isinstance(last, Finished)
    assert last.reason == "stopped"
    assert not {"chat.json", "chat.sock"} & {path.name for path in settings.workspace.iterdir()}
    assert client.status() is None
    assert not client.unload()


def test_a_killed_process_is_told_of_and_replaced(client: ChatClient, base: str) -> None:
    stream = client.stream([ask(base, ENDLESS)])
    while not isinstance(next(stream), Piece):
        pass
    os.kill(client.start_if_needed().pid, signal.SIGKILL)
    with pytest.raises(StudioError, match=r"chat\.ended"):
        list(stream)
    assert texts(list(client.stream([ask(base)])))[0]  # a stale chat.json and socket are in the way, and do not matter


def test_a_stale_record_does_not_point_at_a_stranger(client: ChatClient, settings: Settings) -> None:
    settings.workspace.mkdir(exist_ok=True)
    ours = os.getpid()  # alive, but started at another time
    record = Record(pid=ours, started=1.0, path="/nowhere", port=None, token="x")
    (settings.workspace / "chat.json").write_text(record.model_dump_json(), encoding="utf8")
    assert read_record(settings.workspace) is None
    assert not client.unload()
    assert client.start_if_needed().pid != ours


def test_an_idle_process_ends_by_itself(settings: Settings) -> None:
    client = ChatClient(settings, idle_seconds=0.5)
    client.start_if_needed()
    wait_for(lambda: client.status() is None, 10)
    assert not (settings.workspace / "chat.sock").exists()


def test_many_first_clients_share_one_process(settings: Settings) -> None:
    pids: list[int] = []
    starts = [
        threading.Thread(target=lambda: pids.append(ChatClient(settings).start_if_needed().pid)) for _ in range(4)
    ]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert len(pids) == 4
    assert len(set(pids)) == 1


def test_a_crash_at_the_start_shows_its_reason(client: ChatClient, settings: Settings) -> None:
    settings.workspace.mkdir(exist_ok=True)
    (settings.workspace / "chat.lock").mkdir()  # cannot be opened for writing, whoever we are
    with pytest.raises(StudioError) as failure:
        client.start_if_needed()
    assert failure.value.code == "chat.crashed"
    assert "chat.lock" in failure.value.details["reason"]
    (settings.workspace / "chat.lock").rmdir()


def test_a_side_that_is_not_there_is_refused_alone(shared: ChatClient, base: str) -> None:
    events = list(shared.stream([ask(base), ask("run:gone")]))
    refused = [event for event in events if isinstance(event, Refused)]
    assert [(event.answer, event.error.split(".")[0]) for event in refused] == [(1, "model")]
    assert texts(events)[0]
    with pytest.raises(StudioError, match=r"model\."):
        shared.open(["run:gone"])


def test_a_checkpoint_deleted_while_open_is_refused(shared: ChatClient, base: str) -> None:
    runs = shared.settings.runs
    shutil.copytree(runs / "second", runs / "third")
    shared.open([base, "run:third"])
    shutil.rmtree(runs / "third")
    events = list(shared.stream([ask(base), ask("run:third")]))
    assert [event.answer for event in events if isinstance(event, Refused)] == [1]
    assert texts(events)[0]


def test_the_process_outlives_the_one_that_started_it(settings: Settings) -> None:
    code = (
        "import sys; from studio.chat.client import ChatClient; from studio.settings import load_settings;"
        "print(ChatClient(load_settings(sys.argv[1])).start_if_needed().pid, flush=True);"
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    )
    app = subprocess.run(
        [sys.executable, "-c", code, str(settings.workspace)], capture_output=True, text=True, check=False
    )
    record = read_record(settings.workspace)
    assert record is not None
    assert record.pid == int(app.stdout)
    assert ChatClient(settings).status() is not None


def test_the_client_imports_no_torch_and_the_server_no_gradio() -> None:
    code = "import sys; import studio.chat.client; assert 'torch' not in sys.modules and 'gradio' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    code = "import sys; import studio.chat.server; import studio.chat.engine; assert 'gradio' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
