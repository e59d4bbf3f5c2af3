"""What was published: which repository holds which form of which run, told by the jobs that are done."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from studio.errors import StudioError
from studio.jobs.store import JobStore
from studio.models.reference import parse_reference
from studio.publish import remote
from studio.publish.cards.links import for_the_hub
from studio.publish.hub import read_card
from studio.publish.record import CARD, Kind

if TYPE_CHECKING:
    from huggingface_hub import HfApi

log = logging.getLogger("studio.publish")


@dataclass(frozen=True, slots=True)
class Published:
    """One revision on the Hub; `when` is Unix seconds, `job` the job that put it there."""

    repo: str
    url: str
    revision: str
    kind: Kind
    run: str
    export: str
    private: bool
    bytes: int
    when: float
    job: int


def read_published(store: JobStore) -> tuple[Published, ...]:
    """All revisions that this studio published, newest first."""
    found = []
    for job in store.listing(states=("done",), kind="publish"):
        if job.result is not None and job.finished is not None:
            told: dict[str, Any] = {key: job.result[key] for key in ("repo", "url", "revision", "kind", "run")}
            told |= {"private": job.result["private"], "bytes": job.result["bytes"]}
            found.append(Published(**told, export=job.arguments["export"], when=job.finished, job=job.id))
    return tuple(found)


def siblings_of(
    published: Iterable[Published], run: str, kind: str, repo: str, shown: Callable[[Published], bool]
) -> dict[Kind, str]:
    """The newest repository of each other form of a run, by its kind; those that `shown` says no of are left out."""
    found: dict[Kind, str] = {}
    for each in published:
        same_run = _run(each.run) == _run(run)
        if same_run and each.kind != kind and each.repo != repo and each.kind not in found and shown(each):
            found[each.kind] = each.repo
    return found


def _run(reference: str) -> str:
    return parse_reference(reference).name


def link_forms(api: HfApi, forms: Mapping[Kind, str], private: Callable[[str], bool]) -> list[str]:
    """Let the card of each form, kind to repository, name the others; returns the repositories that were changed.

    A public card names no private repository. One that cannot be changed is left as it is: its links are a service
    to readers and not worth a failure after everything has been published.
    """
    changed = []
    for kind, repo in forms.items():
        links = {
            other: place for other, place in forms.items() if other != kind and (private(repo) or not private(place))
        }
        try:
            if _link(api, kind, repo, links):
                changed.append(repo)
        except Exception as error:
            if remote.explain(error, repo) is None:
                raise
            log.warning("the card of %s was not linked: %s", repo, error)
    return changed


def _link(api: HfApi, kind: Kind, repo: str, links: dict[Kind, str]) -> bool:
    from huggingface_hub import CommitOperationAdd

    head = api.model_info(repo).sha
    if head is None:
        raise StudioError("hub.gone", repo=repo)
    card = read_card(api, repo, head)
    linked = for_the_hub(card, kind, repo, repo, links)
    if linked == card:
        return False
    message = "Link the other forms of this model"
    api.create_commit(repo, [CommitOperationAdd(CARD, linked.encode())], commit_message=message, parent_commit=head)
    return True
