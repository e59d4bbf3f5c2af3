"""Small datasets of numbered sentences, and a tokenizer that counts words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from studio.data.incoming import incoming
from studio.data.mapping import make_mapping
from studio.data.mixing.mix import Result, mix
from studio.data.mixing.order import Order, Source
from studio.data.sample import Chat, Message, Pair, Sample, Text

MAPPING = make_mapping("text", text="text")


def count_words(texts: list[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def store(target: Path, name: str, samples: Iterable[Sample], licence: str | None = "CC0-1.0") -> None:
    with incoming(target, name) as writer:
        for sample in samples:
            writer.add(sample)
        writer.commit(mapping=MAPPING, source="test", licence=licence, encoding=None, files=[])


def texts(word: str, rows: int, words: int = 10) -> list[Text]:
    """`rows` texts of `words` words, no two alike: each word carries the number of its row."""
    return [Text(" ".join(f"{word}{row}x{place}" for place in range(words))) for row in range(rows)]


def pairs(rows: int) -> list[Pair]:
    return [Pair(f"جمله{row} یک{row}", f"sentence{row} one{row}") for row in range(rows)]


def chats(rows: int) -> list[Chat]:
    return [Chat((Message("user", f"پرسش{row}"), Message("assistant", f"پاسخ{row} خوب{row}"))) for row in range(rows)]


def order(*sources: Source, **given: Any) -> Order:
    return Order.model_validate({"sources": sources, "kind": "text"} | given)


def make(target: Path, asked: Order, name: str = "mixed", **options: Any) -> Result:
    quiet: dict[str, Any] = {"progress": lambda share, note: None, "stopping": lambda: False}
    return mix(asked, target, name, count_words, **(quiet | options))


def word_of(sample: Sample) -> str:
    """The word that the texts of a source are made of."""
    assert isinstance(sample, Text)
    return sample.text.split()[0].rstrip("0123456789x")


def shares_of(samples: Sequence[Sample]) -> dict[str, float]:
    """Share of the words by source."""
    found: dict[str, int] = {}
    for sample in samples:
        assert isinstance(sample, Text)
        found[word_of(sample)] = found.get(word_of(sample), 0) + len(sample.text.split())
    return {word: words / sum(found.values()) for word, words in found.items()}
