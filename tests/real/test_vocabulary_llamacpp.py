"""The real llama.cpp cuts text by an extended vocabulary into the same ids."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from studio.data.starters import story_pairs
from studio.models.files import TOKENIZER
from studio.tokenizer.vocabulary import Vocabulary
from tests.real.expanded import STARTERS, base_of_starter, expand
from tests.real.llamacpp import llama_tokens, write_byte_level, write_sentencepiece
from tests.real.texts import awkward_lines
from tests.starter import fetch_gguf
from tests.unit.tokenizer.families import BYTE_FALLBACK, CHECK, CORPUS, ENGLISH, build

SMOLLM = "855059429035d75a914d1eda9f10a876752e281a054a7a3d421ef0533e5b6249"
"""What llama.cpp's converter knows the splitting of SmolLM by."""

STORIES = [line for pair in story_pairs() for text in (pair.fa, pair.en) for line in text.splitlines() if line]
SPACED = ["دو  فاصله   و سه", "a  b   c", "پایان.    آغاز", "x     کتاب"]
LINES = [*awkward_lines(), *STORIES, *CORPUS[:13], *ENGLISH, *SPACED]


def differences(folder: Path, gguf: Path, lines: Sequence[str], found: Vocabulary) -> list[str]:
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    ours = [each.ids for each in tokenizer.encode_batch(lines, add_special_tokens=False)]
    used = {token for ids in ours for token in ids if token >= found.first}
    assert len(used) > found.added / 2, "the lines say nothing of the new pieces"
    theirs = llama_tokens(gguf, lines)
    return [line for line, one, other in zip(lines, ours, theirs, strict=True) if one != other]


@pytest.mark.parametrize("name", STARTERS)
def test_starters(name: str, tmp_path: Path) -> None:
    base, out, gguf = base_of_starter(name), tmp_path / name, tmp_path / "tokenizer.gguf"
    found = expand(base, out)
    if name == "smollm2-135m":
        write_byte_level(out, gguf, "smollm")
    else:
        write_sentencepiece(out, gguf, prefix=False, base=fetch_gguf(name))
    assert len(LINES) > 500
    assert differences(out, gguf, LINES, found) == []


@pytest.mark.parametrize("name", BYTE_FALLBACK)
def test_tokenizer_models(name: str, tmp_path: Path) -> None:
    """The scores and placeholders of an extended tokenizer.model, read as the converter reads them."""
    found = expand(build(name, tmp_path / "base"), tmp_path / "out")
    gguf = write_sentencepiece(tmp_path / "out", tmp_path / "tokenizer.gguf", prefix=name != "gemma")
    assert differences(tmp_path / "out", gguf, LINES, found) == []


def test_the_converter_knows_the_splitting_again(tmp_path: Path) -> None:
    base = base_of_starter("smollm2-135m")
    expand(base, tmp_path / "out")
    for folder in (base, tmp_path / "out"):
        ids = Tokenizer.from_file(str(folder / TOKENIZER)).encode(CHECK).ids
        assert hashlib.sha256(str(ids).encode()).hexdigest() == SMOLLM
