"""Counting words: a corpus of any size as unique words and their counts, by every core and in bounded memory."""

from __future__ import annotations

import multiprocessing
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from studio.memory import peak_memory

START = b"\x00"
"""Stands before a word that opens a line or follows a tab: no space comes before it, so it is cut otherwise."""

BLOCK_BYTES = 1 << 23
KEPT_WORDS = 1_500_000
LONGEST_WORD = 240
_LINES = bytes.maketrans(b"\t\r\v\f\x00", b"\n\n\n\n\n")
_QUEUED = 3

Span = tuple[Path, int, int]
"""Bytes `start` to `stop` of a UTF-8 file, which end where a word does."""

Block = bytes | Span


@dataclass
class Counts:
    """Unique words with a character of the target script, as UTF-8, and how often each stands.

    `words` counts all words of the corpus, `target` those with the script; `forgotten` of these were dropped because
    there were more unique words than memory may hold, the rarest first. `beside` is memory in bytes: what the
    processes that counted held at most, all together.
    """

    types: dict[bytes, int] = field(default_factory=dict)
    words: int = 0
    target: int = 0
    bytes: int = 0
    forgotten: int = 0
    beside: int = 0


def count_words(
    blocks: Iterable[Block],
    pattern: str,
    *,
    workers: int | None = None,
    kept: int = KEPT_WORDS,
    tick: Callable[[int], None] = lambda done: None,
) -> Counts:
    """Count the words between ASCII white space.

    The result does not depend on the number of workers: blocks are added up in their order.

    Args:
        blocks: Pieces of text that end where a word does, or the places of such pieces in files.
        pattern: Regular expression; a word counts when it is found in it.
        workers: Processes; by default one for each core. A single block is counted here.
        kept: Most unique words to hold.
        tick: Called with the bytes counted so far; may raise to stop.
    """
    found = Counts()
    processes = workers or os.cpu_count() or 1
    for part in _counted(iter(blocks), pattern, processes):
        _add(found, part, kept)
        found.beside = max(found.beside, part.beside * processes)
        tick(found.bytes)
    return found


def spans(path: Path, size: int = BLOCK_BYTES) -> Iterator[Span]:
    """Cut a UTF-8 file into spans of about `size` bytes that end after white space, or else between two letters."""
    end = path.stat().st_size
    with path.open("rb") as file:
        start = 0
        while start < end:
            file.seek(min(start + size, end))
            start, before = file.tell() + _to_boundary(file.read(LONGEST_WORD)), start
            yield path, before, min(start, end)


def blocks_of(texts: Iterable[str], size: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Texts, each beginning a line, as blocks of about `size` bytes; a longer text is cut after white space."""
    held: list[bytes] = []
    length = 0
    for text in texts:
        data = text.encode("utf8", "ignore")
        while len(data) > size:
            cut = size + _to_boundary(data[size : size + LONGEST_WORD])
            yield b"\n".join([*held, data[:cut]])
            data, held, length = data[cut:], [], 0
        held.append(data)
        length += len(data) + 1
        if length >= size:
            yield b"\n".join(held)
            held, length = [], 0
    if held:
        yield b"\n".join(held)


def count_block(block: Block, pattern: str) -> Counts:
    """Count one block."""
    if isinstance(block, tuple):
        path, start, stop = block
        with path.open("rb") as file:
            file.seek(start)
            block = file.read(stop - start)
        opens = start == 0
    else:
        opens = True
    words = block.translate(_LINES).replace(b"\n", b" " + START).split()
    if opens and words and block[:1].strip() and not words[0].startswith(START):
        words[0] = START + words[0]
    counted = Counter(words)
    counted.pop(START, None)
    size = len(block)
    del block, words
    found = Counts(words=counted.total(), bytes=size)
    search = re.compile(pattern).search
    for word, count in counted.items():
        for part in (word,) if len(word) <= LONGEST_WORD else _short(word):
            if search(part.decode("utf8", "ignore")):
                found.types[part] = found.types.get(part, 0) + count
                found.target += count
    return found


def _count_apart(block: Block, pattern: str) -> Counts:
    found = count_block(block, pattern)
    found.beside = peak_memory()
    return found


def _counted(blocks: Iterator[Block], pattern: str, workers: int) -> Iterator[Counts]:
    first = list(islice(blocks, 2))
    if len(first) < 2 or workers < 2:
        yield from (count_block(block, pattern) for block in first)
        yield from (count_block(block, pattern) for block in blocks)
        return
    # Not forked: a worker of the studio has threads, and a copy of their locks would never open.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        running: list[Future[Counts]] = [pool.submit(_count_apart, block, pattern) for block in first]
        try:
            for block in blocks:
                if len(running) >= workers + _QUEUED:
                    yield running.pop(0).result()
                running.append(pool.submit(_count_apart, block, pattern))
            while running:
                yield running.pop(0).result()
        finally:
            for future in running:
                future.cancel()


def _add(found: Counts, part: Counts, kept: int) -> None:
    types = found.types
    for word, count in part.types.items():
        types[word] = types.get(word, 0) + count
    found.words += part.words
    found.target += part.target
    found.bytes += part.bytes
    least = 1
    while len(types) > kept:
        # The rarest go first; a word that comes often enough to become a piece is back in the next block.
        least += 1
        found.forgotten += sum(count for count in types.values() if count < least)
        types = found.types = {word: count for word, count in types.items() if count >= least}


def rarest_out(types: Mapping[bytes, int], most: int) -> dict[bytes, int]:
    """The words that remain when the rarest go until at most `most` are left."""
    least = 1
    remaining = dict(types)
    while len(remaining) > most:
        least += 1
        remaining = {word: count for word, count in remaining.items() if count >= least}
    return remaining


def _to_boundary(data: bytes) -> int:
    """Bytes until a word ends, or without white space in `data` until a letter does."""
    for place, code in enumerate(data):
        if code in b" \t\r\n\v\f":
            return place
    if len(data) < LONGEST_WORD:  # the text ends here, and its last word with it
        return len(data)
    return next((place for place, code in enumerate(data) if code & 0xC0 != 0x80), len(data))


def _short(word: bytes) -> list[bytes]:
    """An endless word in parts, none ending inside a letter: one of megabytes would take hours to merge."""
    parts, start = [], 0
    while start < len(word):
        stop = start + LONGEST_WORD
        while stop < len(word) and word[stop] & 0xC0 == 0x80:
            stop -= 1
        parts.append(word[start:stop])
        start = stop
    return parts
