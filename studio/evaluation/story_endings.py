"""Which sentence goes on: four sentences, one of which continues a held-out story of the studio.

The idea of StoryCloze (Mostafazadeh et al. 2016), made from the thirty bilingual stories that no recipe trains on; the
other three sentences stand at the same place in other stories. The Persian and the English items are the same ones, so
their difference is one of language.
"""

from __future__ import annotations

import random
import re
from typing import Any

from studio.data.starters import story_pairs

SEED = 3407
CHOICES = 4
_SENTENCE_END = re.compile(r"(?<=[.!?؟…»\"”])\s+")


def story_endings(language: str) -> list[dict[str, Any]]:
    """Two items from each story: its middle and its end.

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
        for share in (0.5, 1.0):
            others = drawn.sample([other for other in range(len(stories)) if other != number], CHOICES - 1)
            answer = drawn.randrange(CHOICES)
            own = story[side]
            at = max(1, round(share * len(own)) - 1)
            choices = [_at(stories[other][side], share) for other in others]
            choices.insert(answer, own[at])
            items.append({"context": " ".join(own[:at]), "choices": choices, "answer": answer})
    return items


def _at(sentences: list[str], share: float) -> str:
    return sentences[max(1, round(share * len(sentences)) - 1)]


def _sentences(text: str) -> list[str]:
    """Cut where a sentence ends; a short quotation may stay with what follows, for both languages alike."""
    return [part for part in _SENTENCE_END.split(" ".join(text.split())) if part]
