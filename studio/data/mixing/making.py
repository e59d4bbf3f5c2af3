"""One mix under way: sizes measured, a plan made of them, samples drawn into new datasets and their record kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.data.incoming import Incoming
from studio.data.manifest import Manifest
from studio.data.mapping import Mapping, make_mapping
from studio.data.mixing.drawing import Draw, Drawn, Reading
from studio.data.mixing.measure import tokens_per_character
from studio.data.mixing.order import Order
from studio.data.mixing.record import Mixed, Part, join_licences
from studio.data.mixing.rendering import Count
from studio.data.mixing.shares import Plan, Size, plan
from studio.data.mixing.splitting import Split
from studio.data.sample import Kind
from studio.data.stored import Group
from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping

TICK_ROWS = 200
_MAPPINGS: dict[Kind, Mapping] = {
    "text": make_mapping("text", text="text"),
    "pair": make_mapping("pair", fa="fa", en="en"),
    "chat": make_mapping("messages", messages="messages"),
}


@dataclass(frozen=True, slots=True)
class Given:
    """A source on disk."""

    folder: Path
    manifest: Manifest
    groups: Sequence[Group]


class Making:
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
            wanted = None if self._split is None else Wanted(self._split, at, held=held)
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


class Wanted:
    """Which rows of one source's pieces belong to the mix, or to what is held out of it."""

    def __init__(self, found: Split, source: int, *, held: bool) -> None:
        self._split, self._source, self._held = found, source, held

    def __call__(self, group: Group) -> Any:
        return self._split.of_group(self._source, group) == self._held
