"""A dataset being written: it becomes visible whole, by one rename, or leaves nothing."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from studio.data.manifest import FILE, Cleaned, HubOrigin, Manifest, Place, check_name
from studio.data.mapping import Mapping
from studio.data.mixing.record import Mixed
from studio.data.sample import Chat, Kind, Pair, Sample, Text, kind_of, strings
from studio.data.script import count_letters
from studio.errors import StudioError
from studio.workspace import disk_error

PLACES = 5
GROUP_ROWS = 20_000
GROUP_CHARACTERS = 4 * 10**6
PART_BYTES = 64 * 10**6
# A disk filled to the brim also stops the job table and every running training.
RESERVE_BYTES = 200 * 10**6
_PREFIX = ".incoming-"
_ABANDONED_SECONDS = 60
_WRITE_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)

SCHEMAS: dict[Kind, pa.Schema] = {
    "text": pa.schema([("text", pa.string())]),
    "pair": pa.schema([("fa", pa.string()), ("en", pa.string())]),
    "chat": pa.schema([("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())])))]),
}


class ContentHash:
    """SHA-256 over samples in order: each field as its length in bytes, a colon and its UTF-8."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, sample: Sample) -> int:
        """Take in the next sample; returns the UTF-8 bytes of its texts."""
        texts = [text.encode() for text in strings(sample)]
        fields = texts
        if isinstance(sample, Chat):
            roles = [turn.role.encode() for turn in sample.messages]
            fields = [field for turn in zip(roles, texts, strict=True) for field in turn]
        pieces = [b"%d;" % len(fields)]
        for field in fields:
            pieces += (b"%d:" % len(field), field)
        self._hash.update(b"".join(pieces))
        return sum(map(len, texts))

    def hexdigest(self) -> str:
        """The hash of all samples so far."""
        return self._hash.hexdigest()


