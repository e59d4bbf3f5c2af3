"""The bytes of a file, unpacked on the way when it is gzip or Zstandard, and never more of them than is sane."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal

import pyarrow as pa

from studio.errors import StudioError

Compression = Literal["gzip", "zstd"]

HEAD_BYTES = 1 << 18
STEP_BYTES = 1 << 14
UNPACKED_LIMIT = 20 * 10**9
# Persian jsonl packs 4 to 12 times, a log that repeats itself below 100 times, a bomb a thousand times and more.
RATIO_LIMIT = 300
RATIO_FREE_BYTES = 256 * 10**6

_MAGIC: tuple[tuple[bytes, Compression], ...] = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))


class ByteSource:
    """A file read forward once.

    `head` holds its first unpacked bytes (up to `HEAD_BYTES`), which `read` gives again; `compression` is judged by
    the first bytes, not by the name. Reading raises StudioError ``data.truncated``, ``data.damaged``,
    ``data.not_readable`` or ``data.unpacks_too_large``.

    Args:
        path: The file.
        limit: Most unpacked bytes that a packed file may give.

    Raises:
        StudioError: ``data.no_such_file``, ``data.not_readable`` or ``data.file_empty``.
    """

    def __init__(self, path: Path, *, limit: int = UNPACKED_LIMIT) -> None:
        self.path, self.name = path, path.name
        self._limit, self._unpacked = limit, 0
        try:
            self._file: IO[bytes] = path.open("rb")
        except FileNotFoundError as error:
            raise StudioError("data.no_such_file", file=str(path)) from error
        except OSError as error:
            raise StudioError("data.not_readable", file=self.name, reason=error.strerror) from error
        try:
            self._size = os.fstat(self._file.fileno()).st_size
            first = self._file.read(4)
            self._file.seek(0)
            self.compression = next((name for magic, name in _MAGIC if first.startswith(magic)), None)
            self._stream: Any = (
                pa.CompressedInputStream(self._file, self.compression) if self.compression else self._file
            )
            self._pending = b""
            self._fault: StudioError | None = None
            self.head = self._pending = self._read_head()
            if not self.head and self._fault:
                raise StudioError(self._fault.code, **{"row": 1, **self._fault.details}) from self._fault
            if not self.head:
                raise StudioError("data.file_empty", file=self.name)
        except BaseException:
            self._file.close()
            raise

    @property
    def whole(self) -> bool:
        """Whether `head` is all there is."""
        return len(self.head) < HEAD_BYTES and self._fault is None

    def share(self) -> float:
        """Share of the file on disk read so far, 0 to 1."""
        return min(1.0, self._file.tell() / self._size) if self._size and not self._file.closed else 1.0

    def read(self, size: int = 1 << 20) -> bytes:
        """Up to `size` more bytes, or none at the end."""
        if self._pending:
            piece, self._pending = self._pending[:size], self._pending[size:]
            return piece
        return self._next(size)

    def _read_head(self) -> bytes:
        pieces: list[bytes] = []
        try:
            while (missing := HEAD_BYTES - sum(map(len, pieces))) > 0 and (piece := self._next(missing)):
                pieces.append(piece)
        except StudioError as fault:
            # What is whole is given first, so that the sentence can name the row where it breaks.
            self._fault = fault
        return b"".join(pieces)

    def _next(self, size: int) -> bytes:
        if self._fault:
            raise self._fault
        try:
            # Unpacking drops what it has when it meets a fault: small steps lose little.
            piece: bytes = self._stream.read(min(size, STEP_BYTES) if self.compression else size)
        except OSError as error:
            if error.errno is not None:
                raise StudioError("data.not_readable", file=self.name, reason=error.strerror) from error
            # Arrow tells a stream that ends early from one that is wrong by its sentence alone.
            code = "data.truncated" if "runcated" in str(error) else "data.damaged"
            raise StudioError(code, file=self.name) from error
        self._unpacked += len(piece)
        if self.compression:
            bomb = self._unpacked > RATIO_FREE_BYTES and self._unpacked > RATIO_LIMIT * self._size
            if bomb or self._unpacked > self._limit:
                raise StudioError("data.unpacks_too_large", file=self.name, limit_gb=self._limit / 1e9)
        return piece

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __enter__(self) -> ByteSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
