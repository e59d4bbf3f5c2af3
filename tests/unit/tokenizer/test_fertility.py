from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from studio.models.tokenizer import load_tokenizer
from studio.tokenizer.fertility import Piece, measure_fertility, parity, pieces
from tests.tiny import SENTENCES, tiny_tokenizer

BYTE_LEVEL = tiny_tokenizer().backend_tokenizer


def sentence_piece() -> Tokenizer:
    """Llama-2's kind: a ▁ before every line, bytes for letters it does not know."""
    words = ["<unk>", "▁", *(f"<0x{byte:02X}>" for byte in range(256)), *"سلامیرو\u200ctes", "سل", "▁س", "لا"]
    vocabulary = {word: place for place, word in enumerate(dict.fromkeys(words))}
    tokenizer = Tokenizer(
        models.BPE(vocabulary, [("س", "ل"), ("ل", "ا"), ("▁", "س")], unk_token="<unk>", byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Replace("▁", " ")
    return tokenizer


def cut_words(tokenizer: Tokenizer, line: str) -> int:
    """Words that two or more tokens touch, counted letter by letter."""
    encoding = tokenizer.encode(line, add_special_tokens=False)
    owners: list[set[int]] = [set() for _ in line]
    for place, (start, end) in enumerate(encoding.offsets):
        if encoding.tokens[place] == "▁" and not line[start].isspace():
            continue
        for letter in range(start, end):
            owners[letter].add(place)
    cut = 0
    at = 0
    for word in line.split():
        at = line.index(word, at)
        cut += len(set().union(*owners[at : at + len(word)])) > 1
        at += len(word)
    return cut


@pytest.mark.parametrize("tokenizer", [BYTE_LEVEL, sentence_piece()], ids=["byte level", "sentencepiece"])
def test_figures_agree_with_counting_line_by_line(tokenizer: Tokenizer) -> None:
    lines = [*SENTENCES, "", "   ", "سلام  سلام\u00a0ژ", "\t😀 x", "سلا می‌روم "]
    found = measure_fertility(tokenizer, [line + "\n" for line in lines])
    kept = [line for line in lines if line.strip()]
    assert found.lines == len(kept)
    assert found.words == sum(len(line.split()) for line in kept)
    assert found.characters == sum(map(len, kept))
    assert found.bytes == sum(len(line.encode()) for line in kept)
    assert found.tokens == sum(len(tokenizer.encode(line, add_special_tokens=False).ids) for line in kept)
    assert found.continued == sum(cut_words(tokenizer, line) for line in kept)
    assert found.tokens_per_word == found.tokens / found.words
    assert found.characters_per_token == found.characters / found.tokens
    assert found.bytes_per_token == found.bytes / found.tokens
    assert 0 < found.continued_word_share == found.continued / found.words <= 1


@settings(max_examples=80, deadline=None)
@given(st.text(st.sampled_from("سلامی‌ ژ12abe \t😀é\u0654"), min_size=1, max_size=30))
def test_any_line_is_counted_alike(line: str) -> None:
    for tokenizer in (BYTE_LEVEL, sentence_piece()):
        if line.split():
            assert measure_fertility(tokenizer, [line]).continued == cut_words(tokenizer, line)
        found = pieces(tokenizer, line)
        assert [piece.id for piece in found] == tokenizer.encode(line, add_special_tokens=False).ids
        covered = "".join(piece.text for piece in found if piece.part == piece.parts)
        assert set(line) <= set(covered) | set(" \t")


def test_texts_without_a_word_have_no_fertility() -> None:
    with pytest.raises(ValueError, match="word"):
        measure_fertility(BYTE_LEVEL, ["", " \n"])


def test_batches_do_not_change_the_figures() -> None:
    lines = random.Random(0).choices(SENTENCES, k=12_000)
    whole = measure_fertility(BYTE_LEVEL, iter(lines))
    assert whole.lines == len(lines)
    assert whole.tokens == sum(len(BYTE_LEVEL.encode(line)) for line in lines)


def test_parity_is_the_price_of_the_same_content() -> None:
    persian, english = measure_fertility(BYTE_LEVEL, SENTENCES[:5]), measure_fertility(BYTE_LEVEL, SENTENCES[8:13])
    assert parity(persian, english) == persian.tokens / english.tokens


def test_pieces_of_a_byte_level_tokenizer_show_letters_cut_through() -> None:
    tokenizer = Tokenizer(
        models.BPE({"Ø": 0, "³": 1, "Ġ": 2, "ĠØ": 3, "a": 4, "Ł": 5, "ĺ": 6, "Ģ": 7, "ð": 8}, [("Ġ", "Ø")])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    assert pieces(tokenizer, "a س😀") == [
        Piece(4, "a", 0, 1),
        Piece(3, " س", 1, 3, 1, 2),
        Piece(1, "س", 2, 3, 2, 2),
        Piece(8, "😀", 3, 4, 1, 4),
        Piece(5, "😀", 3, 4, 2, 4),
        Piece(6, "😀", 3, 4, 3, 4),
        Piece(7, "😀", 3, 4, 4, 4),
    ]
    found = pieces(tokenizer, "a س")
    assert [piece.label for piece in found] == ["a", " س 1/2", "س 2/2"]
    assert [piece.whole for piece in found] == [True, False, False]


def test_pieces_of_sentencepiece_show_bytes_and_no_invented_space() -> None:
    found = pieces(sentence_piece(), "ژ سلا")
    assert [piece.label for piece in found] == ["", "ژ 1/2", "ژ 2/2", " ", "سل", "ا"]


def test_trimmed_spaces_are_given_back() -> None:
    from tokenizers import processors

    tokenizer = tiny_tokenizer().backend_tokenizer
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    assert "".join(piece.text for piece in pieces(tokenizer, "Sara goes to the garden")) == "Sara goes to the garden"


def test_pieces_cover_the_sentence(tiny_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_model)
    for sentence in SENTENCES:
        end = 0
        for piece in pieces(tokenizer, sentence):
            assert piece.text == sentence[piece.start : piece.end]
            assert piece.start <= end <= piece.end
            end = piece.end
        assert end == len(sentence)
