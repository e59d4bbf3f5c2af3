"""A sentence cut by the first k pieces must be what the tokenizer with k pieces makes of it, at every size."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from studio.data.starters import story_pairs
from studio.tokenizer.corpus import Part
from studio.tokenizer.expand import Watch
from studio.tokenizer.export import extend
from studio.tokenizer.making import make
from studio.tokenizer.prefix import Prefixes
from studio.tokenizer.report import load
from studio.tokenizer.vocabulary import Vocabulary, base_of, read_vocabulary
from tests.unit.tokenizer.families import CORPUS, FAMILIES, build

STORIES = [line for pair in story_pairs() for line in pair.fa.splitlines()]
ODD = ("", " ", "  دو  فاصله  ", "<|im_start|>سلام<|im_end|>", "ژژژژژ چ‌چ", "می‌روم به API و ۱۲۳", "\tسطر\nنو", "ێۆ🙂")
LINES = [*STORIES, *CORPUS, *ODD, *(line for pair in story_pairs()[:2] for line in pair.en.splitlines())]
SIZES = (0, 1, 5, 33, 40, 150, 331, 600)


@pytest.fixture(scope="module", params=FAMILIES)
def learned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    text = folder / "text.txt"
    text.write_text("\n".join(STORIES), encoding="utf8")
    quiet = Watch(lambda share, note: None, lambda: False)
    model = build(request.param, folder / "model")
    make(model, [Part(text, False)], 600, folder / "out", reference="x", english=[], watch=quiet, workers=1)
    return folder / "out"


def test_every_size_cuts_as_its_own_tokenizer(learned: Path) -> None:
    found = read_vocabulary(learned)
    base = base_of(learned, found)
    prefixes = Prefixes(load(base.definition), found)
    counts = prefixes.counts(LINES)
    assert len(counts) == found.added + 1
    for size in SIZES:
        real = load(extend(base.definition, found.extension.first(size)))
        cut = [real.encode(line, add_special_tokens=False).ids for line in LINES]
        assert [prefixes.cut(line, size) for line in LINES] == cut, size
        assert counts[size] == sum(map(len, cut)), size


@pytest.mark.parametrize("name", ["gpt2", "llama2"])
def test_overlapping_pieces_come_in_their_order(name: str, tmp_path: Path) -> None:
    """Words of three letters only: pieces overlap, and one that was learned late completes one learned early."""
    chance = random.Random(1)
    words = ["".join(chance.choices("ابپ", k=chance.randint(2, 14))) for _ in range(3000)]
    text = tmp_path / "text.txt"
    text.write_text("\n".join(words[:2000]), encoding="utf8")
    quiet = Watch(lambda share, note: None, lambda: False)
    make(build(name, tmp_path / "model"), [Part(text, False)], 400, tmp_path / "out", reference="x", english=[],
         watch=quiet, workers=1)  # fmt: skip
    found = read_vocabulary(tmp_path / "out")
    base = base_of(tmp_path / "out", found)
    prefixes = Prefixes(load(base.definition), found)
    counts = prefixes.counts(words)
    for size in range(0, found.added + 1, 25):
        real = load(extend(base.definition, found.extension.first(size)))
        cut = [each.ids for each in real.encode_batch(words, add_special_tokens=False)]
        assert [prefixes.cut(word, size) for word in words] == cut, size
        assert counts[size] == sum(map(len, cut)), size


class Chunk:
    """Stands for an encoding of one chunk that the base cuts into these tokens."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.ids = list(range(len(tokens)))
        self.word_ids = [0] * len(tokens)

    def encode(self, text: str, add_special_tokens: bool) -> Chunk:
        return self

    def encode_batch(self, texts: list[str], add_special_tokens: bool) -> list[Chunk]:
        return [self]


def of_merges(chunk: Chunk, *merges: tuple[str, str]) -> Prefixes:
    found = Vocabulary(
        base="x", base_hash="", kind="byte_fallback", script="arabic", first=100, base_vocabulary=100, base_merges=0,
        letters=[], merges=list(merges), counts=[9] * len(merges), curve=[9] * (len(merges) + 1), words=1,
    )  # fmt: skip
    return Prefixes(chunk, found)  # type: ignore[arg-type]


def test_where_any_split_may_merge_the_learned_one_goes_first() -> None:
    chunk = Chunk("ab", "a", "ba")
    assert of_merges(chunk, ("ab", "a")).cut("", 1) == [100, 2]
    assert of_merges(chunk, ("a", "ba")).cut("", 1) == [0, 100]


def test_an_early_piece_completed_by_a_late_one_counts_from_the_late_one_on() -> None:
    found = of_merges(Chunk("a", "b", "c"), ("ab", "c"), ("b", "c"))
    assert [found.cut("", size) for size in (0, 1, 2)] == [[0, 1, 2], [0, 1, 2], [100]]
    assert found.counts([""]) == [3, 3, 1]


def test_pieces_keep_the_sentence_and_mark_what_is_new(learned: Path) -> None:
    found = read_vocabulary(learned)
    prefixes = Prefixes(load(base_of(learned, found).definition), found)
    sentence = "کتاب‌ها را می‌خوانم."
    before, after = prefixes.pieces(sentence, 0), prefixes.pieces(sentence, found.added)
    assert not any(new for _, new in before)
    assert any(new for _, new in after)
    assert len(after) < len(before)
    new = [piece for piece, marked in after if marked]
    assert all(piece.id >= found.first and piece.whole for piece in new)
    assert "".join(piece.text for piece, _ in after if piece.whole) in sentence
    assert [piece.id for piece, _ in after] == prefixes.cut(sentence, found.added)
