"""`source.json`: where a fetched model came from and which files make it whole."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

NAME = "source.json"


class SourceFile(BaseModel):
    """One file of a fetched model, its path relative to the folder, its size in bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    bytes: int


class Origin(BaseModel):
    """One thing that was downloaded: a wheel or a hub repository at a commit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    version: str
    sha256: str | None = None


class Source(BaseModel):
    """Everything `source.json` holds; written last, so that a folder with it was once complete."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reference: str
    original: str
    licence: str | None
    note: str | None
    origins: list[Origin]
    gguf_sha256: str | None = None
    files: list[SourceFile]
    created: str


def list_files(folder: Path) -> list[SourceFile]:
    """Every file below `folder` except `source.json`, by path."""
    return [
        SourceFile(name=path.relative_to(folder).as_posix(), bytes=path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != NAME
    ]


def write_source(
    folder: Path,
    *,
    reference: str,
    original: str,
    licence: str | None,
    note: str | None,
    origins: list[Origin],
    gguf_sha256: str | None = None,
) -> Source:
    """Seal a complete model folder with its `source.json`."""
    source = Source(
        reference=reference,
        original=original,
        licence=licence,
        note=note,
        origins=origins,
        gguf_sha256=gguf_sha256,
        files=list_files(folder),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    text = json.dumps(source.model_dump(mode="json"), ensure_ascii=False, indent=2)
    (folder / NAME).write_text(text + "\n", encoding="utf8")
    return source


def read_source(folder: Path) -> Source | None:
    """What `source.json` in `folder` says; None when it is missing or is not one."""
    try:
        return Source.model_validate_json((folder / NAME).read_text(encoding="utf8"))
    except (OSError, UnicodeDecodeError, ValidationError):
        return None


def whole_source(folder: Path) -> Source | None:
    """`source.json` of `folder` if every file it lists is there in its full size, else None."""
    source = read_source(folder)
    if source is None:
        return None
    for file in source.files:
        path = folder / file.name
        if not path.is_file() or path.stat().st_size != file.bytes:
            return None
    return source
