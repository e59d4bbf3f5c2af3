"""Models that bring Python files of their own: which these are, and whether the owner lets them run."""

from __future__ import annotations

from pathlib import Path

from studio.auth import owner_only
from studio.errors import StudioError
from studio.models import foreign_code
from studio.models.files import locate, read_config
from studio.models.foreign_code import ForeignCode
from studio.models.reference import parse_reference
from studio.models.source import whole_source
from studio.services import models
from studio.services.studio import Studio


@owner_only
def candidates(studio: Studio) -> list[str]:
    """Base models on disk that name a class of their own; transformers may know their type all the same."""
    return [name for name in models.fetched(studio) if "auto_map" in read_config(_folder(studio, name))]


@owner_only
def look(studio: Studio, reference: str) -> ForeignCode:
    """The Python files of a model, brought from its hub if they are not there yet; none of them is run.

    Raises:
        StudioError: ``code.none``, ``model.*`` or ``hub.*``.
    """
    folder = _folder(studio, reference)
    found = foreign_code.read(reference, folder, studio.settings)
    source = whole_source(folder)
    if not found.files and source is not None and parse_reference(reference).scheme == "hub":
        from studio.models.hub import bring_code

        bring_code(source, folder, studio.vault.token)
        found = foreign_code.read(reference, folder, studio.settings)
    if not found.files:
        raise StudioError("code.none", reference=reference)
    return found


@owner_only
def trust(studio: Studio, reference: str) -> ForeignCode:
    """Let a model's Python files run, as they are now.

    Raises:
        StudioError: ``code.elsewhere``; as `look`.
    """
    look(studio, reference)
    folder = _folder(studio, reference)
    return foreign_code.trust(reference, folder, studio.settings, read_config(folder))


@owner_only
def distrust(studio: Studio, reference: str) -> None:
    """Let them run no longer; a model that is loaded stays so until it is unloaded."""
    foreign_code.distrust(str(parse_reference(reference)), studio.settings)


def _folder(studio: Studio, reference: str) -> Path:
    parsed = parse_reference(reference)
    if parsed.scheme == "run":
        raise StudioError("code.none", reference=reference)
    return locate(str(parsed), studio.settings).folder
