"""Text cut by any prefix of a learned vocabulary, exactly as its tokenizer would cut it, without making one.

A tokenizer with k new pieces runs the old merges to their end, then the first k new ones, the lowest rank first. So
the old tokenizer's own tokens are the start, and every further step is the merge of lowest rank among neighbours. With
all pieces the same steps come in the same order, until a rank beyond k is the lowest: a text's tokens at every size
follow from one pass. A letter that was missing is a step like that, over its bytes, before any merge with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from studio.tokenizer.families import PREFIX
from studio.tokenizer.fertility import Piece, pieces
from studio.tokenizer.vocabulary import Vocabulary

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

Symbol = tuple[str, int, int]
"""A token: its spelling, its rank among the new pieces (-1 for an old one), and how many old tokens it covers."""

_Key = tuple[int, int]


class Prefixes:
    """A base tokenizer and the pieces learned after it."""

    def __init__(self, base: Tokenizer, vocabulary: Vocabulary) -> None:
        self.base = base
        self.first = vocabulary.first
        self.size = len(vocabulary.extension)
        self.letters = {
            tuple(f"<0x{byte:02X}>" for byte in letter.encode("utf8")): (letter, rank)
            for rank, letter in zip(vocabulary.extension.letter_ranks, vocabulary.letters, strict=True)
        }
        self.pairs = dict(zip(vocabulary.merges, vocabulary.extension.merge_ranks, strict=True))
        self.joined = vocabulary.kind == "byte_fallback"
        self.spelt = {left + right: rank for (left, right), rank in self.pairs.items()}

    def cut(self, text: str, size: int) -> list[int]:
        """The ids that the first `size` pieces give."""
        encoding = self.base.encode(text, add_special_tokens=False)
        ids: list[int] = []
        place = 0
        for _, rank, length in self._symbols(encoding, size):
            ids.append(encoding.ids[place] if rank < 0 else self.first + rank)
            place += length
        return ids

    def pieces(self, sentence: str, size: int) -> list[tuple[Piece, bool]]:
        """The tokens of `sentence` as `fertility.pieces` tells them, each with whether it is new."""
        old = pieces(self.base, sentence)
        found: list[tuple[Piece, bool]] = []
        place = 0
        for _, rank, length in self._symbols(self.base.encode(sentence, add_special_tokens=False), size):
            one = old[place]
            if rank >= 0:
                end = old[place + length - 1].end
                one = Piece(self.first + rank, sentence[one.start : end], one.start, end)
            found.append((one, rank >= 0))
            place += length
        return found

    def counts(self, lines: Iterable[str]) -> list[int]:
        """Tokens of the lines with 0, 1, … pieces, up to all of them."""
        saved = [0] * (self.size + 1)
        known: dict[tuple[str, ...], list[tuple[int, int]]] = {}
        for encoding in self.base.encode_batch(list(lines), add_special_tokens=False):
            saved[0] -= len(encoding.ids)
            for chunk in self._chunks(encoding):
                steps = known.get(chunk)
                if steps is None:
                    steps = known[chunk] = self._steps(chunk)
                for at, tokens in steps:
                    saved[at] += tokens
        total = 0
        return [-(total := total + each) for each in saved]

    def _symbols(self, encoding: Encoding, size: int) -> list[Symbol]:
        return [symbol for chunk in self._chunks(encoding) for symbol in self._merged(chunk, size, [])]

    def _steps(self, chunk: tuple[str, ...]) -> list[tuple[int, int]]:
        """Sizes from which on tokens of a chunk are saved, and how many."""
        steps: list[tuple[int, int]] = []
        self._merged(chunk, self.size, steps)
        return steps

    def _merged(self, chunk: tuple[str, ...], size: int, steps: list[tuple[int, int]]) -> list[Symbol]:
        symbols = self._lettered(chunk, size, steps)
        latest = 0
        while len(symbols) > 1:
            ready = [
                (key, place)
                for place, (left, right) in enumerate(zip(symbols, symbols[1:], strict=False))
                if (key := self._key(left[0], right[0])) is not None and key[0] < size
            ]
            if not ready:
                break
            (rank, _), place = min(ready)
            left, right = symbols[place : place + 2]
            symbols[place : place + 2] = [(left[0] + right[0], rank, left[2] + right[2])]
            latest = max(latest, rank + 1)
            steps.append((latest, 1))
        return symbols

    def _lettered(self, chunk: tuple[str, ...], size: int, steps: list[tuple[int, int]]) -> list[Symbol]:
        """The symbols of a chunk with the bytes of letters that were missing put together."""
        symbols: list[Symbol] = []
        place = 0
        while place < len(chunk):
            for length in (2, 3, 4) if self.letters and chunk[place].startswith("<0x") else ():
                letter, rank = self.letters.get(chunk[place : place + length], ("", size))
                if rank < size:
                    symbols.append((letter, rank, length))
                    steps.append((rank + 1, length - 1))
                    place += length
                    break
            else:
                symbols.append((chunk[place], -1, 1))
                place += 1
        return symbols

    def _key(self, left: str, right: str) -> _Key | None:
        """Rank of the merge of two neighbours: where any split may merge, the learned one first, then by its place."""
        rank = self.pairs.get((left, right))
        if rank is not None:
            return rank, 0
        if self.joined and (rank := self.spelt.get(left + right)) is not None:
            return rank, len(left)
        return None

    def _chunks(self, encoding: Encoding) -> Iterable[tuple[str, ...]]:
        """Runs of tokens that no merge can cross: the splitting keeps them apart, or a mark of a space begins one."""
        chunk: list[str] = []
        before: int | None = None
        for token, word in zip(encoding.tokens, encoding.word_ids, strict=True):
            if chunk and (word != before or (self.joined and token.startswith(PREFIX))):
                yield tuple(chunk)
                chunk = []
            chunk.append(token)
            before = word
        if chunk:
            yield tuple(chunk)
