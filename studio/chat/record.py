"""Where the chat process of a workspace is found: one small file, believed only while that very process lives."""

from __future__ import annotations

import json
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from studio.jobs.process import ProcessIdentity, current_process, is_alive

FILE = "chat.json"


class Record(BaseModel):
    """The chat process and its door.

    `started` is the process's start time: pids are given out again, and a stale file must not point at a stranger.
    `path` is a Unix socket, or None when `port` on the loopback is used. `token` opens either.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pid: int
    started: float
    path: str | None
    port: int | None
    token: str

    @property
    def process(self) -> ProcessIdentity:
        return ProcessIdentity(self.pid, self.started)


def read_record(workspace: Path) -> Record | None:
    """The record of `workspace` if its process is alive."""
    try:
        record = Record.model_validate(json.loads((workspace / FILE).read_text(encoding="utf8")))
    except (FileNotFoundError, json.JSONDecodeError, ValidationError):
        return None
    return record if is_alive(record.process) else None


def write_record(workspace: Path, *, path: str | None, port: int | None, token: str) -> Record:
    """Announce this process in `workspace`, readable by its owner only."""
    process = current_process()
    record = Record(pid=process.pid, started=process.started, path=path, port=port, token=token)
    incoming = workspace / f".{FILE}.{process.pid}"
    descriptor = os.open(incoming, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf8") as file:
        file.write(record.model_dump_json())
    os.replace(incoming, workspace / FILE)
    return record


def remove_record(workspace: Path) -> None:
    (workspace / FILE).unlink(missing_ok=True)
