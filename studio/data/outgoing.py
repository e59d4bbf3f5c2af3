"""A dataset written to one file that other programs read."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from studio.data.incoming import SCHEMAS
from studio.data.sample import Chat, Kind, Pair, Sample
from studio.data.stored import read_manifest, read_samples
from studio.errors import StudioError
from studio.workspace import disk_error

_ROWS_AT_ONCE = 1_000


def write(folder: Path, out: Path) -> dict[str, Any]:
    """Write the dataset in `folder` to `out`, whose ending says how: ``.jsonl``, ``.txt`` or ``.parquet``.

    A txt file has a text on each line, so line ends inside a text become spaces. The file appears whole or not at all.

    Returns:
        ``out``, ``rows`` and ``bytes`` of the file.

    Raises:
        StudioError: ``data.export_format``, ``data.export_exists``, ``data.export_not_text`` (a txt file of pairs or
            chats), ``workspace.not_writable``, ``disk.full``, ``data.no_such_dataset`` or ``data.dataset_damaged``.
    """
    manifest = read_manifest(folder)
    writer = _WRITERS.get(out.suffix.lower())
    if writer is None:
        raise StudioError("data.export_format", file=out.name)
    if out.suffix.lower() == ".txt" and manifest.kind != "text":
        raise StudioError("data.export_not_text", name=manifest.name)
    if out.exists():
        raise StudioError("data.export_exists", file=str(out))
    part = None
    try:
        descriptor, part = tempfile.mkstemp(prefix=f".{out.name}-", dir=out.parent)
        with os.fdopen(descriptor, "wb") as file:
            writer(file, manifest.kind, _plain(read_samples(folder)))
        Path(part).chmod(0o644)
        Path(part).rename(out)
    except OSError as error:
        raise disk_error(error, out.parent) from error
    finally:
        if part is not None:
            Path(part).unlink(missing_ok=True)
    return {"out": str(out), "rows": manifest.rows, "bytes": out.stat().st_size}


def _plain(samples: Iterator[Sample]) -> Iterator[dict[str, Any]]:
    for sample in samples:
        if isinstance(sample, Chat):
            yield {"messages": [{"role": turn.role, "content": turn.content} for turn in sample.messages]}
        elif isinstance(sample, Pair):
            yield {"fa": sample.fa, "en": sample.en}
        else:
            yield {"text": sample.text}


def _jsonl(file: IO[bytes], _: Kind, rows: Iterator[dict[str, Any]]) -> None:
    for row in rows:
        file.write((json.dumps(row, ensure_ascii=False) + "\n").encode())


def _txt(file: IO[bytes], _: Kind, rows: Iterator[dict[str, Any]]) -> None:
    for row in rows:
        file.write((" ".join(row["text"].splitlines()) + "\n").encode())


def _parquet(file: IO[bytes], kind: Kind, rows: Iterator[dict[str, Any]]) -> None:
    with pq.ParquetWriter(file, SCHEMAS[kind], compression="zstd") as writer:
        some: list[dict[str, Any]] = []
        for row in rows:
            some.append(row)
            if len(some) >= _ROWS_AT_ONCE:
                writer.write_table(pa.Table.from_pylist(some, SCHEMAS[kind]))
                some = []
        if some:
            writer.write_table(pa.Table.from_pylist(some, SCHEMAS[kind]))


_WRITERS: dict[str, Callable[[IO[bytes], Kind, Iterator[dict[str, Any]]], None]] = {
    ".jsonl": _jsonl,
    ".txt": _txt,
    ".parquet": _parquet,
}
