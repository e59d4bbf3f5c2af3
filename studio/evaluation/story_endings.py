"""Which sentence ends a story: four sentences, one of which ends this held-out story of the studio and three others.

The idea of StoryCloze (Mostafazadeh et al. 2016), made from the thirty bilingual stories that no recipe trains on. The
Persian and the English items are the same ones, so their difference is one of language.
"""

from __future__ import annotations

import random
import re
from typing import Any

from studio.data.starters import story_pairs

SEED = 3407
CHOICES = 4
BEFORE = 2
"""Sentences read before the choice. With whole stories, and two items of each, Persian alone took 226 s on 2 cores."""
_SENTENCE_END = re.compile(r"(?<=[.!?؟…»\"”])\s+")


def story_endings(language: str) -> list[dict[str, Any]]:
    """An item from each story: its last sentence after the two before it.

    Args:
        language: ``fa`` or ``en``.

    Returns:
        ``context``, four ``choices``, and ``answer``, the place of the right one; the same places in both languages.
    """
    stories = [[_sentences(pair.fa), _sentences(pair.en)] for pair in story_pairs()]
    side = 0 if language == "fa" else 1
    drawn = random.Random(SEED)
    items = []
    for number, story in enumerate(stories):
        others = drawn.sample([other for other in range(len(stories)) if other != number], CHOICES - 1)
        answer = drawn.randrange(CHOICES)
        own = story[side]
        choices = [stories[other][side][-1] for other in others]
        choices.insert(answer, own[-1])
        items.append({"context": " ".join(own[-1 - BEFORE : -1]), "choices": choices, "answer": answer})
    return items


def first_sentences(text: str, count: int) -> str:
    """The beginning of a text."""
    return " ".join(_sentences(text)[:count])


def _sentences(text: str) -> list[str]:
    """Cut where a sentence ends; a short quotation may stay with what follows, for both languages alike."""
    return [part for part in _SENTENCE_END.split(" ".join(text.split())) if part]
