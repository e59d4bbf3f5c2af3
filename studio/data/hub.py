"""A dataset of the Hub, read as a stream and stored like any file."""

from __future__ import annotations

import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from studio.data.columns import check_mapping, guess
from studio.data.incoming import incoming
from studio.data.json_stream import Row
from studio.data.manifest import Manifest
from studio.data.mapping import Mapping
from studio.data.read import COLUMN_LIMIT, FIRST_ROWS
from studio.data.stored import store_rows
from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.settings import hub_endpoint

PROBE_SECONDS = 5.0
# datasets >= 4 runs no loading scripts; the Hub keeps a Parquet copy of most such datasets under this revision.
PARQUET_REVISION = "refs/convert/parquet"
_SCRIPTS = "scripts are no longer supported"
_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_NETWORK_MODULES = ("httpx", "httpcore", "requests", "urllib3", "aiohttp")


@dataclass(frozen=True, slots=True)
class Hub:
    """What is asked of the Hub: open a stream, answer at all, tell a licence. Another one can stand in for it."""

    load: Callable[..., Any]
    reach: Callable[[], None]
    licence: Callable[[str, str | None], str | None]


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
    licence: str | None = None,
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
        mapping: Which columns to take; by default guessed.
        licence: Licence to note; by default what the dataset's card says.
        progress: Told ``progress.import.connect`` and ``progress.import.rows``.
        stopping: Asked every few hundred rows.
        hub: Stands in for the real Hub.

    Raises:
        StudioError: ``hub.bad_id``, ``hub.unreachable``, ``hub.unknown_dataset``, ``hub.gated``,
            ``hub.unknown_config``, ``hub.config_missing``, ``hub.unknown_split``, ``hub.script_dataset``,
            ``hub.no_data``, ``hub.unreadable``, and what `import_files` raises for the rows.
    """
    repo, split, hub = check_id(repo), split or "train", hub or Hub(_load_dataset, reach_hub, card_licence)
    progress(0.0, "progress.import.connect")
    with incoming(target, name) as writer:
        hub.reach()
        stream = open_stream(repo, config or None, split, token=token, load=hub.load)
        counted = _Counted(_rows(stream, repo, rows_limit), _total(stream, split, rows_limit))
        first = list(islice(counted, FIRST_ROWS))
        columns = _columns(first, repo)
        mapping = mapping or guess(columns, [values for _, values in first])
        check_mapping(mapping, columns)
        rows = chain(first, counted)
        store_rows(writer, mapping, rows, file=repo, share=counted.share, progress=progress, stopping=stopping)
        place = "/".join(part for part in (f"hub:{repo}", config, split) if part)
        licence = licence or hub.licence(repo, token)
        return writer.commit(mapping=mapping, source=place, licence=licence, encoding=None, files=[repo])


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


def reach_hub(endpoint: str | None = None, seconds: float = PROBE_SECONDS) -> None:
    """Give the Hub `seconds` to answer anything at all, name lookup included.

    Raises:
        StudioError: ``hub.unreachable``.
    """
    endpoint = endpoint or hub_endpoint()
    answered = threading.Event()

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(endpoint, method="HEAD"), timeout=seconds).close()
        except urllib.error.HTTPError:
            answered.set()  # refusing is answering
        except OSError:
            return
        answered.set()

    # A timeout does not bound the name lookup; a thread that is left alone does.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    if not answered.is_set():
        raise StudioError("hub.unreachable", endpoint=endpoint)


def open_stream(repo: str, config: str | None, split: str, *, token: str | None, load: Callable[..., Any]) -> Any:
    """The split as an iterable dataset; for a dataset with a loading script, the Hub's Parquet copy of it.

    Raises:
        StudioError: ``hub.*``.
    """
    for revision in (None, PARQUET_REVISION):
        try:
            stream = load(repo, name=config, split=split, streaming=True, token=token, revision=revision)
        except Exception as error:
            if _SCRIPTS in str(error) and revision is None:
                continue
            explained = explain(error, repo, config, split)
            if revision is not None and explained is not None and explained.code == "hub.unknown_dataset":
                explained = StudioError("hub.script_dataset", repo=repo)
            raise explained or StudioError("hub.unreadable", repo=repo, reason=_short(error)) from error
        # Pictures and sound are left as they are: decoding needs libraries for something that is dropped anyway.
        return stream.decode(False) if getattr(stream, "features", None) else stream
    raise AssertionError("the loop returns or raises")


def explain(error: BaseException, repo: str, config: str | None, split: str) -> StudioError | None:
    """The sentence for what the Hub libraries raise; None for what is not known here."""
    text = str(error)
    names = {kind.__name__ for link in _chain(error) for kind in type(link).__mro__}
    status = next((found for link in _chain(error) if (found := _status(link))), None)
    available = text[text.rfind("[") :].strip("[]").replace("'", "") if "[" in text else ""
    if "BuilderConfig" in text and "not found" in text:
        return StudioError("hub.unknown_config", repo=repo, config=config or "", available=available)
    if "Config name is missing" in text:
        available = text.partition("[")[2].partition("]")[0].replace("'", "")
        return StudioError("hub.config_missing", repo=repo, available=available)
    if "Bad split" in text or "Unknown split" in text:
        return StudioError("hub.unknown_split", repo=repo, split=split, available=available)
    if _SCRIPTS in text:
        return StudioError("hub.script_dataset", repo=repo)
    if (
        "GatedRepoError" in names
        or "gated dataset" in text
        or status in (401, 403)
        and "RepositoryNotFound" not in str(names)
    ):
        return StudioError("hub.gated", repo=repo)
    if names & {"DatasetNotFoundError", "RepositoryNotFoundError", "RevisionNotFoundError"}:
        return StudioError("hub.unknown_dataset", repo=repo)
    if names & {"EmptyDatasetError", "DataFilesNotFoundError"}:
        return StudioError("hub.no_data", repo=repo)
    modules = {type(link).__module__.partition(".")[0].rstrip("2") for link in _chain(error)}
    if names & {"ConnectionError", "TimeoutError", "OfflineModeIsEnabled"} or modules & set(_NETWORK_MODULES):
        return StudioError("hub.unreachable", endpoint=hub_endpoint())
    if status is not None and (status == 429 or status >= 500):
        return StudioError("hub.unreachable", endpoint=hub_endpoint())
    return None


def card_licence(repo: str, token: str | None) -> str | None:
    """The licence that the dataset's card states, if it can be had within five seconds."""
    from huggingface_hub import HfApi

    try:
        card = HfApi(token=token).dataset_info(repo, timeout=PROBE_SECONDS).card_data
    except Exception as error:
        if explain(error, repo, None, "") is None:
            raise
        return None  # the texts are here already: a licence that cannot be asked for is noted as unknown
    licence = card.get("license") if card is not None else None
    return ", ".join(licence) if isinstance(licence, list) else licence


def _load_dataset(repo: str, **options: Any) -> Any:
    from datasets import load_dataset

    # The prefix keeps a folder of the same name in the current directory from being taken instead.
    return load_dataset(f"hf://datasets/{repo}", **options)


def _rows(stream: Any, repo: str, limit: int | None) -> Iterator[Row]:
    try:
        for row, values in enumerate(islice(stream, limit), start=1):
            yield row, dict(values)
    except StudioError:
        raise
    except Exception as error:
        explained = explain(error, repo, None, "")
        raise explained or StudioError("hub.unreadable", repo=repo, reason=_short(error)) from error


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


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def _status(error: BaseException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
