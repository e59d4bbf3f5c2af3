"""A base with a vocabulary's new rows, as an ordinary model folder; every other tensor is copied as it lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.models.files import ModelFiles, read_config
from studio.models.new_rows import NewRows
from studio.models.source import Origin, read_source, write_source
from studio.models.weights import INDEX, weight_files
from studio.publish.companions import write_companions
from studio.publish.merge import check_space, incoming, write_index
from studio.publish.shards import (
    DTYPES,
    Shard,
    bytes_of,
    map_file,
    read_shard,
    size_of,
    slices,
    tensor_in,
    write_shard,
)
from studio.publish.tables import Tables, find_tables, lengthened
from studio.publish.verify import check_reload
from studio.tokenizer.rows import check_base, load_rows
from studio.tokenizer.vocabulary import Vocabulary, read_vocabulary

_COPYING = 0.8  # share of the progress; the rest is opening the folder with transformers alone

Layout = dict[str, tuple[str, tuple[int, ...]]]


def expand(
    files: ModelFiles, vocabulary: Path, out: Path, *, progress: Progress, stopping: Stopping
) -> dict[str, Any]:
    """Write the base with the new rows of a vocabulary to `out`, which appears once transformers has opened it.

    At most, the process holds one grown table; the files are mapped.

    Args:
        files: The base.
        vocabulary: Folder with new_rows.safetensors.
        out: New folder.
        progress: Told the share done.
        stopping: Asked before every tensor.

    Returns:
        ``out, rows, added, bytes``.

    Raises:
        StudioError: ``rows.*``, ``publish.out_exists``, ``publish.base_quantised``, ``publish.reload_failed``,
            ``model.*``, ``disk.too_small`` or ``job.stopped``.
    """
    found = read_vocabulary(vocabulary)
    check_base(files, found)
    rows = load_rows(vocabulary, found)
    with incoming(out) as folder:
        length, size = write_expanded(
            files.folder, vocabulary, rows, folder,
            progress=lambda share: progress(_COPYING * share, "progress.merge.weights"), stopping=stopping,
        )  # fmt: skip
        progress(_COPYING, "progress.merge.reload")
        check_reload(folder)
        _sign(files, out, folder, found)
    return {"out": str(out), "rows": length, "added": found.added, "bytes": size}


def write_expanded(
    base: Path,
    tokenizer: Path,
    rows: NewRows,
    folder: Path,
    *,
    progress: Callable[[float], None],
    stopping: Stopping,
) -> tuple[int, int]:
    """Write the files of `base` with `rows` in its tables into `folder`; returns the tables' length and all bytes.

    Args:
        base: Folder of the base.
        tokenizer: Folder of the extended tokenizer.
        rows: Rows of the new ids, or of all.
        folder: Exists and is empty.
        progress: Told the share of bytes written.
        stopping: Asked before every tensor.

    Raises:
        StudioError: ``rows.*``, ``publish.base_quantised``, ``disk.too_small`` or ``job.stopped``.
    """
    shards = tuple(read_shard(path) for path in weight_files(base))
    tables = find_tables(shards, rows)
    layouts = [_layout(shard, tables) for shard in shards]
    sizes = [sum(size_of(*each) for each in layout.values()) for layout in layouts]
    check_space(folder, sum(sizes))
    for place, (shard, layout) in enumerate(zip(shards, layouts, strict=True), start=1):
        write_shard(folder / shard.path.name, layout, _blocks(shard, tables, stopping))
        progress(sum(sizes[:place]) / sum(sizes))
    if (base / INDEX).is_file():
        write_index(shards, folder, sum(sizes))
    code = next(layout[name][0] for layout in layouts for name in layout if name in tables.rows)
    config = lengthened(read_config(base), tables.length)
    write_companions(base, tokenizer, folder, config, str(DTYPES[code]).removeprefix("torch."))
    return tables.length, sum(sizes)


def _sign(files: ModelFiles, out: Path, folder: Path, vocabulary: Vocabulary) -> None:
    """source.json: with it the pages list the folder among the bases, and know its licence and its original."""
    source = read_source(files.folder)
    write_source(
        folder,
        reference=f"local:{out}",
        original=files.reference if source is None else source.original,
        licence=None if source is None else source.licence,
        note=f"expanded by {vocabulary.added}",
        origins=[Origin(name=files.reference, version=vocabulary.base_hash)],
    )


def _layout(shard: Shard, tables: Tables) -> Layout:
    return {name: (entry.dtype, tables.shape(name, entry.shape)) for name, entry in shard.entries.items()}


def _blocks(shard: Shard, tables: Tables, stopping: Stopping) -> Iterator[memoryview]:
    weights = map_file(shard.path)
    for name, entry in shard.entries.items():
        if stopping():
            raise StudioError("job.stopped")
        if name in tables.rows:
            yield bytes_of(tables.grown(name, tensor_in(weights, entry)))
        else:
            yield from slices(weights, entry)
