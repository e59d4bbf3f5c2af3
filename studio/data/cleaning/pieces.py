"""What rules look at in a piece of text: its words, its letters, its lines, its language, its turns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import product

from studio.data.language import Guess, guess_quickly
from studio.settings import PRESETS

BOILERPLATE = PRESETS / "boilerplate.txt"
WORD_LENGTHS = (2, 9)
LONG_ANSWER = 200
_HALF_SPACE = "\u200c"
CODE_SIGNS = "{}<>\\|=^~`;"
_CODE = re.compile(f"[{re.escape(CODE_SIGNS)}]")
_LETTER = re.compile(r"[^\W\d_]")
STOP_WORDS = frozenset(("در", "و", "،", "به", "از", "که", "است", "این", "را", "با", "یک"))
LINE_ENDS = (".", "!", "?", "؟", "…", "»", "”", '"', "'", "؛", ":", ")")
_STOPS = re.compile(r"[.!?؟…]\s")


class Piece:
    """A normalised piece of text as rules see it.

    Attributes:
        text: The text; of a chat all turns and of a pair both sides, one below the other.
        turns: Of a chat, who says what; of a pair, what ``fa`` and ``en`` say; empty otherwise.
        guess: The language, once a rule asked for it.
    """

    __slots__ = ("_words", "guess", "text", "turns")

    def __init__(self, text: str, turns: Sequence[tuple[str, str]] = ()) -> None:
        self.text, self.turns = text, turns
        self.guess: Guess | None = None
        self._words: list[str] | None = None

    @property
    def words(self) -> list[str]:
        """``text.split()``."""
        if self._words is None:
            self._words = self.text.split()
        return self._words


def is_empty(piece: Piece, _: float) -> bool:
    """Nothing but blanks is left after normalising."""
    return not piece.text or piece.text.isspace()


def has_few_words(piece: Piece, least: float) -> bool:
    """Fewer words than `least`."""
    return len(piece.words) < least


def has_code(piece: Piece, _: float) -> bool:
    """A character that is rare in prose and common in code."""
    return _CODE.search(piece.text) is not None


def is_other_language(piece: Piece, threshold: float) -> bool:
    """P(Persian) is below `threshold`."""
    if piece.guess is None:
        piece.guess = guess_quickly(piece.text, piece.words, threshold)
    return piece.guess.persian < threshold


def has_boilerplate(piece: Piece, _: float) -> bool:
    """A phrase of ``presets/boilerplate.txt``."""
    phrases = boilerplate()
    if phrases.keys().isdisjoint(piece.words):
        return False
    text = " ".join(piece.words)
    return any(_stands_in(phrase, text) for hint in phrases.keys() & piece.words for phrase in phrases[hint])


def _stands_in(phrase: str, text: str) -> bool:
    # «کد خبر» is none in «کد خبرنگار».
    start = text.find(phrase)
    end = start + len(phrase)
    return start >= 0 and not text[end : end + 1].isalpha() and not (start and text[start - 1].isalpha())


@cache
def boilerplate() -> dict[str, tuple[str, ...]]:
    """The phrases, by a word of theirs."""
    # By their longest word, the last one left out since a full stop may follow it: a sentence then costs one look into
    # a set, and few look further. Pages write «ثبت‌نام» and «ثبت نام»: both are made here.
    found: dict[str, tuple[str, ...]] = {}
    for line in BOILERPLATE.read_text(encoding="utf8").splitlines():
        if not line or line.startswith("#"):
            continue
        parts = line.split(_HALF_SPACE)
        for blanks in product(f" {_HALF_SPACE}", repeat=len(parts) - 1):
            phrase = "".join(part + blank for part, blank in zip(parts, (*blanks, ""), strict=True))
            hint = max(phrase.split(" ")[:-1], key=len)
            found[hint] = (*found.get(hint, ()), phrase)
    return found


def has_odd_words(piece: Piece, _: float) -> bool:
    """The mean length of words is outside `WORD_LENGTHS`."""
    mean = sum(map(len, piece.words)) / max(1, len(piece.words))
    return not WORD_LENGTHS[0] <= mean <= WORD_LENGTHS[1]


def has_symbols(piece: Piece, most: float) -> bool:
    """More than `most` hash signs or ellipses for a word."""
    text = piece.text
    return max(text.count("#"), text.count("...") + text.count("…")) > most * len(piece.words)


def has_few_letters(piece: Piece, least: float) -> bool:
    """Less than the share `least` of the words has a letter."""
    return sum(_LETTER.search(word) is not None for word in piece.words) < least * len(piece.words)


def has_few_stop_words(piece: Piece, least: float) -> bool:
    """Fewer than `least` of the ten commonest words of Persian."""
    return len(STOP_WORDS.intersection(piece.words)) < least


def has_open_lines(piece: Piece, least: float) -> bool:
    """Less than the share `least` of the lines ends like a sentence; verse does so."""
    lines = [line.rstrip() for line in piece.text.split("\n") if not line.isspace() and line]
    return sum(line.endswith(LINE_ENDS) for line in lines) < least * len(lines)


def has_many_lines(piece: Piece, most: float) -> bool:
    """More line ends than `most` for a word: lists and menus, but also verse."""
    return piece.text.count("\n") > most * len(piece.words)


def has_empty_turn(piece: Piece, _: float) -> bool:
    """A turn in which nothing is said."""
    return not piece.turns or any(not said.strip() for _, said in piece.turns)


def has_bad_roles(piece: Piece, _: float) -> bool:
    """Turns that do not alternate, a system message that is not first, or no answer at the end."""
    roles = [role for role, _ in piece.turns]
    if roles[:1] == ["system"]:
        del roles[0]
    return len(roles) % 2 == 1 or any(role != ("user", "assistant")[place % 2] for place, role in enumerate(roles))


def repeats_turns(piece: Piece, _: float) -> bool:
    """Somebody says the same twice, or an answer repeats its question."""
    said = [text.strip() for role, text in piece.turns if role != "system"]
    return len(set(said)) < len(said)


def is_cut_off(piece: Piece, _: float) -> bool:
    """The last answer stops in the middle: an open code block, or long prose whose last sentence has no end."""
    last = piece.turns[-1][1].rstrip() if piece.turns else ""
    if last.count("```") % 2:
        return True
    if len(last) < LONG_ANSWER or len(_STOPS.findall(last)) < 2:
        return False
    tail = last.rsplit("\n", 1)[-1]
    return (last[-1].isalpha() or last[-1] in "،,؛(«-") and len(tail.split()) > 2 and not tail.startswith(("- ", "* "))
