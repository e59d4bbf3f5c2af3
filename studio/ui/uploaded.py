"""Files that a page's visitor gave, for events that read their values as they come (`widgets.PLAIN`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.errors import StudioError
from studio.services.studio import Studio


def uploaded(studio: Studio, files: list[dict[str, Any]] | None) -> list[Path]:
    """The paths of files in a `gr.File`.

    Raises:
        StudioError: ``data.no_such_file`` for a path outside the folder of uploads, which only a forged call names.
    """
    home = studio.settings.uploads.resolve()
    found = [Path(each["path"]) for each in files or []]
    for path in found:
        if not path.resolve().is_relative_to(home):
            raise StudioError("data.no_such_file", file=path.name)
    return found
