"""The publish tab: which exports there are, what publishing one would do, doing it, and what was published."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from studio.auth import owner_only
from studio.data.hub_answers import reach_hub
from studio.errors import StudioError
from studio.jobs.store import ENDED, Job, NewJob
from studio.models.reference import parse_reference
from studio.models.source import NAME as SOURCE
from studio.publish import hub, licences, remote
from studio.publish.licences import Finding
from studio.publish.parcel import Difference, differences, make_parcel, quick_record
from studio.publish.published import Published, read_published, siblings_of
from studio.publish.record import Kind, Record, read_record
from studio.services.exports import export_folder
from studio.services.studio import Studio
from studio.settings import hub_endpoint

if TYPE_CHECKING:
    from huggingface_hub import HfApi

ANSWER_SECONDS = 15.0
"""How long a plan waits for all that it asks the Hub."""
ENDINGS: dict[Kind, str] = {"merged": "", "adapter": "-adapter", "gguf": "-gguf"}


@dataclass(frozen=True, slots=True)
class Export:
    """A folder below the exports; without a record it cannot be published. `changed` is Unix seconds."""

    name: str
    folder: Path
    record: Record | None
    bytes: int
    changed: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What publishing an export would do; nothing was sent.

    `exists` and `revision` tell of the repository as it is, None if the Hub did not answer; `files` are then all new.
    `problems` are what would end the job: mended first, they cost nothing.
    """

    export: str
    repo: str
    kind: Kind
    run: str
    private: bool
    files: tuple[Difference, ...]
    exists: bool | None
    revision: str | None
    licences: tuple[Finding, ...]
    siblings: dict[Kind, str]
    problems: tuple[StudioError, ...]

    @property
    def bytes(self) -> int:
        """Of all files that the new revision has from here."""
        return sum(each.bytes for each in self.files if each.change != "removed")

    @property
    def bytes_to_send(self) -> int:
        """Of those that the repository does not have."""
        return sum(each.bytes for each in self.files if each.change in ("new", "changed"))


@owner_only
def exports(studio: Studio) -> tuple[Export, ...]:
    """Every export, newest first; a base written with a vocabulary is no export of a run and is left out."""
    if not studio.settings.exports.is_dir():
        return ()
    folders = [each for each in studio.settings.exports.iterdir() if each.is_dir() and not each.name.startswith(".")]
    found = [_export(folder) for folder in folders if not (folder / SOURCE).is_file()]
    return tuple(sorted(found, key=lambda each: -each.changed))


def _export(folder: Path) -> Export:
    try:
        record = read_record(folder)
    except StudioError:  # another program's file of that name: as good as none
        record = None
    sizes = (path.stat() for path in folder.rglob("*") if path.is_file())
    changed = record.made.timestamp() if record else folder.stat().st_mtime
    return Export(folder.name, folder, record, sum(each.st_size for each in sizes), changed)


@owner_only
def check_name(studio: Studio, repo: str) -> str:
    """`repo` as the Hub will take it.

    Raises:
        StudioError: ``hub.bad_repo``.
    """
    return remote.check_name(repo)


@owner_only
def export_of(studio: Studio, run: str, kind: Kind) -> str:
    """The name of the export that a run (a ``run:`` reference) was made into.

    Raises:
        StudioError: ``publish.nothing_to_merge`` if it is no run, ``publish.not_made`` naming the `command` that
            makes the export, or ``publish.other_run`` if the folder comes from another checkpoint.
    """
    parsed = parse_reference(run)
    if parsed.scheme != "run":
        raise StudioError("publish.nothing_to_merge", model=run)
    folder = studio.settings.exports / f"{parsed.name}{ENDINGS[kind]}"
    if not folder.is_dir():
        verbs = {
            "merged": f"merge {run} --out {folder}",
            "adapter": f"pack {run} --out {folder}",
            "gguf": f"export {run} --gguf q8_0",
        }
        raise StudioError("publish.not_made", run=run, what=kind, command=f"python -m studio {verbs[kind]}")
    record = read_record(folder)
    if record is not None and record.run != run and (parsed.stage or parsed.revision):
        raise StudioError("publish.other_run", folder=folder.name, made=record.run, run=run)
    return folder.name


@owner_only
def asked_by_licences(studio: Studio, export: str, repo: str) -> tuple[Finding, ...]:
    """What the licences of an export's base and data ask of who publishes it as `repo`; the Hub is not asked.

    Raises:
        StudioError: As `plan`.
    """
    return licences.find_for(quick_record(_folder(studio, export)), repo, studio.settings)


