"""Starter tokenizers expanded by the studio's own stories."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.data.starters import story_pairs
from studio.models.files import TOKENIZER
from studio.tokenizer.counting import blocks_of, count_words
from studio.tokenizer.expand import Watch, learn
from studio.tokenizer.export import extend
from studio.tokenizer.families import read_family
from studio.tokenizer.scripts import find_script
from studio.tokenizer.vocabulary import Vocabulary, write_vocabulary
from tests.starter import CACHE, fetch_starter

STARTERS = ("smollm2-135m", "gemma3-270m")
SIZE = 600


def base_of_starter(name: str) -> Path:
    """Folder of a starter model; the large one is not fetched for its tokenizer alone."""
    if name != "smollm2-135m" and not (CACHE.models / f"starter--{name}" / TOKENIZER).is_file():
        pytest.skip("not fetched yet; the tests of the starter models do")
    return fetch_starter(name)


def expand(base: Path, out: Path, size: int = SIZE) -> Vocabulary:
    """Learn `size` pieces from the Persian stories and write the extended tokenizer to `out`."""
    family, script = read_family(base), find_script()
    corpus = [line for each in story_pairs() for line in each.fa.splitlines()]
    counts = count_words(blocks_of(corpus), script.found.pattern)
    watch = Watch(lambda share, note: None, lambda: False)
    found = learn(family, counts, size, script, watch, reference=f"local:{base}")
    write_vocabulary(family, found, out, extend(family.definition, found.extension))
    return found
