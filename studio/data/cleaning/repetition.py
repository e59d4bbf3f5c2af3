"""Documents that say the same again and again, by Gopher's measures with FineWeb-2's thresholds for Persian."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate

from studio.data.cleaning.pieces import Piece

# Share of the characters that the commonest group of n words may take, and that all repeated groups may take
# (FineWeb-2, configs/fas_Arab.yml).
TOP = {2: 0.189, 3: 0.164, 4: 0.143}
ALL = {5: 0.157, 6: 0.147, 7: 0.137, 8: 0.127, 9: 0.117, 10: 0.107}


def repeats_lines(piece: Piece, most: float) -> bool:
    """More than the share `most` of the lines stood in the document before."""
    lines = [line.strip() for line in piece.text.split("\n") if line.strip()]
    return len(lines) - len(set(lines)) > most * len(lines)


def repeats_words(piece: Piece, _: float) -> bool:
    """One group of two to four words, or all repeated groups of five to ten, take too much of the text."""
    return _top_repeats(piece) or _all_repeat(piece)


def _top_repeats(piece: Piece) -> bool:
    words, length = piece.words, len(piece.text)
    for size, most in TOP.items():
        groups = Counter(zip(*(words[start:] for start in range(size)), strict=False))
        if not groups:
            return False
        group, count = groups.most_common(1)[0]
        if count < 2:
            return False  # longer groups cannot repeat either
        if (sum(map(len, group)) + size - 1) * count > most * length:
            return True
    return False


def _all_repeat(piece: Piece) -> bool:
    for size, most in ALL.items():
        repeated = _repeated(piece.words, size)
        if repeated > most * len(piece.text):
            return True
        if not repeated:
            return False  # nor does a longer group
    return False


def _repeated(words: list[str], size: int) -> int:
    """Characters in groups of `size` words that stood before, groups not overlapping."""
    groups = list(zip(*(words[start:] for start in range(size)), strict=False))
    if len(set(groups)) == len(groups):
        return 0
    ends = list(accumulate(map(len, words), initial=0))
    seen: set[tuple[str, ...]] = set()
    characters = place = 0
    while place < len(groups):
        if groups[place] in seen:
            characters += ends[place + size] - ends[place]
            place += size
        else:
            seen.add(groups[place])
            place += 1
    return characters
