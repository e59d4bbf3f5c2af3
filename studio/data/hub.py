"""A dataset of the Hub, read as a stream and stored like any file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from studio.data.catalogue import Entry, warnings_of
from studio.data.columns import check_mapping, guess
from studio.data.hub_answers import (
    PARQUET_REVISION,
    SCRIPTS,
    Card,
    Copy,
    explain,
    reach_hub,
    read_card,
    read_copy,
    unreadable,
)
from studio.data.incoming import incoming
from studio.data.json_stream import Row
from studio.data.manifest import HubOrigin, Manifest
from studio.data.mapping import Mapping
from studio.data.read import COLUMN_LIMIT, FIRST_ROWS
from studio.data.stored import store_rows
from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping

__all__ = ["PARQUET_REVISION", "Hub", "check_id", "import_hub", "open_stream", "reach_hub"]

_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True)
class Hub:
    """What is asked of the Hub: open a stream, answer at all, tell card and Parquet copy. Another can stand in."""

    load: Callable[..., Any]
    reach: Callable[[], None]
    card: Callable[[str, str | None], Card]
    copy: Callable[[str, str | None], Copy | None]


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream of rows and the commit it reads; `copy` tells that it is the Hub's Parquet copy."""

    stream: Any
    revision: str | None
    copy: bool


def import_hub(
    repo: str,
    config: str | None,
    split: str | None,
    target: Path,
    name: str,
    *,
    rows_limit: int | None = None,
    token: str | None = None,
    mapping: Mapping | None = None,
    roles: dict[str, str] | None = None,
    licence: str | None = None,
    entry: Entry | None = None,
    progress: Progress,
    stopping: Stopping,
    hub: Hub | None = None,
) -> Manifest:
    """Import a split of a Hub dataset as the dataset `name`; a failure or a stop leaves nothing behind.

    Args:
        repo: Id such as ``org/name``.
        config: Its configuration; None for the only or default one.
        split: Such as ``train``, the default.
        target: The datasets folder.
        name: New name of the dataset.
        rows_limit: Most rows to read; None for all.
        token: Hub token; None uses the login of this machine, if there is one.
        mapping: Which columns to take; by default those of `entry` if they are there, else guessed.
        roles: Instead of `mapping`: columns by their parts, completed by the guess.
        licence: Licence to note; by default what the dataset's card says, else what `entry` says.
        entry: What the catalogue knows of the dataset.
        progress: Told ``progress.import.connect`` and ``progress.import.rows``.
        stopping: Asked every few hundred rows.
        hub: Stands in for the real Hub.

    Raises:
        StudioError: ``hub.bad_id``, ``hub.unreachable``, ``hub.unknown_dataset``, ``hub.gated``,
            ``hub.unknown_config``, ``hub.config_missing``, ``hub.unknown_split``, ``hub.script_dataset``,
            ``hub.no_data``, ``hub.unreadable``, and what `import_files` raises for the rows.
    """
    repo, split, hub = check_id(repo), split or "train", hub or Hub(_load_dataset, reach_hub, read_card, read_copy)
    progress(0.0, "progress.import.connect")
    with incoming(target, name) as writer:
        hub.reach()
        card = hub.card(repo, token)
        opened = open_stream(repo, config or None, split, token=token, hub=hub, revision=card.revision)
        counted = _Counted(_rows(opened.stream, repo, rows_limit), _total(opened.stream, split, rows_limit))
        first = list(islice(counted, FIRST_ROWS))
        mapping = mapping or _mapping(first, _columns(first, repo), roles, entry)
        check_mapping(mapping, _columns(first, repo))
        rows = chain(first, counted)
        store_rows(writer, mapping, rows, file=repo, share=counted.share, progress=progress, stopping=stopping)
        licence = licence or _licence(card, entry)
        origin = HubOrigin(
            repo=repo,
            config=config or None,
            split=split,
            revision=opened.revision,
            parquet_copy=opened.copy,
            rows_limit=rows_limit,
            entry=entry.name if entry else None,
            warnings=list(warnings_of(entry, licence)),
        )
        place = "/".join(part for part in (f"hub:{repo}", config, split) if part)
        return writer.commit(
            mapping=mapping, source=place, licence=licence, encoding=None, files=[repo], origin=origin
        )


def check_id(repo: str) -> str:
    """A Hub id without the address people paste before it.

    Raises:
        StudioError: ``hub.bad_id``.
    """
    bare = re.sub(r"^(https?://[^/]+/datasets/|hf://datasets/|datasets/)", "", repo.strip()).rstrip("/")
    bare = bare.partition("/tree/")[0]
    if not _ID.fullmatch(bare) or ".." in bare:
        raise StudioError("hub.bad_id", repo=repo)
    return bare


