"""How a model writes, without a judge: does it repeat itself, is it Persian, does it recite its training texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from studio.data.script import persian_share

RUN = 30
"""Characters in a row that an answer must have in common with a training text to count as recited (issue 5): five or
six words. Few set phrases are as long («با سلام و احترام، به استحضار می‌رساند» has 37); those count, too."""


@dataclass(frozen=True, slots=True)
class Quality:
    """One answer.

    Attributes:
        characters: Its length.
        persian: Share of Arabic-script letters among its letters; 0 for an answer without a letter.
        repetition: rep-4, see `repetition`.
        recited: Whether `RUN` characters in a row stand in a training text as well.
    """

    characters: int
    persian: float
    repetition: float
    recited: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """All answers: means of length, Persian share and rep-4, and how many are recited or empty."""

    answers: int
    characters: float
    persian: float
    repetition: float
    recited: int
    empty: int


def repetition(text: str) -> float:
    """rep-4: the share of runs of four words that stood in `text` before, 0 for fewer than four words.

    ``1 − unique / all``, as seq-rep-4 of Welleck et al. (arXiv 1908.04319), on words as ``str.split`` has them.
    """
    words = text.split()
    runs = [tuple(words[start : start + 4]) for start in range(len(words) - 3)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def recited(answers: Sequence[str], texts: Iterable[str], run: int = RUN) -> list[bool]:
    """For each answer, whether `run` characters in a row of it stand in one of `texts`; white space counts once.

    Only runs of the answers are held in memory; `texts` pass by once, however many they are.
    """
    owners: dict[str, set[int]] = {}
    # A run of 30 holds one of a text's every 15 characters whole: only where those are met is each start looked at.
    step, met = (run + 1) // 2, set()
    for number, answer in enumerate(answers):
        plain = _plain(answer)
        for start in range(len(plain) - run + 1):
            owners.setdefault(plain[start : start + run], set()).add(number)
            met.add(plain[start : start + step])
            met.add(plain[start + run - step : start + run])
    found: set[int] = set()
    for text in texts:
        plain = _plain(text)
        for block in range(0, len(plain) - step + 1, step):
            if plain[block : block + step] in met:
                for start in range(max(0, block + step - run), min(block, len(plain) - run) + 1):
                    found |= owners.get(plain[start : start + run], set())
    return [number in found for number in range(len(answers))]


def judge(answers: Sequence[str], texts: Iterable[str]) -> list[Quality]:
    """Measure `answers` by themselves and against the training `texts`."""
    return [
        Quality(len(answer.strip()), persian_share(answer), repetition(answer), copied)
        for answer, copied in zip(answers, recited(answers, texts), strict=True)
    ]


def summarise(found: Sequence[Quality]) -> Summary:
    """Means and counts over all answers; an empty answer counts with a Persian share of 0.

    Raises:
        ValueError: Without an answer.
    """
    if not found:
        raise ValueError("no answers")
    count = len(found)
    return Summary(
        answers=count,
        characters=sum(each.characters for each in found) / count,
        persian=sum(each.persian for each in found) / count,
        repetition=sum(each.repetition for each in found) / count,
        recited=sum(each.recited for each in found),
        empty=sum(not each.characters for each in found),
    )


def _plain(text: str) -> str:
    return " ".join(text.split())
