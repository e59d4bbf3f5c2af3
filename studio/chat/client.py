"""How pages and services talk to a model: starts the chat process when it is needed, and needs no torch itself."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.chat.channel import Channel, Closed, connect
from studio.chat.commands import Command, Generate, Open, Quit, Status, Stop
from studio.chat.events import Event, Loading, Opened, event_from_json
from studio.chat.record import Record, read_record
from studio.chat.requests import Quantisation, Request
from studio.errors import StudioError
from studio.jobs.events import Progress
from studio.jobs.process import ProcessIdentity, is_alive
from studio.settings import ROOT, Settings, child_environment

START_SECONDS = 30.0  # the process imports no torch before it listens: half a second is usual
CHECK_SECONDS = 2.0  # how soon a process that died without a word is noticed
REPLY_SECONDS, REPLY_WAITS = 5.0, 4  # a reply that needs no model takes milliseconds, and seconds on a busy machine
LARGEST_LOG = 1_000_000  # bytes; beyond it the next start begins a new one
START = b"---- start ----\n"  # written before each process, so that an old failure is not taken for a new one
FATAL = ("Traceback", "Fatal Python error", "terminate called", "Error:")


@dataclass(frozen=True, slots=True)
class ChatStatus:
    """A running chat process.

    `memory` and `weights` are bytes: of the whole process, and of the weights within. `quantisation` is how the base
    is held, None without one. `sides` answer without loading.
    `waiting` counts who is served or waits. `idle_seconds` is since anybody last used the model.
    """

    pid: int
    base: str | None
    sides: tuple[str, ...]
    device: str | None
    memory: int
    weights: int
    quantisation: Quantisation | None
    waiting: int
    idle_seconds: float


class ChatClient:
    """One workspace's chat; holds nothing, so that any handler may make its own.

    Args:
        settings: Tells the workspace.
        idle_seconds: After which the process that we start ends by itself; None for its default, 15 minutes.
    """

    def __init__(self, settings: Settings, *, idle_seconds: float | None = None) -> None:
        self.settings = settings
        self._idle_seconds = idle_seconds

    def start_if_needed(self) -> Record:
        """Make sure that a chat process listens; it loads no model yet.

        Raises:
            StudioError: ``chat.crashed`` with the last line of its log.
        """
        give_up = time.monotonic() + START_SECONDS
        child: subprocess.Popen[bytes] | None = None
        while (record := read_record(self.settings.workspace)) is None:
            # One that leaves quietly has found another before it, which may just be about to end.
            if child is None or child.poll() == 0:
                child = self._spawn()
            elif child.returncode is not None or time.monotonic() > give_up:
                raise StudioError("chat.crashed", reason=self._last_line() or f"exit code {child.returncode}")
            time.sleep(0.05)
        return record

    def open(self, sides: Sequence[str], *, progress: Progress = lambda share, note: None) -> Opened:
        """Load what `sides` need, waiting for those who came before.

        Args:
            sides: Model references over one base.
            progress: Told how far the loading is.

        Raises:
            StudioError: ``chat.other_base``, ``chat.bad_adapter``, ``chat.no_memory``, ``chat.crashed``,
                ``chat.ended``, or what locating the model raises (``model.*``).
        """
        opened: Opened | None = None
        for event in self._events(lambda token: Open(token=token, sides=tuple(sides))):
            if isinstance(event, Loading):
                progress(event.share, event.note)
            elif isinstance(event, Opened):
                opened = event
        if opened is None:
            raise StudioError("chat.ended")
        return opened

    def stream(self, requests: Sequence[Request], *, name: str | None = None) -> Iterator[Event]:
        """Answer all `requests` at once, as events; closing the iterator stops the answers.

        Starts the process and loads the models when needed. Ends after each request has its `Finished` or `Refused`,
        or early if it was stopped while waiting.

        Args:
            requests: One per column; the index of each is the ``answer`` of its events.
            name: What `stop` calls these answers.

        Raises:
            StudioError: ``chat.crashed``, ``chat.ended``, ``chat.no_memory``.
        """
        wanted = name or secrets.token_hex(8)
        return self._events(lambda token: Generate(token=token, name=wanted, requests=tuple(requests)))

    def stop(self, name: str | None = None) -> int:
        """Stop the answers called `name`, or everybody's; returns how many requests were stopped."""
        reply = self._ask(lambda token: Stop(token=token, name=name))
        return int(reply["answers"]) if reply else 0

    def status(self) -> ChatStatus | None:
        """What runs, or None if nothing does; never starts anything."""
        reply = self._ask(lambda token: Status(token=token))
        if reply is None:
            return None
        values = {key: value for key, value in reply.items() if key != "event"}
        return ChatStatus(**{**values, "sides": tuple(values["sides"])})

    def unload(self) -> bool:
        """End the chat process, answers under way included, and return once all its memory is free.

        Returns:
            False if there was none.
        """
        record = read_record(self.settings.workspace)
        if record is None:
            return False
        with suppress(StudioError):  # whatever keeps it from obeying, the signals below do not ask
            self._ask(lambda token: Quit(token=token))
        process = record.process
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if _gone(process, 5.0):
                break
            with suppress(ProcessLookupError):
                os.kill(process.pid, sign)
        return _gone(process, 5.0)

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "studio.chat", "--workspace", str(self.settings.workspace)]
        if self._idle_seconds is not None:
            command += ["--idle-seconds", str(self._idle_seconds)]
        path = self._log()
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = not path.exists() or path.stat().st_size > LARGEST_LOG
        with path.open("wb" if fresh else "ab") as log:
            log.write(START)
            log.flush()
            child = subprocess.Popen(
                command,
                cwd=ROOT,
                env=child_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # neither Ctrl-C nor the end of the app reaches it
            )
        _children.append(child)
        _children[:] = [one for one in _children if one is child or one.poll() is None]
        return child

    def _events(self, command: Callable[[str], Command]) -> Iterator[Event]:
        record, channel = self._accepted(command)
        try:
            while (line := self._next(record, channel))["event"] != "done":
                if line["event"] == "failed":
                    raise StudioError(line["error"], **line["details"])
                yield event_from_json(line)
        finally:
            channel.close()

    def _accepted(self, command: Callable[[str], Command]) -> tuple[Record, Channel]:
        """A channel on which `command` was taken; a process that is just leaving may turn us away, so ask again."""
        for _ in range(5):
            record = self.start_if_needed()
            try:
                channel = connect(record)
            except Closed:
                time.sleep(0.1)
                continue
            try:
                channel.send(command(record.token).model_dump())
                self._next(record, channel)
                return record, channel
            except (StudioError, Closed):
                channel.close()
        raise StudioError("chat.ended")

    def _next(self, record: Record, channel: Channel) -> dict[str, Any]:
        try:
            while (line := channel.receive(CHECK_SECONDS)) is None:
                if not is_alive(record.process):
                    raise Closed
        except Closed as error:
            reason = self._last_line()
            raise (StudioError("chat.crashed", reason=reason) if reason else StudioError("chat.ended")) from error
        return line

    def _ask(self, command: Callable[[str], Command]) -> dict[str, Any] | None:
        """The reply to a command that needs no model, or None if nobody is there or nobody replies in time.

        Raises:
            StudioError: What the process failed with.
        """
        record = read_record(self.settings.workspace)
        if record is None:
            return None
        try:
            channel = connect(record)
        except Closed:
            return None
        try:
            channel.send(command(record.token).model_dump())
            # A process that reads weights on a busy machine may be deaf for longer than one wait.
            lines = (channel.receive(REPLY_SECONDS) for _ in range(REPLY_WAITS))
            line = next((line for line in lines if line is not None and line["event"] != "accepted"), None)
        except Closed:
            return None
        finally:
            channel.close()
        if line is not None and line["event"] == "failed":
            raise StudioError(line["error"], **line["details"])
        return line

    def _log(self) -> Path:
        return self.settings.logs / "chat.log"

    def _last_line(self) -> str:
        """Why the process died, if its log says so: killed for memory, it says nothing."""
        try:
            newest = self._log().read_bytes().rpartition(START)[2]
        except FileNotFoundError:
            return ""
        lines = [line for line in newest.decode("utf8", errors="replace").splitlines()[-40:] if line.strip()]
        fatal = any(mark in line for line in lines for mark in FATAL)
        return lines[-1].strip() if fatal else ""


def _gone(process: ProcessIdentity, seconds: float) -> bool:
    give_up = time.monotonic() + seconds
    while is_alive(process):
        if time.monotonic() > give_up:
            return False
        time.sleep(0.02)
    return True


# An ended child stays a zombie until its parent asks after it; kept here, so that it is asked and never warned about.
_children: list[subprocess.Popen[bytes]] = []
