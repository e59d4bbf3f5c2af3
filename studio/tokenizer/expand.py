"""Vocabulary expansion from end to end: count a corpus, learn the pieces it lacks, write the extended tokenizer."""

from __future__ import annotations

import gc
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.tokenizer.candidates import candidate_rule
from studio.tokenizer.continued import Learned, continue_bpe
from studio.tokenizer.corpus import Part, blocks
from studio.tokenizer.counting import Counts, count_words, rarest_out
from studio.tokenizer.cutting import count_letters, cut_words
from studio.tokenizer.export import Extension, extend
from studio.tokenizer.families import Family
from studio.tokenizer.scripts import JOINER, Script
from studio.tokenizer.vocabulary import Vocabulary, hash_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LEAST_LETTER = 5
"""A missing letter becomes a piece when it stands this often in the corpus: a slip of the keyboard does not."""

MOST_TYPES = 600_000
"""Unique words that are merged; beyond it the rarest are left out, which the curve then does not count."""


@dataclass(frozen=True, slots=True)
class Watch:
    """How long work is watched: both callables are asked often."""

    progress: Progress
    stopping: Stopping

    def tick(self, share: float, note: str) -> None:
        """Tell the share done.

        Raises:
            StudioError: ``job.stopped`` once somebody asked for it.
        """
        if self.stopping():
            raise StudioError("job.stopped")
        self.progress(min(share, 1.0), note)


def count_corpus(parts: Sequence[Part], script: Script, watch: Watch, *, workers: int | None = None) -> Counts:
    """Count the words of a corpus; a third of the whole work.

    Raises:
        StudioError: ``vocabulary.no_target``, ``data.*`` or ``job.stopped``.
    """
    size = max(1, sum(part.size for part in parts))
    counts = count_words(
        blocks(parts),
        script.found.pattern,
        workers=workers,
        tick=lambda done: watch.tick(0.3 * done / max(done, size), "progress.vocabulary.count"),
    )
    if not counts.types:
        raise StudioError("vocabulary.no_target", script=script.name)
    return counts


def learn(family: Family, counts: Counts, size: int, script: Script, watch: Watch, *, reference: str) -> Vocabulary:
    """Learn `size` new pieces for a tokenizer by continued BPE, or all there are if fewer can be learned.

    Args:
        family: The base tokenizer.
        counts: Words of the corpus.
        size: Most pieces, missing letters included.
        script: Every new piece holds one of its characters.
        watch: Told of progress.
        reference: What the base is called in vocabulary.json.

    Raises:
        StudioError: ``job.stopped``.
    """
    types = rarest_out(counts.types, MOST_TYPES)
    known = {*family.vocabulary, *(token["content"] for token in family.definition.get("added_tokens") or [])}
    letters = _missing_letters(family, types, script)
    lettered = Extension(list(letters), [])
    tokenizer = as_tokenizer(family, lettered)
    words = cut_words(tokenizer, types, tick=lambda share: watch.tick(0.3 + 0.3 * share, "progress.vocabulary.cut"))
    names = {place: piece for piece, place in tokenizer.get_vocab(with_added_tokens=True).items()}
    with _uncollected():
        learned = continue_bpe(
            words,
            size,
            first=family.rows + len(letters),
            spell=names.__getitem__,
            known=known.__contains__,
            keep=candidate_rule(family.kind, script),
            every_split=family.kind == "byte_fallback",
            beside=[_saving(each) for each in letters.items()],
            tick=lambda made: watch.tick(0.6 + 0.4 * made / size, "progress.vocabulary.merge"),
        )
    counted, curve = _in_order(letters, learned)
    return Vocabulary(
        base=reference,
        base_hash=hash_of(family.folder),
        kind=family.kind,
        script=script.name,
        first=family.rows,
        base_vocabulary=family.rows,
        base_merges=len(family.definition["model"]["merges"]),
        base_model_bytes=family.model_file.stat().st_size if family.model_file else 0,
        letters=lettered.letters[: len(learned.beside)],
        merges=_spelt(learned, names),
        places=learned.beside,
        counts=counted,
        curve=curve,
        words=sum(count for count in types.values()),
    )


def as_tokenizer(family: Family, extension: Extension) -> Tokenizer:
    """The extended tokenizer, ready to use."""
    from tokenizers import Tokenizer

    if not len(extension):
        tokenizer = Tokenizer.from_str(json.dumps(family.definition))
    else:
        tokenizer = Tokenizer.from_str(json.dumps(extend(family.definition, extension)))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _missing_letters(family: Family, types: dict[bytes, int], script: Script) -> dict[str, int]:
    """Characters of the script that cost their bytes today, those that save most first; byte-level has all 256."""
    if family.kind == "byte_level":
        return {}
    known = family.vocabulary
    missing = [letter for letter in (*script.characters, JOINER) if letter not in known]
    found: Counter[str] = count_letters(types, missing)
    ordered = sorted(found.items(), key=lambda each: (-_saving(each), each[0]))
    return {letter: count for letter, count in ordered if count >= LEAST_LETTER}


def _saving(letter: tuple[str, int]) -> int:
    """Tokens that a letter with its count saves: all bytes but one wherever it stands."""
    return letter[1] * (len(letter[0].encode("utf8")) - 1)


def _in_order(letters: dict[str, int], learned: Learned) -> tuple[list[int], list[int]]:
    """Counts of all pieces in their order, and the tokens after each."""
    counts = list(learned.counts)
    savings = [before - after for before, after in pairwise(learned.curve)]
    for place, letter in zip(learned.beside, letters.items(), strict=False):
        counts.insert(place, letter[1])
        savings.insert(place, _saving(letter))
    # The words were cut with every letter: before one is bought, each place where it stands costs its bytes.
    before = learned.curve[0] + sum(map(_saving, letters.items()))
    return counts, [before, *(before - saved for saved in accumulate(savings))]


def _spelt(learned: Learned, names: dict[int, str]) -> list[tuple[str, str]]:
    spelt: list[tuple[str, str]] = []
    made = dict(names)
    for place, (left, right) in enumerate(learned.merges):
        spelt.append((made[left], made[right]))
        made[learned.first + place] = made[left] + made[right]
    return spelt


@contextmanager
def _uncollected() -> Iterator[None]:
    # Millions of small lists and no cycles: the collector would walk over them for a fifth of the time.
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
