"""What papers did: the shape of their vocabularies, and that a comparison at equal size is one."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import pytest
import sentencepiece
from tokenizers import Tokenizer

from studio.tokenizer.apart import plain_words, train_bytes, train_sentencepiece
from studio.tokenizer.counting import blocks_of, count_words
from studio.tokenizer.families import read_family
from studio.tokenizer.report import load
from studio.tokenizer.rivals import append_apart
from studio.tokenizer.scripts import find_script
from tests.unit.tokenizer.families import CORPUS, ENGLISH, FAMILIES, build

TEXT = [*CORPUS, *ENGLISH]
SCRIPT = find_script()


def words() -> dict[str, int]:
    return plain_words(count_words(blocks_of(TEXT), "").types)


def test_all_words_count_wherever_they_stand() -> None:
    assert words() == Counter(word for line in TEXT for word in line.split())


def test_words_and_counts_give_the_pieces_that_the_text_gives() -> None:
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT), model_writer=written, model_type="bpe", vocab_size=300, minloglevel=2
    )
    theirs = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
    ours = train_sentencepiece(words(), 300)
    assert set(ours.pieces) == {theirs.id_to_piece(place) for place in range(300)}


def test_a_smaller_training_is_the_beginning_of_a_larger_one() -> None:
    small, large = (train_sentencepiece(words(), size).pieces for size in (200, 350))
    assert (len(small), len(large)) == (200, 350)
    assert set(small) <= set(large[:205]), "equal counts may come in another order"
    assert len(train_sentencepiece(words(), 20).pieces) == 20, "less than the alphabet is its beginning"


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("method", ["independent", "add_tokens"])
def test_new_ids_are_as_many_as_asked_and_follow_the_old(name: str, method: str, tmp_path: Path) -> None:
    family = read_family(build(name, tmp_path / name))
    byte_level = family.kind == "byte_level"
    apart = train_bytes(family, TEXT, 500) if byte_level else train_sentencepiece(words(), 400)
    whole, _ = append_apart(family, apart, SCRIPT, method, reference="x")  # type: ignore[arg-type]
    assert whole.overlap is not None
    new = [piece for piece in apart.pieces if piece not in load(family.definition).get_vocab(True)]
    assert len(new) == round((1 - whole.overlap) * len(apart.pieces)), "the overlap is what the base had"
    if method == "independent":
        assert whole.added == len(new), "in all: the base's and the trained ones, the overlap once"
    record, definition = append_apart(family, apart, SCRIPT, method, reference="x", most=40)  # type: ignore[arg-type]
    old, now = load(family.definition).get_vocab(True), load(definition).get_vocab(True)
    assert record.added == 40 == len(now) - len(old)
    assert {piece: now[piece] for piece in old} == old
    assert sorted(set(now.values()) - set(old.values())) == list(range(family.rows, family.rows + 40))


@pytest.mark.parametrize("name", ["gpt2", "llama2"])
def test_no_merge_makes_a_piece_that_was_left_out(name: str, tmp_path: Path) -> None:
    family = read_family(build(name, tmp_path / name))
    apart = train_bytes(family, TEXT, 500) if name == "gpt2" else train_sentencepiece(words(), 400)
    _, definition = append_apart(family, apart, SCRIPT, "independent", reference="x", most=40)
    tokenizer: Tokenizer = load(definition)
    highest = max(token for line in TEXT for token in tokenizer.encode(line).ids)
    assert family.rows < highest < family.rows + 40
