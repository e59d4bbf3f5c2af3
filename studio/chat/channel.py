"""One connection between a page and the chat process: JSON objects, one a line, in both directions."""

from __future__ import annotations

import json
import select
import socket
from typing import Any

from studio.chat.record import Record

LONGEST_LINE = 64 * 2**20  # bytes; a prompt of 100,000 letters is 0.2 MB, and anything near this is a mistake
PATIENCE = 30.0  # seconds; a reader that takes nothing for so long is gone, and the engine must not wait for it


class Closed(Exception):
    """The other end is gone."""


class Channel:
    """Lines of JSON over a connected socket, which it owns."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.settimeout(PATIENCE)
        self._buffer = bytearray()

    def send(self, line: dict[str, Any]) -> None:
        """Send one object.

        Raises:
            Closed: If the other end is gone or takes nothing.
        """
        try:
            self._socket.sendall(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        except OSError as error:
            raise Closed from error

    def receive(self, timeout: float) -> dict[str, Any] | None:
        """The next object, or None if none came within `timeout` seconds.

        Raises:
            Closed: If the other end is gone.
            ValueError: If it sends no JSON object, or an endless line.
        """
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > LONGEST_LINE:
                raise ValueError(f"a line of more than {LONGEST_LINE} bytes")
            if not self._readable(timeout):
                return None
            self._read()
        line = json.loads(self._buffer[:end])
        del self._buffer[: end + 1]
        if not isinstance(line, dict):
            raise ValueError(f"expected an object, got {type(line).__name__}")
        return line

    def gone(self) -> bool:
        """True once the other end has closed; costs microseconds, so that it can be asked before every token."""
        try:
            while self._readable(0):
                self._read()
        except Closed:
            return True
        return False

    def close(self) -> None:
        self._socket.close()

    def _readable(self, timeout: float) -> bool:
        try:
            return bool(select.select([self._socket], [], [], timeout)[0])
        except (OSError, ValueError) as error:
            raise Closed from error

    def _read(self) -> None:
        try:
            data = self._socket.recv(65536)
        except OSError as error:
            raise Closed from error
        if not data:
            raise Closed
        self._buffer += data


def connect(record: Record) -> Channel:
    """A channel to the process behind `record`.

    Raises:
        Closed: If nobody listens there.
    """
    family, address = (socket.AF_UNIX, record.path) if record.path else (socket.AF_INET, ("127.0.0.1", record.port))
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(5)
        connection.connect(address)
    except OSError as error:
        connection.close()
        raise Closed from error
    return Channel(connection)
