"""Where exports go: the folder that a typed name means, and whether a place can be written, before a job is queued."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryFile

from studio.auth import owner_only
from studio.errors import StudioError
from studio.services.studio import Studio

NAME = re.compile(r"[\w][\w.-]{0,63}")


@owner_only
def export_folder(studio: Studio, name: str) -> Path:
    """The folder below the exports for a name typed by a user.

    Raises:
        StudioError: ``publish.bad_name`` for one that would lead elsewhere.
    """
    cleaned = name.strip()
    if not NAME.fullmatch(cleaned):
        raise StudioError("publish.bad_name", name=cleaned)
    return studio.settings.exports / cleaned


def check_new_folder(out: Path) -> None:
    """Make sure that `out` can become a new folder.

    Raises:
        StudioError: ``publish.out_exists`` or ``publish.out_not_writable``.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StudioError("publish.out_exists", out=str(out))
    check_writable(out)


def check_writable(out: Path) -> None:
    """Make sure that something can be written beside `out`; the folders above it are made.

    Raises:
        StudioError: ``publish.out_not_writable``.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise StudioError("publish.out_not_writable", out=str(out), reason=error.strerror or str(error)) from error
