"""Samples become rows of token ids with their labels, tokenised once and kept on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeVar

from studio.data.pairs import Direction, as_chats, as_texts
from studio.data.sample import Chat, Pair, Sample, Text
from studio.models.template import IGNORED, ChatTemplate, Rendered, mask_answers

T = TypeVar("T")

BLOCK = 256  # texts per call of the tokenizer: its threads pay from about a hundred


@dataclass(frozen=True, slots=True)
class Row:
    """One training row: `ids`, as many `labels` (``-100`` where no loss is taken), characters of its text."""

    ids: list[int]
    labels: list[int]
    characters: int


@dataclass(slots=True)
class Report:
    """What became of samples: rows, tokens, trained tokens, conversations cut short, dropped ones by reason."""

    rows: int = 0
    tokens: int = 0
    trained: int = 0
    characters: int = 0
    cut: int = 0
    system_merged: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        self.rows += 1
        self.tokens += len(row.ids)
        self.trained += sum(label != IGNORED for label in row.labels)
        self.characters += row.characters

    def drop(self, reason: str) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1


@dataclass(frozen=True, slots=True)
class RowMaker:
    """Turns samples into rows for one tokenizer.

    Args:
        tokenizer: A fast transformers tokenizer.
        length: Longest row in tokens.
        loss: ``"answers"`` takes the loss on answers and their end token, ``"all"`` on the whole chat.
        document_start: Token that stands before plain text, as in the base's pretraining; None for none.
        template: For chats; None where the base has none, and chats are dropped.
        pairs: Pairs become ``chats`` that ask for a translation, or ``texts`` with both sides.
    """

    tokenizer: Any
    length: int
    loss: Literal["answers", "all"]
    document_start: int | None
    template: ChatTemplate | None
    pairs: Literal["chats", "texts"] = "chats"

    def rows(self, samples: Iterable[Sample], direction: Direction, report: Report) -> Iterator[Row]:
        """Rows of `samples`, in order; counts what was kept, cut and dropped in `report`."""
        for block in _blocks(self._expanded(samples, direction), BLOCK):
            yield from self._block(block, report)

    def _expanded(self, samples: Iterable[Sample], direction: Direction) -> Iterator[Chat | Text]:
        for sample in samples:
            if isinstance(sample, Pair):
                yield from (as_chats if self.pairs == "chats" else as_texts)(sample, direction)
            else:
                yield sample

    def _block(self, block: tuple[Chat | Text, ...], report: Report) -> Iterator[Row]:
        rendered = [self._rendered(sample, report) for sample in block]
        texts = [item.text if isinstance(item, Rendered) else item.text for item in rendered if item is not None]
        if not texts:
            return
        encoded = self.tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
        position = 0
        for sample, item in zip(block, rendered, strict=True):
            if item is None:
                continue
            ids, offsets = encoded["input_ids"][position], encoded["offset_mapping"][position]
            position += 1
            rows = (
                self._chat(sample, item, ids, offsets, report) if isinstance(item, Rendered) else self._text(item, ids)
            )
            for row in rows:
                if all(label == IGNORED for label in row.labels):
                    report.drop("no_trained_token")
                    continue
                report.add(row)
                yield row

    def _rendered(self, sample: Chat | Text, report: Report) -> Rendered | Text | None:
        if isinstance(sample, Text):
            return sample
        rendered = None if self.template is None else self.template.render(sample)
        if rendered is None or self.template is None:
            report.drop("template")
        elif not self.template.system_role and sample.messages[0].role == "system":
            report.system_merged += 1
        return rendered

    def _chat(
        self, sample: Chat | Text, item: Rendered, ids: list[int], offsets: list[tuple[int, int]], report: Report
    ) -> Iterator[Row]:
        if len(ids) > self.length and isinstance(sample, Chat):
            shorter = self._cut(sample, item, offsets)
            if shorter is None:
                report.drop("too_long")
                return
            report.cut += 1
            item, ids, offsets = shorter
        labels = list(ids) if self.loss == "all" else mask_answers(ids, offsets, item.answers)
        labels[0] = IGNORED  # nothing stands before the first token, so nothing can predict it
        yield Row(ids, labels, item.characters)

    def _cut(
        self, chat: Chat, item: Rendered, offsets: list[tuple[int, int]]
    ) -> tuple[Rendered, list[int], list[tuple[int, int]]] | None:
        """The longest beginning of `chat` that ends with an answer and fits, or None if not even one answer does."""
        assert self.template is not None, "a chat was rendered"
        turns = [index for index, message in enumerate(chat.messages) if message.role == "assistant"]
        fitting = sum(end <= offsets[self.length - 1][1] for _, end in item.answers)
        for index in reversed(turns[:fitting]):
            rendered = self.template.render(Chat(chat.messages[: index + 1]))
            if rendered is None:
                continue
            encoded = self.tokenizer(rendered.text, add_special_tokens=False, return_offsets_mapping=True)
            if len(encoded["input_ids"]) <= self.length:
                return rendered, encoded["input_ids"], encoded["offset_mapping"]
        return None

    def _text(self, text: Text, ids: list[int]) -> Iterator[Row]:
        # longer texts go on in the next row: nothing is cut away, and only the true end carries the end token
        start = [] if self.document_start is None else [self.document_start]
        ids = [*ids, self.tokenizer.eos_token_id]
        room = self.length - len(start)
        share = len(text.text) / len(ids)
        for begin in range(0, len(ids), room):
            piece = ids[begin : begin + room]
            row = [*start, *piece]
            yield Row(row, [IGNORED, *row[1:]], round(share * len(piece)))


def write_rows(rows: Iterable[tuple[int, Row]], path: Path) -> None:
    """Write ``(source, row)`` pairs to one Arrow stream, which training maps from disk instead of holding it."""
    import pyarrow as pa

    ids = pa.list_(pa.int32())
    schema = pa.schema([("input_ids", ids), ("labels", ids), ("characters", pa.int32()), ("source", pa.int32())])
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as stream:
        for block in _blocks(rows, 1024):
            stream.write_batch(
                pa.record_batch(
                    [
                        pa.array([row.ids for _, row in block], ids),
                        pa.array([row.labels for _, row in block], ids),
                        pa.array([row.characters for _, row in block], pa.int32()),
                        pa.array([source for source, _ in block], pa.int32()),
                    ],
                    schema=schema,
                )
            )


def _blocks(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    iterator = iter(items)
    while block := tuple(islice(iterator, size)):
        yield block
