"""The settings tab: the Hub token, which lives in memory only, and what the workspace holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from studio.auth import owner_only
from studio.errors import StudioError
from studio.services.studio import Studio


@dataclass(frozen=True, slots=True)
class DiskUse:
    """Bytes that one part of the workspace takes."""

    part: str
    bytes: int


@owner_only
def set_token(studio: Studio, token: str) -> None:
    """Keep a Hub token for this process.

    Raises:
        StudioError: ``hub.bad_token`` if it cannot be one.
    """
    cleaned = token.strip()
    if not cleaned.startswith("hf_") or not cleaned.isascii() or len(cleaned) < 10:
        raise StudioError("hub.bad_token")
    studio.vault.keep(cleaned)
    studio.queue.advance()


@owner_only
def forget_token(studio: Studio) -> None:
    """Forget the Hub token."""
    studio.vault.forget()


@owner_only
def use_login(studio: Studio) -> None:
    """Take the token of an existing ``hf auth login`` on this machine.

    Raises:
        StudioError: ``hub.no_login``.
    """
    from huggingface_hub import get_token

    token = get_token()
    if token is None:
        raise StudioError("hub.no_login")
    studio.vault.keep(token)
    studio.queue.advance()


@owner_only
def has_token(studio: Studio) -> bool:
    """Whether a token is kept; the token itself is never shown."""
    return studio.vault.token is not None


@owner_only
def disk_use(studio: Studio) -> list[DiskUse]:
    """What each part of the workspace takes on disk."""
    settings = studio.settings
    parts = {
        "models": settings.models,
        "datasets": settings.datasets,
        "vocabularies": settings.vocabularies,
        "runs": settings.runs,
        "exports": settings.exports,
        "uploads": settings.uploads,
    }
    return [DiskUse(part, _size(folder)) for part, folder in parts.items()]


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
