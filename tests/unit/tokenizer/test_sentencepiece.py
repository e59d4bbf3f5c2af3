"""tokenizer.model: what is appended, and that SentencePiece opens it."""

from __future__ import annotations

import struct

import pytest
import sentencepiece

from studio.errors import StudioError
from studio.tokenizer.sentencepiece import extend_model, read_pieces, score_below
from tests.unit.tokenizer.families import byte_fallback


def test_reading_agrees_with_sentencepiece() -> None:
    _, model = byte_fallback()
    theirs = sentencepiece.SentencePieceProcessor(model_proto=model)
    for place, piece in enumerate(read_pieces(model)):
        assert (piece.text, piece.score) == (theirs.id_to_piece(place), pytest.approx(theirs.get_score(place)))


def test_new_scores_rank_below_every_ordinary_one_and_placeholders_keep_ids() -> None:
    definition, model = byte_fallback(added=11)
    old = read_pieces(model)
    extended = extend_model(model, len(old) + 13, ["س", "▁س"], definition["added_tokens"])
    assert extended.startswith(model)
    theirs = sentencepiece.SentencePieceProcessor(model_proto=extended)
    assert theirs.get_piece_size() == len(old) + 15
    assert [theirs.piece_to_id(piece) for piece in ("س", "▁س")] == [len(old) + 13, len(old) + 14]
    assert theirs.id_to_piece(len(old) + 10) == "<|placeholder10|>"
    assert theirs.is_control(len(old) + 10)
    assert theirs.is_unused(len(old) + 12)
    ordinary = min(piece.score for piece in old if piece.type == 1)
    assert ordinary > theirs.get_score(len(old) + 13) > theirs.get_score(len(old) + 14)


def test_no_two_scores_are_the_same_below_runs_of_spaces_at_minus_a_thousand_million() -> None:
    _, model = byte_fallback()
    low = model + bytes.fromhex("0a240a1b" + 9 * "e29681" + "15286b6ece1801")
    assert read_pieces(low)[-1].score == -1e9
    pieces = [f"س{number}" for number in range(3000)]
    extended = extend_model(low, len(read_pieces(low)), pieces, [])
    theirs = sentencepiece.SentencePieceProcessor(model_proto=extended)
    scores = [-1e9, *(theirs.get_score(theirs.piece_to_id(piece)) for piece in pieces)]
    assert scores == sorted(set(scores), reverse=True)


@pytest.mark.parametrize("score", [0.0, -0.5, -31740.0, -(2.0**24), -1e9, -(2.0**30), -1.7e9])
def test_the_next_score_is_lower_also_in_float32(score: float) -> None:
    following = score_below(score)
    assert following <= score - 1
    assert following == struct.unpack("<f", struct.pack("<f", following))[0]
    assert following > 1.000001 * score - 2


@pytest.mark.parametrize("data", [b"", b"{}", b"\x0a\xff", b"not a model at all"])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(StudioError) as refused:
        read_pieces(data)
    assert refused.value.code == "vocabulary.broken_model"
