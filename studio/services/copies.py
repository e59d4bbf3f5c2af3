"""Copies of a run's recipe, to be changed and run again."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from studio import workspace
from studio.auth import owner_only
from studio.recipes import dump_recipe
from studio.services import runs
from studio.services.studio import Studio


@owner_only
def clone(studio: Studio, run: str | None, out: Path) -> Path:
    """Write the recipe of `run` to a new file, to be changed and run again.

    Raises:
        StudioError: ``run.unknown``, ``recipe.*``, ``file.exists``, ``workspace.not_writable`` or ``disk.full``.
    """
    workspace.write_new(out, dump_recipe(runs.recipe_of(studio, runs.folder_of(studio, run).name)).encode())
    return out


@owner_only
def draft(studio: Studio, run: str | None) -> Path:
    """The recipe of `run` as a file of its own, which a form may hold on to though the run is deleted meanwhile.

    Raises:
        StudioError: ``run.unknown``, ``recipe.*``, ``workspace.not_writable`` or ``disk.full``.
    """
    name = runs.folder_of(studio, run).name
    text = dump_recipe(runs.recipe_of(studio, name)).encode()
    out = studio.settings.uploads / "recipes" / sha256(text).hexdigest()[:16] / f"{name}.yaml"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise workspace.disk_error(error, out.parent) from error
    if not out.exists():
        workspace.write_new(out, text)
    return out
