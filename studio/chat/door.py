"""The socket at which the chat process of a workspace listens, and that only its owner can use."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
from pathlib import Path

from studio.chat.record import Record, remove_record, write_record

SOCKET = "chat.sock"
LOCK = "chat.lock"
LONGEST_PATH = 100  # bytes; the kernel's limit for a Unix socket is 108 on Linux and 104 on macOS


class Taken(Exception):
    """Another process serves this workspace."""


class Door:
    """Listens for one workspace; the lock makes sure that no two do.

    A Unix socket with mode 0600 where possible; on the loopback when the path is too long or the file system has no
    sockets. Either way a random token, kept in a file of mode 0600, must come with each command.

    Raises:
        Taken: If another process has the lock.
    """

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self._lock = os.open(workspace / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise Taken from None
        self._path: str | None = str(workspace / SOCKET)
        self._listener = _listen_on_file(self._path) or self._listen_on_loopback()
        self._listener.listen(16)
        self.token = secrets.token_urlsafe(32)

    def announce(self) -> Record:
        """Tell clients where we are."""
        port = None if self._path else self._listener.getsockname()[1]
        return write_record(self._workspace, path=self._path, port=port, token=self.token)

    def admit(self, timeout: float) -> socket.socket | None:
        """The next client, or None if none came within `timeout` seconds."""
        self._listener.settimeout(timeout)
        try:
            return self._listener.accept()[0]
        except TimeoutError:
            return None

    def close(self) -> None:
        """Let nobody in any more and leave no trace but the lock file."""
        remove_record(self._workspace)
        self._listener.close()
        if self._path:
            Path(self._path).unlink(missing_ok=True)
        os.close(self._lock)

    def _listen_on_loopback(self) -> socket.socket:
        self._path = None
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind(("127.0.0.1", 0))
        return listener


def _listen_on_file(path: str) -> socket.socket | None:
    if len(os.fsencode(path)) > LONGEST_PATH:
        return None
    Path(path).unlink(missing_ok=True)  # of a process that was killed: we hold the lock
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)  # from the first moment, not after a chmod
    try:
        listener.bind(path)
    except OSError:  # a Windows drive under WSL2, some network file systems
        listener.close()
        return None
    finally:
        os.umask(mask)
    return listener