class Incoming:
    """Collects samples of one kind into zstd Parquet parts and counts them; made by `incoming`."""

    def __init__(
        self, folder: Path, target: Path, name: str, free: Callable[[Path], int], create: Callable[[Path], IO[bytes]]
    ) -> None:
        self.folder = folder
        self._target, self._name, self._free, self._create = target, name, free, create
        self._kind: Kind | None = None
        self._buffer: list[Sample] = []
        self._buffered = 0
        self._hash = ContentHash()
        self._rows = self._characters = self._bytes = self._arabic = self._letters = 0
        self._parts: list[IO[bytes]] = []
        self._writer: Any = None
        self.dropped: Counter[str] = Counter()
        self.trimmed: Counter[str] = Counter()
        self._places: dict[str, list[Place]] = {}

    def add(self, sample: Sample) -> None:
        """Take in a sample of the same kind as all before."""
        if self._kind is None:
            self._kind = kind_of(sample)
        self._buffer.append(sample)
        self._buffered += sum(map(len, strings(sample)))
        if len(self._buffer) >= GROUP_ROWS or self._buffered >= GROUP_CHARACTERS:
            self._flush()

    def note(self, reason: str, file: str, row: int) -> None:
        """Remember the first `PLACES` rows of each reason to drop or trim."""
        known = self._places.setdefault(reason, [])
        if len(known) < PLACES:
            known.append(Place(file=file, row=row))

    def finish(self) -> tuple[int, int, int]:
        """Write out what is buffered; rows, characters and UTF-8 bytes of all samples."""
        self._flush()
        return self._rows, self._characters, self._bytes

    def commit(
        self,
        *,
        mapping: Mapping,
        source: str,
        licence: str | None,
        encoding: str | None,
        files: list[str],
        cleaned: Cleaned | None = None,
        origin: HubOrigin | None = None,
        mixed: Mixed | None = None,
    ) -> Manifest:
        """Write the manifest and give the folder its name.

        Raises:
            StudioError: ``data.nothing_usable`` if no sample came; ``data.name_taken`` if another import was faster.
        """
        self._flush()
        if self._kind is None:
            reason, count = next(iter(self.dropped.most_common(1)), ("empty", 0))
            raise StudioError("data.nothing_usable", rows=self.dropped.total(), reason=reason, count=count)
        self._close_part()
        manifest = Manifest(
            name=self._name,
            kind=self._kind,
            rows=self._rows,
            characters=self._characters,
            bytes=self._bytes,
            persian_share=round(self._arabic / self._letters, 4) if self._letters else 0.0,
            source=source,
            licence=licence,
            sha256=self._hash.hexdigest(),
            mapping=mapping,
            encoding=encoding,
            dropped=dict(self.dropped),
            trimmed=dict(self.trimmed),
            places=self._places,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            files=files,
            cleaned=cleaned,
            origin=origin,
            mixed=mixed,
        )
        (self.folder / FILE).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf8")
        try:
            self.folder.rename(self._target / self._name)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise StudioError("data.name_taken", name=self._name) from error
            raise
        return manifest

    def _flush(self) -> None:
        if not self._buffer or self._kind is None:
            return
        free = self._free(self.folder)
        if free < RESERVE_BYTES:
            raise StudioError("disk.too_small", free=free, needed=RESERVE_BYTES)
        texts = [text for sample in self._buffer for text in strings(sample)]
        letters = count_letters(texts)
        self._arabic, self._letters = self._arabic + letters.arabic, self._letters + letters.total
        self._characters += self._buffered
        self._bytes += sum(map(self._hash.add, self._buffer))
        self._rows += len(self._buffer)
        if self._writer is None:
            self._parts.append(self._create(self.folder / f"data-{len(self._parts):05d}.parquet"))
            schema = SCHEMAS[self._kind]
            self._writer = pq.ParquetWriter(self._parts[-1], schema, compression="zstd", use_dictionary=False)
        self._writer.write_batch(_batch(self._kind, self._buffer))
        self._buffer, self._buffered = [], 0
        if self._parts[-1].tell() >= PART_BYTES:
            self._close_part()

    def _close_part(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self._parts[-1].close()

    def abandon(self) -> None:
        """Close what is open after a failure; the folder is the caller's to remove."""
        writer, self._writer = self._writer, None
        if writer is not None:
            # Its footer cannot be written either where the disk is full, and nobody will read it.
            writer.is_open = False
        for part in self._parts:
            try:
                part.close()
            except OSError:  # the same full disk, met again while the buffer is written out
                continue


def _create(path: Path) -> IO[bytes]:
    return path.open("wb")


def free_bytes(folder: Path) -> int:
    """Bytes that can still be written below `folder`."""
    return shutil.disk_usage(folder).free


@contextmanager
def incoming(
    target: Path,
    name: str,
    *,
    free: Callable[[Path], int] = free_bytes,
    create: Callable[[Path], IO[bytes]] = _create,
) -> Iterator[Incoming]:
    """Collect a new dataset; unless it is committed, nothing of it is left, whatever happens inside.

    Args:
        target: The datasets folder.
        name: What the dataset will be called.
        free: Tells how many bytes a folder can still take.
        create: Opens a new part for writing.

    Raises:
        StudioError: ``data.bad_name``, ``data.name_taken``, ``workspace.not_writable`` or ``disk.full``.
    """
    check_name(target, name)
    lock = -1
    folder: Path | None = None
    writer: Incoming | None = None
    try:
        target.mkdir(parents=True, exist_ok=True)
        remove_abandoned(target)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=target))
        folder.chmod(0o755)
        lock = os.open(folder, os.O_RDONLY)
        # The kernel lets go when this process dies: that is how a later import knows the folder is nobody's.
        fcntl.flock(lock, fcntl.LOCK_EX)
        writer = Incoming(folder, target, name, free, create)
        yield writer
    except OSError as error:
        if error.errno in _WRITE_FAULTS:
            raise disk_error(error, target) from error
        raise
    finally:
        if writer is not None:
            writer.abandon()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        if lock >= 0:
            os.close(lock)


def remove_abandoned(target: Path) -> None:
    """Remove what imports left that were killed; those still at work hold a lock and are spared."""
    for folder in target.glob(f"{_PREFIX}*"):
        try:
            # A folder this young may not be locked yet.
            if time.time() - folder.stat().st_mtime < _ABANDONED_SECONDS:
                continue
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            continue
        finally:
            os.close(lock)


def _batch(kind: Kind, samples: list[Sample]) -> pa.RecordBatch:
    columns: list[Any]
    if kind == "text":
        columns = [[sample.text for sample in samples if isinstance(sample, Text)]]
    elif kind == "pair":
        pairs = [sample for sample in samples if isinstance(sample, Pair)]
        columns = [[pair.fa for pair in pairs], [pair.en for pair in pairs]]
    else:
        chats = [sample.messages for sample in samples if isinstance(sample, Chat)]
        columns = [[[{"role": turn.role, "content": turn.content} for turn in turns] for turns in chats]]
    schema = SCHEMAS[kind]
    return pa.record_batch(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema
    )
