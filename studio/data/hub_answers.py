"""What the Hub says of a dataset: is it there, which commit, under which licence; and its refusals in our words."""

from __future__ import annotations

import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from studio.errors import StudioError
from studio.settings import hub_endpoint

State = Literal["found", "not_found", "gated", "unreachable", "unknown"]
"""Of a dataset: there; not there, or private; there, but its terms are not accepted; nobody answered; unclear."""

PROBE_SECONDS = 5.0
# datasets >= 4 runs no loading scripts; the Hub keeps a Parquet copy of most such datasets under this revision.
PARQUET_REVISION = "refs/convert/parquet"
SCRIPTS = "scripts are no longer supported"
_NETWORK_MODULES = ("httpx", "httpcore", "requests", "urllib3", "aiohttp")
_COPY = re.compile(r"(?P<config>[^/]+)/(?:partial-)?(?P<split>[^/]+)/[^/]+\.parquet")


@dataclass(frozen=True, slots=True)
class Card:
    """What is said about a dataset beside its rows; None for what nobody could tell."""

    licence: str | None = None
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """The Hub's Parquet copy of a dataset: its commit, and the files of every split of every configuration."""

    revision: str
    files: dict[str, dict[str, list[str]]] = field(default_factory=dict)


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


def find(repo: str, token: str | None = None) -> State:
    """Whether the Hub has a dataset and gives it to this login; that it is not there is an answer, not an error.

    It waits up to five seconds for each of two answers. Ask `reach_hub` first: a name lookup has no such limit.
    """
    from huggingface_hub import HfApi

    api = HfApi(endpoint=hub_endpoint(), token=token)
    try:
        if api.dataset_info(repo, timeout=PROBE_SECONDS).gated:  # anybody may read about it, but not its files
            api.auth_check(repo, repo_type="dataset")
    except Exception as error:
        explained = explain(error, repo, None, "")
        states: dict[str, State] = {
            "hub.unknown_dataset": "not_found",
            "hub.gated": "gated",
            "hub.unreachable": "unreachable",
        }
        return states.get(explained.code, "unknown") if explained else "unknown"
    return "found"


def read_card(repo: str, token: str | None) -> Card:
    """The licence that the dataset's card states and the newest commit, if they can be had within five seconds."""
    from huggingface_hub import HfApi

    try:
        info = HfApi(endpoint=hub_endpoint(), token=token).dataset_info(repo, timeout=PROBE_SECONDS)
    except Exception as error:
        if explain(error, repo, None, "") is None:
            raise
        return Card()  # whether the texts can be read is for the reading to tell
    licence = info.card_data.get("license") if info.card_data is not None else None
    return Card(", ".join(licence) if isinstance(licence, list) else licence, info.sha)


def read_copy(repo: str, token: str | None) -> Copy | None:
    """The Hub's Parquet copy of a dataset; None if it made none.

    Raises:
        StudioError: ``hub.*`` for other refusals.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RevisionNotFoundError

    api = HfApi(endpoint=hub_endpoint(), token=token)
    try:
        info = api.dataset_info(repo, revision=PARQUET_REVISION, timeout=PROBE_SECONDS)
    except RevisionNotFoundError:
        return None
    except Exception as error:
        raise explain(error, repo, None, "") or unreadable(repo, error) from error
    files: dict[str, dict[str, list[str]]] = {}
    for sibling in info.siblings or []:
        if found := _COPY.fullmatch(sibling.rfilename):
            files.setdefault(found["config"], {}).setdefault(found["split"], []).append(sibling.rfilename)
    return Copy(info.sha or PARQUET_REVISION, files) if files else None


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
    if SCRIPTS in text:
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


def unreadable(repo: str, error: BaseException) -> StudioError:
    """The sentence for what nobody foresaw, with the library's own words."""
    reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return StudioError("hub.unreadable", repo=repo, reason=reason)


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def _status(error: BaseException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None
