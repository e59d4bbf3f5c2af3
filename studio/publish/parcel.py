"""What goes to the Hub from an export, and what that changes there."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from studio.errors import StudioError
from studio.jobs.events import Stopping
from studio.publish.cards.links import for_the_hub
from studio.publish.record import CARD, Kind, Record, read_record
from studio.publish.remote import Remote, RemoteFile

MARK = "<!-- persian-adaptation-studio -->"
Change = Literal["new", "changed", "same", "removed"]

# What an earlier revision left and this one lacks would be loaded beside it. GGUF files stand each for itself.
_STALE = re.compile(r"(?:model|adapter_model|new_rows)\b.*\.safetensors(?:\.index\.json)?")


@dataclass(frozen=True, slots=True)
class Difference:
    """What an upload does to one file of a repository."""

    name: str
    bytes: int
    change: Change


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is uploaded: the files of an export by name, and the text of its card."""

    files: Mapping[str, Path]
    card: bytes
    hashes: Mapping[str, str]

    @property
    def sizes(self) -> dict[str, int]:
        return {name: path.stat().st_size for name, path in self.files.items()} | {CARD: len(self.card)}

    def matches(self, name: str, found: RemoteFile) -> bool:
        """Whether a file on the Hub has the size and the hash of this one."""
        if found.bytes != self.sizes[name]:
            return False
        if found.sha256 is not None and name != CARD:
            return found.sha256 == self.hashes[name]
        content = self.card if name == CARD else self.files[name].read_bytes()
        if found.sha256 is not None:
            return found.sha256 == hashlib.sha256(content).hexdigest()
        return found.git == hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

    def odd(self, known: Remote) -> list[str]:
        """The files that a repository lacks, or has otherwise."""
        return [name for name in self.sizes if name not in known.files or not self.matches(name, known.files[name])]


def quick_record(folder: Path) -> Record:
    """The record of an export whose files have their names and sizes still; `check_record` also reads them.

    Raises:
        StudioError: ``publish.not_checked``, ``publish.record_broken``, ``publish.changed_since`` or
            ``publish.no_card``.
    """
    record = read_record(folder)
    if record is None:
        raise StudioError("publish.not_checked", folder=folder.name)
    for name, kept in record.files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != kept.bytes:
            raise StudioError("publish.changed_since", folder=folder.name, file=name)
    if not (folder / CARD).is_file():
        raise StudioError("publish.no_card", folder=folder.name)
    return record


def make_parcel(folder: Path, record: Record, repo: str, links: Mapping[Kind, str]) -> Parcel:
    """What goes to the Hub from `folder`: all checked files and the card, but not the record, which names places.

    Raises:
        StudioError: ``publish.no_card``.
    """
    if not (folder / CARD).is_file():
        raise StudioError("publish.no_card", folder=folder.name)
    text = (folder / CARD).read_text(encoding="utf8")
    card = marked(for_the_hub(text, record.kind, folder.name, repo, links))
    hashes = {name: kept.sha256 for name, kept in record.files.items()}
    return Parcel({name: folder / name for name in hashes}, card.encode(), hashes)


def marked(card: str) -> str:
    """`card` with the mark by which a later upload knows a repository that this studio filled."""
    return card if is_ours(card) else f"{card.rstrip()}\n\n{MARK}\n"


def is_ours(card: str) -> bool:
    """Whether this studio uploaded the card of a repository."""
    return MARK in card


def differences(parcel: Parcel, known: Remote | None) -> tuple[Difference, ...]:
    """What an upload of `parcel` would do to a repository; all is new where there is none."""
    there = known.files if known else {}
    found = []
    for name, size in sorted(parcel.sizes.items()):
        change: Change = "new" if name not in there else "same" if parcel.matches(name, there[name]) else "changed"
        found.append(Difference(name, size, change))
    stale = [name for name in there if _STALE.fullmatch(name) and name not in parcel.sizes]
    has_weights = any(_STALE.fullmatch(name) for name in parcel.sizes)
    return (*found, *(Difference(name, there[name].bytes, "removed") for name in sorted(stale) if has_weights))


class Leaving(io.BufferedIOBase):
    """A file being sent: tells how far it was read, and raises once somebody asked to stop."""

    def __init__(self, path: Path, tell: Callable[[int], None], stopping: Stopping) -> None:
        self._file, self._tell, self._stopping = path.open("rb"), tell, stopping
        self.most = 0

    def read(self, size: int | None = -1, /) -> bytes:
        if self._stopping():
            raise StudioError("job.stopped")
        found = self._file.read(-1 if size is None else size)
        self.most = max(self.most, self._file.tell())
        self._tell(self._file.tell())
        return found

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        super().close()
