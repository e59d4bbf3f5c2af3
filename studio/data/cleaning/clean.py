"""A dataset cleaned into a new one: its pieces are judged by several processes, compared, and put together again.

Memory holds one piece (`incoming.GROUP_CHARACTERS`) for each process and one bit for each document and sentence,
however large the dataset is; texts and hashes wait on disk. The parent dataset is only read.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from studio.data.cleaning.assemble import assemble
from studio.data.cleaning.contamination import read_suites
from studio.data.cleaning.crew import share_out, usable_cores
from studio.data.cleaning.ledger import FILE, Ledger, read_ledger
from studio.data.cleaning.measure import Measured, Task, measure
from studio.data.cleaning.switches import Switches
from studio.data.cleaning.verdicts import DOCUMENTS, UNITS, read_verdicts, write_verdicts
from studio.data.incoming import RESERVE_BYTES, Incoming, free_bytes, incoming
from studio.data.manifest import Cleaned, Manifest, read_manifest
from studio.data.stored import list_groups
from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.memory import peak_memory

SCRATCH_SHARE = 2.0
SCRATCH_DOCUMENT = 800
"""Bytes on disk while a cleaning runs, for each byte of text (itself, what is left) and each document (its hashes)."""


@dataclass(frozen=True, slots=True)
class Result:
    """A cleaning that is done; `seconds` of the clock, `peak_memory` bytes of all its processes together."""

    manifest: Manifest
    ledger: Ledger
    seconds: float
    peak_memory: int
    processes: int
    judged: bool

    def figures(self) -> dict[str, Any]:
        """What the command line tells; ``dropped`` has rows, units, characters and bytes per reason."""
        ledger = self.ledger
        return {
            "name": self.manifest.name,
            "parent": self.manifest.cleaned.parent if self.manifest.cleaned else None,
            "preset": ledger.switches.preset,
            "rows_in": ledger.rows_in,
            "rows_out": ledger.rows_out,
            "characters_in": ledger.characters_in,
            "characters_out": ledger.characters_out,
            "bytes_in": ledger.bytes_in,
            "bytes_out": ledger.bytes_out,
            "dropped": ledger.dropped(),
            "normalising": ledger.normalising.model_dump(),
            "joining": ledger.joining.model_dump(),
            "languages": ledger.languages,
            "judged_again": self.judged,
            "seconds": round(self.seconds, 2),
            "megabytes_per_second": round(ledger.bytes_in / 1e6 / self.seconds, 2),
            "peak_memory_bytes": self.peak_memory,
            "processes": self.processes,
        }


def clean(
    parent: Path,
    target: Path,
    name: str,
    switches: Switches,
    *,
    suites: Sequence[Path] = (),
    earlier: Path | None = None,
    processes: int | None = None,
    progress: Progress,
    stopping: Stopping,
    free: Callable[[Path], int] = free_bytes,
) -> Result:
    """Clean the dataset in the folder `parent` into the new dataset `name` of the datasets folder `target`.

    A failure, a stop or a kill leaves nothing behind.

    Args:
        parent: A dataset of any kind.
        target: The datasets folder.
        name: What the result is called.
        switches: From `switches.choose`.
        suites: Evaluation files whose texts are taken out, those that `switches.against` stands for.
        earlier: A cleaned dataset of the same parent, `measured_alike`: what it found out is used again.
        processes: How many work; by default one for each usable core.
        progress: Told ``progress.clean.*``.
        stopping: Asked twice a second.
        free: Tells how many bytes a folder can still take.

    Raises:
        StudioError: ``clean.nothing_left``, ``clean.suite_empty``, ``clean.suites_gone``, ``job.stopped``,
            ``disk.too_small``, ``data.*``.
    """
    began = time.monotonic()
    before, processes = read_manifest(parent), processes or usable_cores()
    against = [suite.name for suite in suites]
    if earlier is not None:
        made = read_manifest(earlier).cleaned
        against = made.against if made is not None else []
    elif len(suites) != len(switches.against):
        raise StudioError("clean.suites_gone", name=before.name)
    peaks: list[int] = []
    with incoming(target, name, free=free) as writer:
        needed = int(SCRATCH_SHARE * before.bytes) + SCRATCH_DOCUMENT * before.rows + RESERVE_BYTES
        if free(writer.folder) < needed:
            raise StudioError("disk.too_small", free=free(writer.folder), needed=needed)
        scratch = writer.folder / "scratch"
        scratch.mkdir()
        found = _measure(parent, before, switches, scratch, suites, earlier, processes, progress, stopping, peaks)
        languages = _judge(found, switches, writer.folder, scratch, earlier, progress)
        ledger = _assemble(writer, found, switches, languages, progress, stopping)
        shutil.rmtree(scratch)
        manifest = writer.commit(
            mapping=before.mapping,
            source=f"clean:{before.name}",
            licence=before.licence,
            encoding=None,
            files=before.files,
            cleaned=_describe(before, switches, against),
            origin=before.origin,  # its warnings hold for what is left, too
        )
    seconds = time.monotonic() - began
    return Result(manifest, ledger, seconds, peak_memory() + sum(peaks), processes, earlier is None)


def _measure(
    parent: Path,
    before: Manifest,
    switches: Switches,
    scratch: Path,
    suites: Sequence[Path],
    earlier: Path | None,
    processes: int,
    progress: Progress,
    stopping: Stopping,
    peaks: list[int],
) -> list[Measured]:
    groups = list_groups(parent)
    sorted_suites = None
    progress(0.0, "progress.clean.judge")
    if suites and earlier is None:
        sorted_suites = scratch / "suites.npy"
        np.save(sorted_suites, read_suites(suites, int(switches.values["contamination"])))
    tasks = [
        Task(group, before.kind, switches, scratch / f"piece-{number:06d}", sorted_suites, earlier is None)
        for number, group in enumerate(groups)
    ]
    found: list[Measured] = []
    done = 0
    for piece in share_out(measure, tasks, processes=processes, stopping=stopping, peaks=peaks):
        found.append(piece)
        done += piece.bytes_in
        progress(0.8 * done / max(1, before.bytes), "progress.clean.judge")
    return sorted(found, key=lambda piece: piece.task.group.first)


def _judge(
    pieces: list[Measured],
    switches: Switches,
    folder: Path,
    scratch: Path,
    earlier: Path | None,
    progress: Progress,
) -> dict[str, int]:
    """Make the verdicts, or take over those of `earlier`; returns the languages found."""
    if earlier is None:
        progress(0.8, "progress.clean.compare")
        write_verdicts(pieces, switches, folder, scratch)
        languages = sum((piece.languages for piece in pieces), Counter[str]())
        return dict(languages.most_common())
    for file in (DOCUMENTS, UNITS):
        shutil.copy(earlier / file, folder / file)
    known = read_ledger(earlier)
    assert known is not None, earlier
    return known.languages


def _assemble(
    writer: Incoming,
    pieces: list[Measured],
    switches: Switches,
    languages: dict[str, int],
    progress: Progress,
    stopping: Stopping,
) -> Ledger:
    books = assemble(
        writer,
        pieces,
        read_verdicts(writer.folder),
        switches,
        progress=lambda share: progress(0.9 + 0.1 * share, "progress.clean.write"),
        stopping=stopping,
    )
    ledger = books.close(*writer.finish(), languages)
    if ledger.rows_out == 0:
        most = max(ledger.rules, key=lambda entry: entry.bytes)
        raise StudioError("clean.nothing_left", rows=ledger.rows_in, rule=most.rule)
    if any(ledger.difference().model_dump().values()):
        raise ValueError(f"the ledger does not add up: {ledger.difference()!r}")
    (writer.folder / FILE).write_text(ledger.model_dump_json(indent=2) + "\n", encoding="utf8")
    writer.dropped.update({entry.rule: entry.rows for entry in ledger.rules if entry.rows})
    return ledger


def _describe(before: Manifest, switches: Switches, against: list[str]) -> Cleaned:
    return Cleaned(
        parent=before.name,
        parent_sha256=before.sha256,
        preset=switches.preset,
        off=sorted(switches.off),
        values=switches.values,
        normalised=switches.normalise,
        against=against,
    )
