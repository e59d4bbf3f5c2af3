"""The runs of the workspace: which there are, where each lies, the recipe it was begun with, and what uses it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from studio.auth import owner_only
from studio.chat.client import ChatClient
from studio.errors import StudioError
from studio.jobs.history import Launch
from studio.jobs.store import ACTIVE, PENDING
from studio.models.reference import parse_reference
from studio.recipe_changes import ENVIRONMENT
from studio.recipes import Recipe, load_recipe, parse_recipe
from studio.services.studio import Studio

RECIPE = "recipe.yaml"
_KEPT = 4096  # recipes in memory, about 5 kB each; a workspace with more runs reads its oldest ones again


@dataclass(frozen=True, slots=True)
class Found:
    """A run by its id; `created` is Unix seconds, `launch` None for a folder that no job of this workspace made."""

    id: str
    created: float
    launch: Launch | None


@dataclass(frozen=True, slots=True)
class Use:
    """What needs a run: the title of a job, the reference a chat holds, what is shared, or a run branched from it."""

    kind: Literal["job", "chat", "share", "branch"]
    name: str


@owner_only
def listing(studio: Studio) -> list[Found]:
    """All runs, newest first; no recipe is read and no table but that of the jobs."""
    launches = studio.history.launches()
    found = []
    with os.scandir(studio.settings.runs) as entries:
        for entry in entries:
            if entry.name.startswith(".") or not os.path.isfile(os.path.join(entry.path, RECIPE)):
                continue
            launch = launches.get(entry.name)
            found.append(Found(entry.name, entry.stat().st_mtime if launch is None else launch.created, launch))
    return sorted(found, key=lambda each: (each.created, each.id), reverse=True)


@owner_only
def folder_of(studio: Studio, run: str | None) -> Path:
    """Where a run lies.

    Raises:
        StudioError: ``run.unknown``, also for a name that would lead elsewhere.
    """
    name = run or ""
    folder = studio.settings.runs / name
    if not name or name != Path(name).name or name.startswith(".") or not (folder / RECIPE).is_file():
        raise StudioError("run.unknown", run=name)
    return folder


@owner_only
def exists(studio: Studio, run: str | None) -> bool:
    """Whether there is a run of that id."""
    try:
        runs_folder = folder_of(studio, run)
    except StudioError:
        return False
    return runs_folder.is_dir()


@owner_only
def size_of(studio: Studio, run: str) -> int:
    """Bytes of a run on disk."""
    return sum(path.lstat().st_size for path in folder_of(studio, run).rglob("*") if path.is_file())


@owner_only
def recipe_of(studio: Studio, run: str) -> Recipe:
    """The recipe that a run was begun with; before its first start, the one it waits with.

    Raises:
        StudioError: ``run.unknown`` or ``recipe.*``.
    """
    folder = folder_of(studio, run)
    # Read as JSON where it was frozen: two thousand recipes as YAML took many seconds.
    frozen = folder / ENVIRONMENT
    path = frozen if frozen.is_file() else folder / RECIPE
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=_KEPT)
def _read(path: Path, changed: int) -> Recipe:
    """`changed` is when the file was last written, so that another content is never taken for the one in memory."""
    if path.name == ENVIRONMENT:
        try:
            kept = json.loads(path.read_text(encoding="utf8")).get("recipe")
        except ValueError as error:
            raise StudioError("recipe.not_yaml", file=path.name, reason=str(error)) from error
        if kept is not None:
            return parse_recipe(kept)
    return load_recipe(path.with_name(RECIPE))


@owner_only
def uses(studio: Studio, run: str) -> list[Use]:
    """Jobs that wait or run and name the run, what of it visitors may use, and what of it the chat holds."""
    folder = folder_of(studio, run)
    jobs = studio.jobs.listing(states=(*PENDING, *ACTIVE), limit=-1)  # SQLite: no limit
    found = [Use("job", job.title) for job in jobs if job.run == run or _names(job.arguments, run, folder)]
    shared = [*studio.shares.names("model"), *studio.shares.names("report")]
    found += [Use("share", name) for name in shared if name == run or _is_of(name, run)]
    held = ChatClient(studio.settings).status()
    return found + [Use("chat", side) for side in (held.sides if held else ()) if _is_of(side, run)]


@owner_only
def branches(studio: Studio, run: str) -> list[str]:
    """The runs that took stages over from `run`."""
    found = []
    for path in sorted(studio.settings.runs.glob(f"*/{ENVIRONMENT}")):
        text = path.read_text(encoding="utf8")
        if '"from"' in text and json.loads(text).get("from") == run:  # few runs are branches: the others are not read
            found.append(path.parent.name)
    return found


def _is_of(reference: str, run: str) -> bool:
    if not reference.startswith("run:"):
        return False
    return parse_reference(reference).name == run


def _names(arguments: dict[str, Any], run: str, folder: Path) -> bool:
    """Whether what a job was given names the run: as its id, as a reference, or by a path inside its folder."""
    if arguments.get("run") == run:
        return True
    for text in _texts(arguments):
        if _is_of(text, run) or (text.startswith("/") and Path(text).is_relative_to(folder)):
            return True
    return False


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
