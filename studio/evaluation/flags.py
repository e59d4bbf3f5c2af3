"""What stands out about an answer by measure alone: it repeats itself, is not Persian, or breaks half-spaces."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from studio.data.persian.protected import MASK, protect
from studio.data.script import count_letters
from studio.evaluation.generation import repetition
from studio.evaluation.half_spaces import broken_half_spaces

Kind = Literal["repetition", "language", "half_spaces"]
REPETITION = 0.2
"""rep-4 above which an answer repeats itself: 10 of 3,889 answers that students wrote do, lists and a joke."""
PERSIAN = 0.5
"""Least share of Persian letters in an answer to a Persian question. Of 4,297 such answers by students 286 have less;
without the questions in which `_ASKED_FOR` finds a word, 81: formulas, bare code and lists of English names."""
LEAST_LETTERS = 12
"""A name in Latin letters is no answer in another language."""
EXAMPLES = 3
_ASKED_FOR = re.compile(
    "(?<![\\w\u200c])(?:ترجمه|برگردان|زبان|گویش|انگلیسی|فرانسوی|آلمانی|عربی|اسپانیایی|ایتالیایی|ترکی|کد|پایتون)"
    "(?:ی|ها|های)?(?![\\w])"
)
"""Words of a question whose answer may well be in other letters."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One thing that stands out.

    `value` is rep-4 for ``repetition``, the share of Arabic-script letters for ``language``, and a count for
    ``half_spaces``, whose `examples` are the first few places as they are written.
    """

    kind: Kind
    value: float
    examples: tuple[str, ...] = ()


@lru_cache(maxsize=512)  # a page asks again with every token of the columns that still write
def flags(question: str, answer: str) -> tuple[Flag, ...]:
    """What stands out about `answer`; code, addresses and tags in it are looked at by none of the rules."""
    found: list[Flag] = []
    plain = _prose(answer)
    if (share := repetition(plain)) > REPETITION:
        found.append(Flag("repetition", share))
    letters = count_letters([plain])
    if letters.total >= LEAST_LETTERS and letters.share < PERSIAN and _wants_persian(question):
        found.append(Flag("language", letters.share))
    if broken := broken_half_spaces(answer):
        examples = dict.fromkeys(each.written for each in broken)
        found.append(Flag("half_spaces", len(broken), tuple(examples)[:EXAMPLES]))
    return tuple(found)


def _wants_persian(question: str) -> bool:
    return count_letters([_prose(question)]).share >= PERSIAN and _ASKED_FOR.search(question) is None


def _prose(text: str) -> str:
    return protect(text)[0].replace(MASK, " ")
