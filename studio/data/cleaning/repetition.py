"""Documents that say the same again and again, by Gopher's measures with FineWeb-2's thresholds for Persian."""

from __future__ import annotations

from collections import Counter

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
    words = piece.words
    groups = len(words) - min(ALL) + 1
    # Most documents repeat no five words at all, and then no longer group: one set answers for six sizes.
    if groups < 2 or len(set(zip(*(words[start:] for start in range(min(ALL))), strict=False))) == groups:
        return False
    return any(_repeated(words, size) > most * len(piece.text) for size, most in ALL.items())


def _repeated(words: list[str], size: int) -> int:
    """Characters in groups of `size` words that stood before, groups not overlapping."""
    seen: set[tuple[str, ...]] = set()
    characters = place = 0
    while place <= len(words) - size:
        group = tuple(words[place : place + size])
        if group in seen:
            characters += sum(map(len, group))
            place += size
        else:
            seen.add(group)
            place += 1
    return characters
