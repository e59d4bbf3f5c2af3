"""Stored datasets: files become samples in zstd Parquet, and come back as samples."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from studio.data.aligned import MAPPING as ALIGNED
from studio.data.aligned import Aligned
from studio.data.columns import Dropped, Mapping, Trimmed, check_mapping, guess, to_sample
from studio.data.incoming import Incoming, free_bytes, incoming
from studio.data.json_stream import Row
from studio.data.manifest import FILE, Manifest, check_name, read_manifest, suggest_name
from studio.data.read import Rows, open_rows
from studio.data.sample import Chat, Kind, Message, Pair, Sample, Text, strings
from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.workspace import remove

__all__ = [
    "CountTokens",
    "Group",
    "Manifest",
    "check_name",
    "delete",
    "import_files",
    "list_datasets",
    "list_groups",
    "plain_text",
    "read_group",
    "read_manifest",
    "read_samples",
    "sample_rows",
    "store_rows",
    "suggest_name",
    "token_lengths",
]

TICK_ROWS = 200
BATCH_ROWS = 512

CountTokens = Callable[[list[str]], Sequence[int]]


def import_files(
    files: Sequence[Path],
    target: Path,
    name: str,
    *,
    mapping: Mapping | None = None,
    aligned: bool = False,
    encoding: str | None = None,
    licence: str | None = None,
    source: str,
    progress: Progress,
    stopping: Stopping,
    free: Callable[[Path], int] = free_bytes,
) -> Manifest:
    """Import files with the same columns, in their order, as the dataset `name`.

    A failure or a stop leaves nothing behind. Memory does not grow with the size of the files.

    Args:
        files: Files of any format that `open_rows` reads.
        target: The datasets folder.
        name: New name of the dataset.
        mapping: Which columns to take; by default guessed from the first file.
        aligned: Whether they are two files of lines, one the translation of the other (`studio.data.aligned`).
        encoding: Encoding the user accepted for files that are not Unicode.
        licence: Licence of the texts, if known.
        source: Where they come from, for the manifest.
        progress: Told ``progress.import.rows``.
        stopping: Asked every `TICK_ROWS` rows.
        free: Tells how many bytes a folder can still take.

    Raises:
        StudioError: ``data.*`` with the file and row at fault, ``disk.full``, ``workspace.not_writable``, or
            ``job.stopped``.
    """
    if not files:
        raise StudioError("data.no_files")
    encodings: list[str] = []
    with incoming(target, name, free=free) as writer:
        opened = _open(files, aligned, encoding, writer.folder)
        for index, (file, rows) in enumerate(opened):
            with rows:
                mapping = mapping or _mapping(rows)
                check_mapping(mapping, rows.columns)
                if rows.encoding and rows.encoding not in encodings:
                    encodings.append(rows.encoding)

                def share(done: int = index, part: Callable[[], float] = rows.share) -> float:
                    return part() if aligned else (done + part()) / len(files)

                store_rows(writer, mapping, rows, file=file, share=share, progress=progress, stopping=stopping)
        assert mapping is not None
        return writer.commit(
            mapping=mapping,
            source=source,
            licence=licence,
            encoding=", ".join(encodings) or None,
            files=[file.name for file in files],
        )


def _mapping(rows: Rows | Aligned) -> Mapping:
    # Which aligned file is the Persian one is known already; single lines of it may say otherwise.
    return ALIGNED if isinstance(rows, Aligned) else guess(rows.columns, [values for _, values in rows.first])


def _open(
    files: Sequence[Path], aligned: bool, encoding: str | None, scratch: Path
) -> Iterator[tuple[str, Rows | Aligned]]:
    if aligned:
        yield " + ".join(file.name for file in files), Aligned(files, encoding)
        return
    for file in files:
        yield file.name, open_rows(file, encoding=encoding, scratch=scratch)


def store_rows(
    writer: Incoming,
    mapping: Mapping,
    rows: Iterable[Row],
    *,
    file: str,
    share: Callable[[], float],
    progress: Progress,
    stopping: Stopping,
) -> None:
    """Convert the rows of `file` and give the samples to `writer`, which also counts and places what was dropped.

    Raises:
        StudioError: ``job.stopped``.
    """
    for count, (row, values) in enumerate(rows):
        if count % TICK_ROWS == 0:
            if stopping():
                raise StudioError("job.stopped")
            progress(share(), "progress.import.rows")
        found = to_sample(values, mapping, row)
        if isinstance(found, Dropped):
            writer.dropped[found.reason] += 1
            writer.note(found.reason, file, found.row)
        elif isinstance(found, Trimmed):
            for reason in found.reasons:
                writer.trimmed[reason] += 1
                writer.note(reason, file, row)
            writer.add(found.sample)
        else:
            writer.add(found)


def read_samples(folder: Path) -> Iterator[Sample]:
    """Every sample of a dataset in its order, a few hundred in memory at a time.

    Raises:
        StudioError: ``data.no_such_dataset`` or ``data.dataset_damaged``.
    """
    kind = read_manifest(folder).kind
    for part in _parts(folder):
        with _whole(folder), pq.ParquetFile(part) as table:
            for batch in table.iter_batches(batch_size=BATCH_ROWS):
                yield from _samples(kind, batch.to_pylist())


@dataclass(frozen=True, slots=True)
class Group:
    """A piece of a dataset that is read at once, of at most `incoming.GROUP_CHARACTERS`: where it is, its rows."""

    part: Path
    number: int
    first: int
    rows: int


def list_groups(folder: Path) -> list[Group]:
    """The pieces of a dataset in their order; several processes can read one each.

    Raises:
        StudioError: ``data.dataset_damaged``.
    """
    found, first = list[Group](), 0
    for part in _parts(folder):
        with _whole(folder), pq.ParquetFile(part) as table:
            for number in range(table.num_row_groups):
                found.append(Group(part, number, first, table.metadata.row_group(number).num_rows))
                first += found[-1].rows
    return found


def read_group(group: Group, kind: Kind, rows: Sequence[int] | None = None) -> list[Sample]:
    """The samples of one piece, or only those at the ascending places `rows` in it.

    Raises:
        StudioError: ``data.dataset_damaged``.
    """
    with _whole(group.part.parent), pq.ParquetFile(group.part) as table:
        found = table.read_row_group(group.number)
        return list(_samples(kind, (found if rows is None else found.take(pa.array(rows, pa.int64()))).to_pylist()))


def sample_rows(folder: Path, start: int, count: int) -> list[Sample]:
    """Samples `start` to ``start + count``, for a page; parts and row groups before them are not read.

    Raises:
        StudioError: ``data.no_such_dataset`` or ``data.dataset_damaged``.
    """
    wanted = range(max(0, start), max(0, start) + count)
    return [sample for _, sample in _at(folder, wanted)]


def token_lengths(folder: Path, count_tokens: CountTokens, limit_rows: int = 2000) -> list[int]:
    """Tokens of up to `limit_rows` evenly spread samples, in their order: what a length histogram shows.

    Args:
        folder: The dataset.
        count_tokens: Maps texts to their numbers of tokens, special tokens left out.
        limit_rows: Most samples to look at.

    Raises:
        StudioError: ``data.no_such_dataset`` or ``data.dataset_damaged``.
    """
    rows = read_manifest(folder).rows
    count = min(rows, limit_rows)
    wanted = [index * rows // count for index in range(count)]
    return list(count_tokens([plain_text(sample) for _, sample in _at(folder, wanted)]))


def plain_text(sample: Sample) -> str:
    """The texts of a sample, one below the other, without roles."""
    return "\n".join(strings(sample))


def list_datasets(target: Path) -> list[Manifest]:
    """Manifests of the datasets in the folder `target`, newest first; damaged ones are left out."""
    found: list[Manifest] = []
    for file in target.glob(f"[!.]*/{FILE}"):
        try:
            found.append(read_manifest(file.parent))
        except StudioError:  # it stays where it is; opening it by name says what is wrong
            continue
    return sorted(found, key=lambda manifest: (manifest.created, manifest.name), reverse=True)


def delete(folder: Path) -> None:
    """Remove a dataset.

    Raises:
        StudioError: ``data.no_such_dataset`` or ``workspace.not_writable``.
    """
    if not (folder / FILE).exists():
        raise StudioError("data.no_such_dataset", name=folder.name)
    remove(folder)


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("data-*.parquet"))


@contextmanager
def _whole(folder: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise StudioError("data.dataset_damaged", name=folder.name) from error


def _at(folder: Path, wanted: Sequence[int]) -> list[tuple[int, Sample]]:
    """The samples at the ascending row numbers `wanted` that exist."""
    kind, found, first = read_manifest(folder).kind, list[tuple[int, Sample]](), 0
    for part in _parts(folder):
        with _whole(folder), pq.ParquetFile(part) as table:
            for group in range(table.num_row_groups):
                end = first + table.metadata.row_group(group).num_rows
                here = wanted[bisect_left(wanted, first) : bisect_left(wanted, end)]
                if here:
                    rows = table.read_row_group(group).take([index - first for index in here]).to_pylist()
                    found += zip(here, _samples(kind, rows), strict=True)
                first = end
    return found


def _samples(kind: Kind, rows: list[dict[str, Any]]) -> Iterator[Sample]:
    if kind == "text":
        return (Text(row["text"]) for row in rows)
    if kind == "pair":
        return (Pair(row["fa"], row["en"]) for row in rows)
    return (Chat(tuple(Message(turn["role"], turn["content"]) for turn in row["messages"])) for row in rows)