def open_stream(
    repo: str, config: str | None, split: str, *, token: str | None, hub: Hub, revision: str | None = None
) -> Opened:
    """The split as an iterable dataset; for a dataset with a loading script, the Hub's Parquet copy of it.

    Raises:
        StudioError: ``hub.*``.
    """
    options = {"split": split, "token": token}
    try:
        return Opened(_raw(hub.load(repo, name=config, revision=revision, **options)), revision, False)
    except Exception as error:
        if SCRIPTS not in str(error):
            raise explain(error, repo, config, split) or unreadable(repo, error) from error
    copy = hub.copy(repo, token)
    if copy is None:
        raise StudioError("hub.script_dataset", repo=repo)
    # The copy has no list of configurations: without names of files, all of them would be read as one.
    files = {split: _copied(copy, repo, config, split)}
    try:
        return Opened(_raw(hub.load(repo, data_files=files, revision=copy.revision, **options)), copy.revision, True)
    except Exception as error:
        raise explain(error, repo, config, split) or unreadable(repo, error) from error


def _copied(copy: Copy, repo: str, config: str | None, split: str) -> list[str]:
    """The files of a split in a Parquet copy."""
    available = ", ".join(sorted(copy.files))
    if config is None and len(copy.files) > 1 and "default" not in copy.files:
        raise StudioError("hub.config_missing", repo=repo, available=available)
    chosen = config or ("default" if "default" in copy.files else next(iter(copy.files)))
    if chosen not in copy.files:
        raise StudioError("hub.unknown_config", repo=repo, config=chosen, available=available)
    if split not in copy.files[chosen]:
        raise StudioError("hub.unknown_split", repo=repo, split=split, available=", ".join(copy.files[chosen]))
    return copy.files[chosen][split]


def _raw(stream: Any) -> Any:
    # Pictures and sound are left as they are: decoding needs libraries for something that is dropped anyway.
    return stream.decode(False) if getattr(stream, "features", None) else stream


def _load_dataset(repo: str, *, split: str, **options: Any) -> Any:
    from datasets import load_dataset_builder
    from datasets.packaged_modules.parquet.parquet import ParquetConfig
    from pyarrow.dataset import ParquetFragmentScanOptions

    # The prefix keeps a folder of the same name in the current directory from being taken instead.
    builder = load_dataset_builder(f"hf://datasets/{repo}", **options)
    if isinstance(builder.config, ParquetConfig):
        # Reading ahead took 40 MB of a 78 MB file for its first ten rows; one row group at a time takes 7.
        builder.config.fragment_scan_options = ParquetFragmentScanOptions(pre_buffer=False)
    return builder.as_streaming_dataset(split=split)


def _mapping(first: list[Row], columns: list[str], roles: dict[str, str] | None, entry: Entry | None) -> Mapping:
    known = entry.columns() if entry else None
    # A catalogue can be out of date: where its columns are not there, the rows have the last word.
    if known is not None and not roles and set(known.columns.values()) <= set(columns):
        return known
    guessed = guess(columns, [values for _, values in first])
    return Mapping.from_roles(roles, guessed) if roles else guessed


def _licence(card: Card, entry: Entry | None) -> str | None:
    if entry is not None and (card.licence is None or "conflicting_licence" in entry.warnings):
        return entry.licence
    return card.licence


def _rows(stream: Any, repo: str, limit: int | None) -> Iterator[Row]:
    try:
        for row, values in enumerate(islice(stream, limit), start=1):
            yield row, dict(values)
    except StudioError:
        raise
    except Exception as error:
        raise explain(error, repo, None, "") or unreadable(repo, error) from error


class _Counted:
    """Rows that know how many of `total` went by."""

    def __init__(self, rows: Iterator[Row], total: int | None) -> None:
        self._rows, self._total, self._read = rows, total, 0

    def __iter__(self) -> Iterator[Row]:
        return self

    def __next__(self) -> Row:
        row = next(self._rows)
        self._read += 1
        return row

    def share(self) -> float:
        """Share of the rows read, 0 if nobody knows how many there are."""
        return min(1.0, self._read / self._total) if self._total else 0.0


def _columns(first: list[Row], repo: str) -> list[str]:
    columns = list(dict.fromkeys(column for _, values in first for column in values))
    if not first:
        raise StudioError("hub.no_data", repo=repo)
    if len(columns) > COLUMN_LIMIT:
        raise StudioError("data.too_many_columns", file=repo, columns=len(columns), limit=COLUMN_LIMIT)
    return columns


def _total(stream: Any, split: str, limit: int | None) -> int | None:
    splits = getattr(getattr(stream, "info", None), "splits", None) or {}
    known = getattr(splits[split], "num_examples", None) if split in splits else None
    return min((count for count in (known, limit) if count), default=None)
