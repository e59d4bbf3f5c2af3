"""The order of a mix: each source in an order of its own, and the source furthest behind its share comes next.

One piece of each source (`incoming.GROUP_CHARACTERS`) is in memory at a time, however large they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from typing import TYPE_CHECKING

from studio.data.mixing.order import Source
from studio.data.mixing.rendering import Count, cut, render, written
from studio.data.sample import Kind, Sample, Text, strings
from studio.data.stored import Group, read_group

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK = 256
"""Texts per call of the tokenizer: its threads pay from about a hundred."""

LEAST_PIECE = 32
"""Tokens below which no beginning of a document is cut off to fill a budget."""

_NEARLY_ALL = 0.8
_SLACK = 0.03
"""Above the first, a dataset is read from end to end; of a smaller part a little more is read than is planned."""

Wanted = Callable[[Group], "NDArray[np.bool_]"]
"""Which rows of a piece may be taken."""


@dataclass(frozen=True, slots=True)
class Item:
    """A sample with its tokens; `rows` is how much of a stored row it is: a half where a pair is written twice."""

    sample: Sample
    tokens: int
    rows: float
    document: bool

    @property
    def characters(self) -> int:
        return sum(map(len, strings(self.sample)))


@dataclass(frozen=True, slots=True)
class Reading:
    """How the rows of one source are read.

    Attributes:
        source: The dataset as it was asked for.
        holds: Its kind.
        groups: Its pieces.
        kind: Kind of the mix.
        rows: Rows that `wanted` lets through.
        wanted: Which rows may be taken; None for all.
        part: About the share of one pass that will be taken; a small part is spread over the whole dataset.
        seed: Of the order.
    """

    source: Source
    holds: Kind
    groups: Sequence[Group]
    kind: Kind
    rows: int
    wanted: Wanted | None
    part: float
    seed: int

    def items(self, count: Count) -> Iterator[Item]:
        """What the source has to give, as far as its cap in rows or passes allows."""
        cap = self.source.cap
        most = {"rows": min(cap.amount, self.rows), "passes": cap.amount * self.rows}.get(cap.unit, self.rows)
        given = 0.0
        for item in self._counted(count):
            if given >= most - 1e-9:
                return
            given += item.rows
            yield item

    def _counted(self, count: Count) -> Iterator[Item]:
        rendered = self._rendered()
        while block := list(islice(rendered, BLOCK)):
            tokens = count([written(sample) for sample, _, _ in block])
            for (sample, rows, document), each in zip(block, tokens, strict=True):
                yield Item(sample, each, rows, document)

    def _rendered(self) -> Iterator[tuple[Sample, float, bool]]:
        # What is wanted comes from all over the dataset first; the rest only if an estimate was too high.
        first = 1.0 if self.part > _NEARLY_ALL else self.part * (1 + _SLACK)
        again = 0
        while self.rows:
            for turn, (begin, end) in enumerate(((0.0, first), (first, 1.0))):
                order = Random(f"{self.seed}/{self.source.dataset}/{again}/{turn}")
                groups = list(self.groups) if begin < end else []
                order.shuffle(groups)
                for group in groups:
                    places = self._places(group, again, begin, end)
                    samples = read_group(group, self.holds, places) if places else []
                    found = [(list(render(each, self.kind, self.source.direction)), each) for each in samples]
                    ready = [(new, 1 / len(made), isinstance(old, Text)) for made, old in found for new in made]
                    order.shuffle(ready)
                    yield from ready
            again += 1

    def _places(self, group: Group, again: int, begin: float, end: float) -> list[int]:
        """The rows of a piece between two parts of its random order, as they stand in the piece."""
        places = list(range(group.rows))
        Random(f"{self.seed}/{self.source.dataset}/{again}/rows/{group.first}").shuffle(places)
        mine = sorted(places[math.ceil(begin * group.rows) : math.ceil(end * group.rows)])
        if self.wanted is None:
            return mine
        let = self.wanted(group)
        return [place for place in mine if let[place]]


@dataclass(slots=True)
class Drawn:
    """What one source has given so far, and what it may give."""

    items: Iterator[Item]
    rate: float
    quota: float
    rows: int = 0
    tokens: int = 0
    characters: int = 0
    taken: float = 0.0
    ran_out: bool = False
    next: Item | None = None

    def peek(self) -> Item | None:
        """The next item, without taking it."""
        if self.next is None:
            self.next = next(self.items, None)
            self.ran_out = self.next is None
        return self.next

    def take(self, room: float, count: Count) -> Item | None:
        """The next item if it fits into `room` tokens; a document that does not is cut, and its rest comes next."""
        item = self.peek()
        if item is None:
            return None
        if item.tokens > room:
            if not item.document or not isinstance(item.sample, Text) or room < LEAST_PIECE:
                return None
            item = self._begin(item, item.sample.text, int(room), count)
            if item is None:
                return None
        else:
            self.next = None
        self.rows += 1
        self.tokens += item.tokens
        self.characters += item.characters
        self.taken += item.rows
        return item

    def _begin(self, item: Item, text: str, room: int, count: Count) -> Item | None:
        head, rest = cut(text, item.tokens, room, count)
        if not head.strip():
            return None
        tokens = count([head, rest])
        part = item.rows * len(head) / len(text)
        self.next = Item(Text(rest), tokens[1], item.rows - part, True) if rest.strip() else None
        return Item(Text(head), tokens[0], part, True)


@dataclass(slots=True)
class Draw:
    """All sources of a mix while it is drawn."""

    sources: list[Drawn]
    count: Count
    budget: int | None
    again: Sequence[int] = field(default=())
    """Numbers of the sources that fill up what others left over, by their rates."""

    @property
    def tokens(self) -> int:
        """Tokens so far."""
        return sum(source.tokens for source in self.sources)

    def items(self) -> Iterator[Item]:
        """The items of the mix in their order."""
        yield from self._round([at for at, source in enumerate(self.sources) if source.rate > 0])
        # An estimate that was too high left room: those that have more share it, as long as that gives something.
        live = [at for at in self.again if self.sources[at].rate > 0]
        while live and self.budget is not None and (left := self.budget - self.tokens) >= LEAST_PIECE:
            live = [at for at in live if self.sources[at].peek() is not None]
            rates = sum(self.sources[at].rate for at in live)
            before = {at: self.sources[at].tokens for at in live}
            for at in live:
                self.sources[at].quota = before[at] + left * self.sources[at].rate / rates
            yield from self._round(live)
            live = [at for at in live if self.sources[at].tokens > before[at]]

    def _round(self, live: list[int]) -> Iterator[Item]:
        while live:
            at = min(live, key=lambda number: self.sources[number].tokens / self.sources[number].rate)
            source = self.sources[at]
            room = source.quota - source.tokens
            if self.budget is not None:
                room = min(room, self.budget - self.tokens)
            item = source.take(room, self.count)
            if item is None:
                live = [number for number in live if number != at]
            else:
                yield item
