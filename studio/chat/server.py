"""Holds a model for chatting, answers whoever comes in the order they came, and ends by itself when idle."""

from __future__ import annotations

import hmac
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import psutil
from pydantic import ValidationError

from studio.chat.channel import Channel, Closed
from studio.chat.commands import Command, Generate, Open, Quit, Status, Stop, parse_command
from studio.chat.door import Door
from studio.chat.events import Event, Loading, Opened, Waiting, event_as_json
from studio.chat.turns import Turns
from studio.errors import StudioError
from studio.jobs.events import Stopping
from studio.settings import Settings

if TYPE_CHECKING:
    from studio.chat.engine import Engine

IDLE_SECONDS = 15 * 60
AWAITED_SECONDS = 60.0  # a chat that nobody uses does not keep a training waiting longer
LEASE_SECONDS = 1.0  # how often a busy device is asked for again
log = logging.getLogger("studio.chat")


class Server:
    """Serves one engine to any number of clients, one at a time, in the order they came.

    Args:
        settings: Tells the workspace.
        door: Where clients come in.
        acquire: Takes the device for the chat; does nothing when we have it, and raises ``device.busy`` (with the
            `title` of who has it) when somebody else does. Called before a model is used.
        release: Gives the device back. Called when this process ends.
        awaited: Whether somebody waits for the device; then an idle chat leaves after `AWAITED_SECONDS`.
    """

    def __init__(
        self,
        settings: Settings,
        door: Door,
        *,
        acquire: Callable[[], None],
        release: Callable[[], None],
        awaited: Callable[[], bool],
    ) -> None:
        self._settings, self._door = settings, door
        self._acquire, self._release, self._awaited = acquire, release, awaited
        self._engine: Engine | None = None
        self._holder: str | None = None
        self._turns = Turns()
        self._stops: dict[str, threading.Event] = {}
        self._ending = threading.Event()
        self._guests: set[Channel] = set()
        self._used = time.monotonic()

    def run(self, idle_seconds: float) -> None:
        """Serve until somebody says quit or nobody has come for `idle_seconds`."""
        self._door.announce()
        while not self._ending.is_set():
            connection = self._door.admit(timeout=0.2)
            if connection is not None:
                channel = Channel(connection)
                self._guests.add(channel)  # here, so that a guest just admitted is never mistaken for nobody
                threading.Thread(target=self._attend, args=(channel,), daemon=True).start()
            if not self._guests and self._outstayed(idle_seconds):
                break
        self._end()

    def _outstayed(self, idle_seconds: float) -> bool:
        idle = self.idle()
        return idle > idle_seconds or (idle > AWAITED_SECONDS and self._awaited())

    def end(self) -> None:
        """Ask the server to stop everything and end; safe from a signal handler."""
        self._ending.set()

    def idle(self) -> float:
        """Seconds since anybody wanted something of the model."""
        return 0.0 if len(self._turns) else time.monotonic() - self._used

    def _end(self) -> None:
        self._ending.set()
        self._door.close()
        # Those who are being answered hear that it was stopped: a step that is under way soon ends.
        patience = time.monotonic() + 3.0
        while self._guests and time.monotonic() < patience:
            time.sleep(0.01)
        self._release()

    def _attend(self, channel: Channel) -> None:
        try:
            line = channel.receive(timeout=10)
            if line is not None:
                channel.send({"event": "accepted"})
                self._obey(self._checked(line), channel)
                channel.send({"event": "done"})
        except Closed:
            pass  # a page was closed or refreshed; whatever it had asked for has stopped
        except StudioError as error:
            _tell(channel, {"event": "failed", "error": error.code, "details": error.details})
        except (ValueError, ValidationError) as error:
            _tell(channel, {"event": "failed", "error": "chat.bad_command", "details": {"reason": str(error)}})
        except Exception as error:  # the client must hear of it, and the next client must find a server
            log.exception("a command failed")
            _tell(channel, _failure(error))
        finally:
            channel.close()
            self._guests.discard(channel)

    def _checked(self, line: dict[str, Any]) -> Command:
        command = parse_command(line)
        if not hmac.compare_digest(command.token.encode(), self._door.token.encode()):
            raise StudioError("chat.bad_command", reason="token")
        return command

    def _obey(self, command: Command, channel: Channel) -> None:
        match command:
            case Open():
                self._served(channel, threading.Event(), lambda engine, _: self._open(engine, command, channel))
            case Generate():
                self._generate(command, channel)
            case Stop():
                names = [command.name] if command.name else list(self._stops)
                stops = [stop for name in names if (stop := self._stops.get(name))]
                for stop in stops:
                    stop.set()
                channel.send({"event": "stopped", "answers": len(stops)})
            case Status():
                channel.send({"event": "status", **self._status()})
            case Quit():
                self.end()

    def _open(self, engine: Engine, command: Open, channel: Channel) -> Iterable[Event]:
        engine.open(command.sides, progress=partial(_send_progress, channel))
        yield Opened(engine.sides, engine.device or "", _memory())

    def _generate(self, command: Generate, channel: Channel) -> None:
        stop = self._stops.setdefault(command.name, threading.Event())
        progress = partial(_send_progress, channel)
        try:
            self._served(
                channel,
                stop,
                lambda engine, stopping: engine.generate(command.requests, progress=progress, stopping=stopping),
            )
        finally:
            self._stops.pop(command.name, None)

    def _served(
        self, channel: Channel, stop: threading.Event, work: Callable[[Engine, Stopping], Iterable[Event]]
    ) -> None:
        """Wait for the engine, and pass on what `work` tells."""

        def stopping() -> bool:
            return stop.is_set() or self._ending.is_set() or channel.gone()

        def told(position: int) -> None:
            channel.send(event_as_json(Waiting(position, self._holder)))

        ticket = self._turns.take(told, stopping)
        if ticket is None:
            return
        try:
            if self._got_device(channel, stopping):
                for event in work(self._loaded(channel), stopping):
                    channel.send(event_as_json(event))
        finally:
            self._used = time.monotonic()
            self._turns.give_back(ticket)

    def _got_device(self, channel: Channel, stopping: Stopping) -> bool:
        told = ""
        try:
            while not stopping():
                try:
                    self._acquire()
                except StudioError as error:
                    if error.code != "device.busy":
                        raise
                    self._holder = str(error.details.get("title", ""))
                    if self._holder != told:
                        channel.send(event_as_json(Waiting(0, self._holder)))
                        told = self._holder
                    time.sleep(LEASE_SECONDS)
                else:
                    return True
            return False
        finally:
            self._holder = None

    def _loaded(self, channel: Channel) -> Engine:
        if self._engine is None:
            channel.send(event_as_json(Loading(0.0, "progress.chat.start")))
            # Here and not above: torch takes seconds, and a client must hear meanwhile that somebody is there.
            from studio.chat.engine import Engine
            from studio.models.files import locate

            self._engine = Engine(lambda reference: locate(reference, self._settings))
        return self._engine

    def _status(self) -> dict[str, Any]:
        engine = self._engine
        return {
            "pid": os.getpid(),
            "base": engine.base if engine else None,
            "sides": engine.sides if engine else (),
            "device": engine.device if engine else None,
            "memory": _memory(),
            "weights": engine.weights if engine else 0,
            "quantisation": engine.quantisation if engine else None,
            "waiting": len(self._turns),
            "idle_seconds": self.idle(),
        }


