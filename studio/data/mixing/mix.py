"""Datasets mixed into a new one, and what is held out of it into another; both appear together or not at all.

Memory holds a piece of each source, however large they are; what is known of each row waits on disk.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.data.incoming import RESERVE_BYTES, Incoming, free_bytes, incoming
from studio.data.manifest import NAME_LIMIT, Manifest, check_name, read_manifest
from studio.data.mapping import Mapping, make_mapping
from studio.data.mixing.drawing import Draw, Drawn, Reading
from studio.data.mixing.measure import tokens_per_character
from studio.data.mixing.order import Order
from studio.data.mixing.record import Mixed, Part, join_licences
from studio.data.mixing.rendering import Count, kind_of_mix
from studio.data.mixing.shares import Plan, Size, plan
from studio.data.mixing.splitting import SCRATCH_ROW, Split, split
from studio.data.sample import Kind
from studio.data.stored import Group, list_groups
from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.memory import peak_memory
from studio.workspace import remove

ENDING = "-held-out"
TICK_ROWS = 200
_MAPPINGS: dict[Kind, Mapping] = {
    "text": make_mapping("text", text="text"),
    "pair": make_mapping("pair", fa="fa", en="en"),
    "chat": make_mapping("messages", messages="messages"),
}


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


@dataclass(frozen=True, slots=True)
class Given:
    """A source on disk."""

    folder: Path
    manifest: Manifest
    groups: Sequence[Group]


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
        stopping: Asked every `TICK_ROWS` rows.
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
        makes = _Making(order, given, found, count, progress, stopping)
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


class _Making:
    """One mix under way."""

    def __init__(
        self,
        order: Order,
        given: list[Given],
        found: Split | None,
        count: Count,
        progress: Progress,
        stopping: Stopping,
    ) -> None:
        self._order, self._given, self._split = order, given, found
        self._count, self._progress, self._stopping = count, progress, stopping
        progress(0.3 if found else 0.0, "progress.mix.count")
        self._density = [
            tokens_per_character(each.folder, order.kind, source.direction, count)
            for each, source in zip(given, order.sources, strict=True)
        ]
        self._held = [0 if found is None else found.count(at, each.manifest.rows) for at, each in enumerate(given)]
        self.planned = plan(order, self._sizes(held=False))
        self._mixed_tokens = 0

    def _sizes(self, *, held: bool) -> list[Size]:
        sizes = []
        for each, density, out in zip(self._given, self._density, self._held, strict=True):
            rows = out if held else each.manifest.rows - out
            sizes.append(Size(density * each.manifest.characters * rows / each.manifest.rows, rows))
        return sizes

    def draw(self, writer: Incoming, *, held: bool) -> Draw:
        """Draw the mix, or what is held out of it, into `writer`."""
        order, planned = self._order, self.planned
        if held:
            # As much of it as of the mix, in the same proportions; each row once.
            budget = None if planned.whole else max(1, round(order.held_out * self._mixed_tokens))
            sources = tuple(source.model_copy(update={"cap": type(source.cap)()}) for source in order.sources)
            order = order.model_copy(update={"budget": budget, "sources": sources})
            planned = plan(order, self._sizes(held=True))
        drawing = self._prepare(order, planned, held=held)
        expected = max(1.0, planned.total)
        for number, item in enumerate(drawing.items()):
            if number % TICK_ROWS == 0:
                if self._stopping():
                    raise StudioError("job.stopped")
                self._tell(drawing.tokens / expected, held=held)
            writer.add(item.sample)
        if not drawing.tokens:
            self._refuse(drawing, order, held=held)
        self._mixed_tokens = drawing.tokens
        return drawing

    def _tell(self, share: float, *, held: bool) -> None:
        start, part = (0.97, 0.03) if held else (0.3, 0.67) if self._split else (0.0, 1.0)
        self._progress(start + part * min(1.0, share), "progress.mix.write")

    def _prepare(self, order: Order, planned: Plan, *, held: bool) -> Draw:
        drawn = []
        sizes = self._sizes(held=held)
        for at, (source, each, size) in enumerate(zip(order.sources, self._given, sizes, strict=True)):
            tokens = planned.tokens[at]
            part = tokens / size.tokens if size.tokens else 1.0
            wanted = None if self._split is None else _Wanted(self._split, at, held=held)
            reading = Reading(
                source, each.manifest.kind, each.groups, order.kind, size.rows, wanted,
                1.0 if planned.whole and not source.replay else part, order.seed,
            )  # fmt: skip
            whole = planned.whole and not source.replay
            quota = math.inf if whole else float(round(tokens))
            if source.cap.unit == "tokens":
                quota = min(quota, source.cap.amount)
            drawn.append(Drawn(reading.items(self._count), tokens, quota))
        again = [at for at, source in enumerate(order.sources) if not source.replay and source.cap.unit != "tokens"]
        return Draw(drawn, self._count, order.budget, again)

    def _refuse(self, drawing: Draw, order: Order, *, held: bool) -> None:
        """Say why nothing was drawn.

        Raises:
            StudioError: ``mix.held_out_empty`` or ``mix.budget_too_small``.
        """
        rows = sum(each.manifest.rows for each in self._given)
        if held:
            raise StudioError("mix.held_out_empty", rows=rows)
        first = [item.tokens for source in drawing.sources if (item := source.peek()) is not None]
        raise StudioError("mix.budget_too_small", value=order.budget or 0, needed_tokens=min(first, default=0))

    def commit(self, writer: Incoming, drawing: Draw, part: Any, *, sibling: str | None) -> Manifest:
        """Store what was drawn under its name."""
        licences = {
            each.manifest.name: each.manifest.licence
            for each, drawn in zip(self._given, drawing.sources, strict=True)
            if drawn.rows
        }
        return writer.commit(
            mapping=_MAPPINGS[self._order.kind],
            source="mix:" + "+".join(each.manifest.name for each in self._given),
            licence=join_licences(licences),
            encoding=None,
            files=[each.manifest.name for each in self._given],
            mixed=Mixed(
                part=part, sibling=sibling, order=self._order, tokens=drawing.tokens, sources=self._parts(drawing)
            ),
        )

    def _parts(self, drawing: Draw) -> list[Part]:
        return [
            Part(
                dataset=each.manifest.name,
                sha256=each.manifest.sha256,
                licence=each.manifest.licence,
                rows=drawn.rows,
                tokens=drawn.tokens,
                characters=drawn.characters,
                share=round(drawn.tokens / max(1, drawing.tokens), 6),
                passes=round(drawn.taken / each.manifest.rows, 4),
                ran_out=drawn.ran_out,
            )
            for each, drawn in zip(self._given, drawing.sources, strict=True)
        ]


class _Wanted:
    """Which rows of one source's pieces belong to the mix, or to what is held out of it."""

    def __init__(self, found: Split, source: int, *, held: bool) -> None:
        self._split, self._source, self._held = found, source, held

    def __call__(self, group: Group) -> Any:
        return self._split.of_group(self._source, group) == self._held


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