@owner_only
def plan(studio: Studio, export: str, repo: str, *, private: bool = True) -> Plan:
    """What publishing would do, with the Hub asked if it answers within `ANSWER_SECONDS`.

    Raises:
        StudioError: ``publish.bad_name``, ``publish.unknown_export``, ``publish.not_checked``,
            ``publish.changed_since``, ``publish.no_card`` or ``hub.bad_repo``.
    """
    folder, repo = _folder(studio, export), remote.check_name(repo)
    record = quick_record(folder)
    asked = _ask_hub(studio, record, repo, private)
    found = licences.find_for(record, repo, studio.settings, gated=asked.gated)
    siblings = siblings_of(
        read_published(studio.jobs), record.run, record.kind, repo, lambda each: private or not each.private
    )
    problems = [*asked.problems]
    _collect(problems, lambda: licences.check(found, private=private, accepted=True))
    return Plan(
        export=export,
        repo=repo,
        kind=record.kind,
        run=record.run,
        private=private,
        files=differences(make_parcel(folder, record, repo, siblings), asked.known),
        exists=asked.known is not None if asked.answered else None,
        revision=asked.known.commit if asked.known else None,
        licences=found,
        siblings=siblings,
        problems=tuple(problems),
    )


def _folder(studio: Studio, export: str) -> Path:
    folder = export_folder(studio, export)
    if not folder.is_dir():
        raise StudioError("publish.unknown_export", name=export)
    return folder


@dataclass(frozen=True, slots=True)
class _Asked:
    answered: bool
    known: remote.Remote | None
    gated: bool
    problems: tuple[StudioError, ...]


def _ask_hub(studio: Studio, record: Record, repo: str, private: bool) -> _Asked:
    answers: list[_Asked | Exception] = []

    def ask() -> None:
        try:
            answers.append(_asked(studio, record, repo, private))
        except Exception as error:  # told by the thread that waits
            answers.append(error)

    try:
        reach_hub()
    except StudioError as error:
        return _Asked(False, None, False, (error,))
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(ANSWER_SECONDS)
    match answers:
        case [_Asked() as found]:
            return found
        case [Exception() as fault]:
            raise fault
    return _Asked(False, None, False, (StudioError("hub.unreachable", endpoint=hub_endpoint()),))


def _asked(studio: Studio, record: Record, repo: str, private: bool) -> _Asked:
    api, problems = remote.open_api(studio.vault.token), list[StudioError]()
    known = None
    if studio.vault.token is None:
        problems.append(StudioError("hub.no_login"))
    else:
        _collect(problems, lambda: _explained(repo, lambda: hub.refuse_namespace(remote.read_login(api), repo)))
    if not problems:
        known = _known(api, repo, problems)
        _collect(problems, lambda: hub.refuse_openness(known, repo, private))
        _collect(problems, lambda: _explained(repo, lambda: hub.refuse_strangers(api, repo, known)))
    base = licences.base_of(record, studio.settings).repository
    return _Asked(
        not problems or known is not None, known, base is not None and remote.is_gated(api, base), (*problems,)
    )


def _known(api: HfApi, repo: str, problems: list[StudioError]) -> remote.Remote | None:
    found: list[remote.Remote | None] = []
    _collect(problems, lambda: _explained(repo, lambda: found.append(remote.look(api, repo))))
    return found[0] if found else None


def _explained(repo: str, ask: Callable[[], None]) -> None:
    try:
        ask()
    except Exception as error:
        explained = remote.explain(error, repo)
        if explained is None:
            raise
        raise explained from error


def _collect(problems: list[StudioError], ask: Callable[[], None]) -> None:
    try:
        ask()
    except StudioError as error:
        problems.append(error)


@owner_only
def start_publish(
    studio: Studio,
    export: str,
    repo: str,
    *,
    private: bool = True,
    message: str = "",
    accept_licence: bool = False,
    after: tuple[int, ...] = (),
) -> Job:
    """Queue the publication of an export, which with `after` may still have to be made.

    The job checks everything again; what is known now is refused at once.

    Raises:
        StudioError: ``hub.bad_repo``, ``publish.bad_name``, ``publish.unknown_export``, ``publish.not_checked``,
            ``publish.changed_since``, ``publish.no_card``, ``publish.licence_conflict``, ``publish.llama_name``,
            ``publish.licence_asks`` without `accept_licence`, or ``publish.under_way``.
    """
    repo, run = remote.check_name(repo), None
    if not after:
        licences.check(asked_by_licences(studio, export, repo), private=private, accepted=accept_licence)
        run = parse_reference(quick_record(_folder(studio, export)).run).name
    for job in studio.jobs.listing(kind="publish"):
        if job.state not in ENDED and job.arguments["repo"] == repo:
            raise StudioError("publish.under_way", repo=repo, job=str(job.id))
    arguments = {"export": export_folder(studio, export).name, "repo": repo, "private": private}
    arguments |= {"message": message, "accept_licence": accept_licence}
    job_id = studio.jobs.add(NewJob("publish", repo, arguments, run=run, after=after, needs_token=True))
    studio.queue.advance()
    return studio.jobs.get(job_id)


@owner_only
def published(studio: Studio) -> tuple[Published, ...]:
    """What this studio published, newest first."""
    return read_published(studio.jobs)