def serve(
    settings: Settings,
    *,
    idle_seconds: float = IDLE_SECONDS,
    acquire: Callable[[], None] = lambda: None,
    release: Callable[[], None] = lambda: None,
    awaited: Callable[[], bool] = lambda: False,
) -> None:
    """Serve the chat of one workspace until it is idle, told to quit, or terminated.

    Raises:
        Taken: If another process already does.
    """
    settings.workspace.mkdir(parents=True, exist_ok=True)
    server = Server(settings, Door(settings.workspace), acquire=acquire, release=release, awaited=awaited)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.end())
    server.run(idle_seconds)


def _memory() -> int:
    """Bytes this process holds: resident, and on the GPU if there is one."""
    torch = sys.modules.get("torch")
    device = torch.cuda.memory_reserved() if torch is not None and torch.cuda.is_available() else 0
    return int(psutil.Process().memory_info().rss + device)


def _send_progress(channel: Channel, share: float, note: str) -> None:
    channel.send(event_as_json(Loading(share, note)))


def _tell(channel: Channel, line: dict[str, Any]) -> None:
    try:
        channel.send(line)
    except Closed:
        log.info("nobody is left to hear %s", line.get("error"))


def _failure(error: Exception) -> dict[str, Any]:
    reason = (str(error).strip().splitlines() or [""])[-1] or type(error).__name__
    # torch says "CUDA out of memory" and, on a CPU, "can't allocate memory".
    if isinstance(error, MemoryError) or "out of memory" in str(error) or "allocate memory" in str(error):
        return {"event": "failed", "error": "chat.no_memory", "details": {}}
    return {"event": "failed", "error": "chat.crashed", "details": {"reason": reason}}
