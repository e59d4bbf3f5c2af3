"""GGUF files of a run: which kinds this machine can make, and making one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from studio.auth import owner_only
from studio.errors import StudioError
from studio.jobs.store import Job, NewJob
from studio.models.files import locate, read_config
from studio.models.foreign_code import is_needed
from studio.models.reference import parse_reference
from studio.publish.gguf.kinds import KINDS, find_kind
from studio.services.exports import check_writable
from studio.services.studio import Studio


@dataclass(frozen=True, slots=True)
class GgufKind:
    """A kind of file: `bits` per weight, and why it cannot be made here, if it cannot."""

    name: str
    bits: float
    why_not: StudioError | None = None

    @property
    def available(self) -> bool:
        return self.why_not is None


@owner_only
def kinds(studio: Studio) -> tuple[GgufKind, ...]:
    """All kinds, those with the most bits first."""
    found = [GgufKind(kind.name, kind.bits, _why_not(kind.name)) for kind in KINDS.values()]
    return tuple(sorted(found, key=lambda kind: -kind.bits))


def _why_not(name: str) -> StudioError | None:
    try:
        find_kind(name)
    except StudioError as error:
        return error
    return None


@owner_only
def start_gguf(studio: Studio, run: str, kind: str, out: Path | None = None, *, after: tuple[int, ...] = ()) -> Job:
    """Queue a GGUF file of a run (a ``run:`` reference), ``exports/RUN-gguf/RUN-KIND.gguf`` by default.

    Raises:
        StudioError: ``gguf.unknown_kind``, ``gguf.no_quantiser``, ``publish.nothing_to_merge``,
            ``publish.foreign_code``, ``file.exists``, ``publish.out_not_writable`` or ``model.*``.
    """
    find_kind(kind)
    parsed = parse_reference(run)
    if parsed.scheme != "run":
        raise StudioError("publish.nothing_to_merge", model=run)
    if not after:
        found = locate(run, studio.settings)
        if found.adapter is None:
            raise StudioError("publish.nothing_to_merge", model=run)
        if is_needed(read_config(found.folder)):
            raise StudioError("publish.foreign_code", base=found.base)
    name = f"{parsed.name}-{kind}.gguf"
    target = (out or studio.settings.exports / f"{parsed.name}-gguf" / name).absolute()
    if target.exists():
        raise StudioError("file.exists", file=str(target))
    if out is not None:
        check_writable(target)
    arguments = {"run": run, "kind": kind, "out": None if out is None else str(target)}
    job = studio.jobs.add(NewJob("gguf", target.name, arguments, lane="device", run=parsed.name, after=after))
    studio.queue.advance()
    return studio.jobs.get(job)
