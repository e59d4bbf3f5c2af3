"""The Hub as publishing meets it: what a repository holds, patience with its faults, and its refusals in our words."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from studio.data.hub_answers import PROBE_SECONDS
from studio.errors import StudioError
from studio.jobs.events import Stopping
from studio.settings import hub_endpoint

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Answer = TypeVar("Answer")

PATIENCE = 600.0
"""Seconds waited between the attempts at one request; the attempts, hours for a large file, are not counted."""
CONNECT_SECONDS, SILENT_SECONDS = 30.0, 300.0  # the library waits forever; the Hub takes minutes to join a large file
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
_PASSING = (408, 429, 500, 502, 503, 504)
_REPOSITORY = re.compile(
    r"(?!.*(?:--|\.\.))[A-Za-z0-9][\w-]*(?:\.[\w-]+)*/[A-Za-z0-9_](?:[\w.-]*[A-Za-z0-9_])?", re.ASCII
)
_LONGEST_NAME = 96


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file on the Hub: its bytes, and its SHA-256 if it is a large one, else git's SHA-1 of it."""

    bytes: int
    sha256: str | None
    git: str


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository at its newest commit."""

    commit: str
    private: bool
    gated: bool
    files: dict[str, RemoteFile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Login:
    """Whom a token belongs to, and the names that it may publish under; None where the Hub does not say."""

    name: str
    namespaces: frozenset[str]
    writes: bool | None


def check_name(repo: str) -> str:
    """`repo` as the Hub will take it.

    Raises:
        StudioError: ``hub.bad_repo``.
    """
    cleaned = repo.strip()
    if not _REPOSITORY.fullmatch(cleaned) or len(cleaned) > _LONGEST_NAME or cleaned.endswith(".git"):
        raise StudioError("hub.bad_repo", repo=cleaned)
    return cleaned


def open_api(token: str | None) -> HfApi:
    """The Hub's own client, which from here on gives up a connection that says nothing, and logs no addresses."""
    from huggingface_hub import HfApi

    _settle_client()
    return HfApi(endpoint=hub_endpoint(), token=token)


@cache
def _settle_client() -> None:
    import httpx2
    from huggingface_hub import get_session, set_client_factory

    # An address that takes a large file has its permission in itself: both log it with every retry.
    for name in ("huggingface_hub", "httpx2"):
        logging.getLogger(name).setLevel(logging.ERROR)
    hooks = get_session().event_hooks
    limit = httpx2.Timeout(SILENT_SECONDS, connect=CONNECT_SECONDS)
    set_client_factory(lambda: httpx2.Client(event_hooks=hooks, follow_redirects=True, timeout=limit))


def read_login(api: HfApi) -> Login:
    """Whose token this is; what it may do in an organisation is the Hub's to say when something is created there."""
    found: dict[str, Any] = api.whoami()
    orgs = (str(each["name"]) for each in found.get("orgs", []) if each.get("roleInOrg") != "read")
    role = found.get("auth", {}).get("accessToken", {}).get("role")
    return Login(str(found["name"]), frozenset([str(found["name"]), *orgs]), {"read": False, "write": True}.get(role))


def look(api: HfApi, repo: str, revision: str | None = None) -> Remote | None:
    """What the Hub has under `repo`, all pages of the listing; None if there is nothing, or nothing for this login."""
    from huggingface_hub import RepoFile
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        info = api.model_info(repo, revision=revision)
    except RepositoryNotFoundError:
        return None
    assert info.sha is not None, repo
    files = {
        each.path: RemoteFile(each.size, each.lfs.sha256 if each.lfs else None, each.blob_id)
        for each in api.list_repo_tree(repo, recursive=True, revision=info.sha)
        if isinstance(each, RepoFile)
    }
    return Remote(info.sha, bool(info.private), bool(info.gated), files)


def is_gated(api: HfApi, repo: str) -> bool:
    """Whether the Hub gives a model only to who accepted its terms; False where it does not say."""
    return bool(_facts(api, repo, "gated"))


def is_private(api: HfApi, repo: str) -> bool:
    """Whether a repository is private, or not to be seen at all."""
    return _facts(api, repo, "private") is not False


def is_there(api: HfApi, repo: str) -> bool:
    """Whether this login sees a repository."""
    return _facts(api, repo, "private") is not None


def _facts(api: HfApi, repo: str, name: Literal["gated", "private"]) -> object:
    try:
        return getattr(api.model_info(repo, timeout=PROBE_SECONDS), name)
    except Exception as error:
        if explain(error, repo) is None:
            raise
        return None


def patiently(ask: Callable[[], Answer], stopping: Stopping) -> Answer:
    """The answer of `ask`, asked again for `PATIENCE` while the Hub is busy or the connection is cut.

    Args:
        ask: May be asked twice without harm.
        stopping: Asked before every attempt and twice a second between them.

    Raises:
        StudioError: ``job.stopped``.
        Exception: What `ask` raises that waiting does not mend, or the last fault.
    """
    waited, wait = 0.0, FIRST_WAIT
    while True:
        if stopping():
            raise StudioError("job.stopped")
        try:
            return ask()
        except Exception as error:
            if not is_passing(error) or waited + wait > PATIENCE:
                raise
        waited += wait
        again = time.monotonic() + wait
        while time.monotonic() < again and not stopping():
            time.sleep(min(wait, 0.2))
        wait = min(2 * wait, LONGEST_WAIT)


def is_passing(error: BaseException) -> bool:
    """Whether this is a busy Hub or a cut connection, which may be gone when asked again."""
    import httpx2

    return any(isinstance(link, httpx2.TransportError) or _status(link) in _PASSING for link in _chain(error))


def explain(error: BaseException, repo: str) -> StudioError | None:
    """The sentence for what the Hub's client raised while publishing; None for what is not known here."""
    import httpx2
    from huggingface_hub.errors import RepositoryNotFoundError

    links = list(_chain(error))
    if ours := next((link for link in links if isinstance(link, StudioError)), None):
        return ours
    words = " ".join(str(link) for link in links)
    status = next((found for link in links if (found := _status(link))), None)
    if "Invalid metadata in README.md" in words:
        return StudioError("publish.bad_card", reason=_words(links[0]))
    if re.search(r"storage (?:limit|quota)|quota exceeded|storage patterns", words, re.IGNORECASE) or status == 413:
        return StudioError("hub.quota", repo=repo)
    if any(isinstance(link, RepositoryNotFoundError) for link in links):
        return StudioError("hub.gone", repo=repo)
    codes = {401: "hub.token_refused", 403: "hub.no_write", 412: "hub.changed_meanwhile"}
    if status in codes:
        return StudioError(codes[status], repo=repo)
    if status in _PASSING:
        return StudioError("hub.busy", repo=repo, status=str(status))
    if any(isinstance(link, httpx2.TransportError) for link in links):
        return StudioError("hub.cut", repo=repo)
    if status or "LFS batch API returned errors" in words:
        telling = next((link for link in links if _status(link)), links[0])
        return StudioError("hub.refused", repo=repo, reason=_words(telling))
    return None


def _words(error: BaseException) -> str:
    """The Hub's own words, without the number of the request and addresses, which may hold a permission."""
    lines = [line.strip("- ") for line in str(error).splitlines() if line.strip() and "Request ID" not in line]
    return re.sub(r"https?://[^\s'\"]+", "…", " ".join(lines))[:300]


def _status(error: BaseException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__
