"""Datasets mixed into a new one, and what is held out of it into another; both appear together or not at all.

Memory holds a piece of each source, however large they are; what is known of each row waits on disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.data.incoming import RESERVE_BYTES, free_bytes, incoming
from studio.data.manifest import NAME_LIMIT, Manifest, check_name, read_manifest
from studio.data.mixing.drawing import Draw
from studio.data.mixing.making import Given, Making
from studio.data.mixing.order import Order
from studio.data.mixing.rendering import Count, kind_of_mix
from studio.data.mixing.shares import Plan
from studio.data.mixing.splitting import SCRATCH_ROW, Split, split
from studio.data.stored import list_groups
from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.memory import peak_memory
from studio.workspace import remove

ENDING = "-held-out"


@dataclass(frozen=True, slots=True)
class Result:
    """A mix that is done; `warnings` are ``{"code", **details}`` with sentences ``mix.warning.CODE``."""

    manifest: Manifest
    held_out: Manifest | None
    warnings: list[dict[str, Any]]
    seconds: float

    def figures(self) -> dict[str, Any]:
        """What the command line tells."""
        return _figures(self.manifest) | {
            "kind": self.manifest.kind,
            "licence": self.manifest.licence,
            "budget": self.manifest.mixed.order.budget if self.manifest.mixed else None,
            "held_out": None if self.held_out is None else _figures(self.held_out),
            "warnings": self.warnings,
            "seconds": round(self.seconds, 2),
            "peak_memory_bytes": peak_memory(),
        }


def mix(
    order: Order,
    target: Path,
    name: str,
    count: Count,
    *,
    warnings: Sequence[dict[str, Any]] = (),
    progress: Progress,
    stopping: Stopping,
    free: Callable[[Path], int] = free_bytes,
) -> Result:
    """Mix datasets of the folder `target` into the new dataset `name` there.

    A failure, a stop or a kill leaves nothing behind. The same order over the same datasets gives the same mix.

    Args:
        order: What is asked for.
        target: The datasets folder.
        name: What the mix is called; what is held out is called so with `ENDING`.
        count: Counts the tokens of texts.
        warnings: What is known already and goes into the result.
        progress: Told ``progress.mix.*``.
        stopping: Asked every `making.TICK_ROWS` rows.
        free: Tells how many bytes a folder can still take.

    Raises:
        StudioError: ``mix.*``, ``data.no_such_dataset``, ``data.name_taken``, ``disk.*`` or ``job.stopped``.
    """
    began = time.monotonic()
    order = order.checked()
    given = [_given(target, source.dataset) for source in order.sources]
    kind_of_mix({each.manifest.kind for each in given}, order.kind)
    if order.held_out:
        check_name(target, held_out_name(name))
    with ExitStack() as stack:
        writer = stack.enter_context(incoming(target, name, free=free))
        beside = stack.enter_context(incoming(target, held_out_name(name), free=free)) if order.held_out else None
        found = None
        if beside is not None:
            found = _split(order, given, writer.folder, progress, stopping, free)
        makes = Making(order, given, found, count, progress, stopping)
        drawn = makes.draw(writer, held=False)
        set_aside = None if beside is None else makes.draw(beside, held=True)
        if found is not None:
            found.held.unlink()
            found.held.parent.rmdir()
        other = None
        if beside is not None and set_aside is not None:
            other = makes.commit(beside, set_aside, "held_out", sibling=name)
        try:
            manifest = makes.commit(writer, drawn, "mix", sibling=None if other is None else other.name)
        except BaseException:
            if other is not None:
                remove(target / other.name)
            raise
    told = [*warnings, *_warn(order, drawn, makes.planned)]
    return Result(manifest, other, told, time.monotonic() - began)


def held_out_name(name: str) -> str:
    """What the rows held out of the mix `name` are called."""
    return name[: NAME_LIMIT - len(ENDING)] + ENDING


def _given(target: Path, name: str) -> Given:
    manifest = read_manifest(target / name)
    return Given(target / name, manifest, list_groups(target / name))


def _split(
    order: Order,
    given: list[Given],
    folder: Path,
    progress: Progress,
    stopping: Stopping,
    free: Callable[[Path], int],
) -> Split:
    needed = SCRATCH_ROW * sum(each.manifest.rows for each in given) + RESERVE_BYTES
    if free(folder) < needed:
        raise StudioError("disk.too_small", free=free(folder), needed=needed)
    scratch = folder / "scratch"
    scratch.mkdir()
    return split(
        [(each.manifest.kind, each.groups) for each in given],
        order.held_out,
        order.seed,
        scratch,
        progress=lambda share, note: progress(0.3 * share, note),
        stopping=stopping,
    )


def _warn(order: Order, drawing: Draw, planned: Plan) -> list[dict[str, Any]]:
    """Where the mix is not what was asked for."""
    found: list[dict[str, Any]] = []
    total = max(1, drawing.tokens)
    for source, drawn, wanted in zip(order.sources, drawing.sources, planned.shares, strict=True):
        if drawn.ran_out and not planned.whole and drawn.tokens < 0.98 * wanted * total:
            share = round(drawn.tokens / total, 4)
            found.append({"code": "ran_out", "name": source.dataset, "share": share, "wanted": round(wanted, 4)})
    if order.budget is not None and drawing.tokens < 0.98 * order.budget:
        found.append({"code": "short", "tokens": drawing.tokens, "budget": order.budget})
    return found


def _figures(manifest: Manifest) -> dict[str, Any]:
    assert manifest.mixed is not None, manifest.name
    return {
        "name": manifest.name,
        "rows": manifest.rows,
        "characters": manifest.characters,
        "tokens": manifest.mixed.tokens,
        "sources": [part.model_dump() for part in manifest.mixed.sources],
    }
