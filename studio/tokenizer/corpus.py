"""A corpus as blocks of bytes: text files in any spelling, tables, stored datasets; never held whole."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from studio.data import stored
from studio.data.columns import Dropped, Mapping, Trimmed, guess, to_sample
from studio.data.compressed import ByteSource
from studio.data.encoding import settle_encoding
from studio.data.lines import read_chunks
from studio.data.read import find_format, open_rows
from studio.data.sample import strings
from studio.errors import StudioError
from studio.settings import Settings
from studio.tokenizer.counting import START, Block, blocks_of, spans

_SAMPLED_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """One file or one stored dataset of a corpus."""

    path: Path
    dataset: bool

    @property
    def size(self) -> int:
        """Bytes on disk, as a measure of progress."""
        if not self.dataset:
            return self.path.stat().st_size
        return sum(file.stat().st_size for file in self.path.glob("*.parquet"))


def find_parts(corpus: Sequence[str], settings: Settings) -> list[Part]:
    """Files by their path, or else datasets of the workspace by their name.

    Raises:
        StudioError: ``data.no_files``, ``data.no_such_file`` or ``data.no_such_dataset``.
    """
    if not corpus:
        raise StudioError("data.no_files")
    parts = []
    for each in corpus:
        path = Path(each).expanduser()
        if path.is_file():
            parts.append(Part(path.resolve(), False))
        elif (settings.datasets / each / "manifest.json").is_file() and path.name == each:
            parts.append(Part(settings.datasets / each, True))
        elif path.suffix or path.name != each:
            raise StudioError("data.no_such_file", file=each)
        else:
            raise StudioError("data.no_such_dataset", name=each)
    return parts


def blocks(parts: Sequence[Part]) -> Iterator[Block]:
    """The text of a corpus in its order, as `count_words` takes it.

    Raises:
        StudioError: ``data.*`` for what cannot be read.
    """
    for part in parts:
        if part.dataset:
            yield from blocks_of(text for sample in stored.read_samples(part.path) for text in strings(sample))
        else:
            yield from _file_blocks(part.path)


def sample_passages(parts: Sequence[Part], characters: int, count: int, seed: int) -> list[str]:
    """At most `count` passages of about `characters`, drawn evenly from the first 64 MB of a corpus.

    They begin and end between words.

    Raises:
        StudioError: ``data.*`` for what cannot be read.
    """
    chance = random.Random(seed)
    drawn: list[str] = []
    met = 0
    for text in _first_texts(parts):
        for start in range(0, len(text), characters):
            met += 1
            place = len(drawn) if len(drawn) < count else chance.randrange(met)
            if place < count:
                words = text[max(0, start - 1) : start + characters + 1].split(" ")
                passage = " ".join(words[1 if start else 0 : -1 if start + characters < len(text) else None])
                drawn[place : place + 1] = [passage]
    chance.shuffle(drawn)
    return drawn


def _first_texts(parts: Sequence[Part]) -> Iterator[str]:
    size = 0
    for block in blocks(parts):
        data = read_block(block)
        yield data.replace(START, b"").decode("utf8", "ignore")
        size += len(data)
        if size > _SAMPLED_BYTES:
            return


def read_block(block: Block) -> bytes:
    """The bytes of a block."""
    if not isinstance(block, tuple):
        return block
    path, start, stop = block
    with path.open("rb") as file:
        file.seek(start)
        return file.read(stop - start)


def _file_blocks(path: Path) -> Iterator[Block]:
    with ByteSource(path) as source:
        form = find_format(source) if path.suffix else "txt"
        if form != "txt":
            yield from blocks_of(_texts(path))
            return
        encoding = settle_encoding(source.head, source.whole, source.name, None)
        if encoding in ("utf-8", "utf-8-sig") and source.compression is None:
            yield from spans(path)
            return
        yield from blocks_of(_words(read_chunks(source, encoding)))


def _words(chunks: Iterator[str]) -> Iterator[str]:
    """Chunks that end where a line does, or where a word does when no line ends for a long time."""
    rest = ""
    for chunk in chunks:
        text = rest + chunk
        cut = text.rfind("\n") + 1 or text.rfind(" ") + 1 or (len(text) if len(text) > 1 << 20 else 0)
        if cut:
            yield text[:cut]
        rest = text[cut:]
    if rest:
        yield rest


def _texts(path: Path) -> Iterator[str]:
    with open_rows(path) as rows:
        mapping: Mapping = guess(rows.columns, [values for _, values in rows.first])
        for row, values in rows:
            found = to_sample(values, mapping, row)
            if isinstance(found, Dropped):
                continue
            yield from strings(found.sample if isinstance(found, Trimmed) else found)
