"""What a vocabulary is worth: the knee, the advice that can be «don't», and what the new rows cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.tokenizer import worth
from studio.tokenizer.vocabulary import Vocabulary

TIED = worth.Shape(hidden=64, rows=1000, tied=True, body=100_000, context=2048)


def made(counts: list[int], *, start: int, letters: int = 0, floor: float = 0.0) -> Vocabulary:
    """A vocabulary whose pieces each save as many tokens as they occur, down to the share `floor` of the tokens."""
    curve = [start]
    for count in counts:
        curve.append(max(curve[-1] - count, int(floor * start)))
    merges = [("a", "b")] * (len(counts) - letters)
    return Vocabulary(
        base="x", base_hash="", kind="byte_fallback", script="arabic", first=10, base_vocabulary=10, base_merges=0,
        letters=["ب"] * letters, merges=merges, counts=counts, curve=curve, words=max(1, start // 4),
    )  # fmt: skip


FALLING = st.lists(st.integers(2, 10_000), min_size=1, max_size=200).map(lambda each: sorted(each, reverse=True))


@given(FALLING)
def test_the_knee_is_the_first_size_with_95_percent_of_the_saving(counts: list[int]) -> None:
    found = made(counts, start=2 * sum(counts))
    knee = worth.knee(found.curve)
    wanted = worth.KNEE * (found.curve[0] - found.curve[-1])
    assert found.curve[0] - found.curve[knee] >= wanted
    assert knee == 0 or found.curve[0] - found.curve[knee - 1] < wanted


def test_the_knee_may_have_exactly_its_share() -> None:
    assert worth.knee(made([95, 5], start=200).curve) == 1
    assert worth.knee(made([94, 6], start=200).curve) == 2
    assert worth.knee([7]) == 0


@given(FALLING, st.floats(1.01, 20))
def test_advice_keeps_to_its_rules(counts: list[int], spread: float) -> None:
    found = made(counts, start=int(spread * sum(counts)) + 1)
    advice = worth.advise(found)
    knee = worth.knee(found.curve)
    assert advice.worth_it == (advice.size > 0)
    if advice.verdict == "little":
        assert worth.saving(found.curve, knee) < worth.LITTLE
    if advice.verdict == "knee":
        assert advice.size == knee
        assert sorted(counts[:knee])[knee // 2] >= worth.ENOUGH or 2 * sum(c < 500 for c in counts[:knee]) <= knee
    if advice.verdict == "frequent":
        assert all(count >= worth.ENOUGH for count in counts[: advice.size])
        assert advice.saving >= worth.LITTLE_OF_FEW
    if advice.worth_it:
        assert advice.saving == worth.saving(found.curve, advice.size)


def test_the_four_verdicts() -> None:
    rich = made([5000] * 100 + [600] * 100, start=1_000_000)
    assert worth.advise(rich) == worth.Advice("knee", worth.knee(rich.curve), pytest.approx(0.5324))
    assert worth.advise(made([5000] * 10, start=1_000_000)).verdict == "little"
    poor = made([900] * 20 + [100] * 300, start=100_000)
    assert worth.advise(poor) == worth.Advice("frequent", 20, pytest.approx(0.18))
    tiny = made([20] * 300, start=10_000)
    assert (worth.advise(tiny).verdict, worth.advise(tiny).size) == ("small_text", 0)
    assert worth.advise(made([600] * 3 + [100] * 300, start=60_000)).verdict == "small_text"


def test_rare_letters_do_not_hide_the_frequent_merges_behind_them() -> None:
    found = made([5, 5, *[900] * 20, *[100] * 300], start=100_000, letters=2)
    assert worth.advise(found).size == 22
    at = worth.figures(found, 22, None)
    assert (at.rarest, at.median, at.below) == (900, 900, 2)


def test_figures_at_a_size() -> None:
    found = made([400, 300, 200], start=2000)
    at = worth.figures(found, 2, TIED)
    assert at.tokens_per_word_before == 4
    assert at.tokens_per_word == 2.6
    assert at.saving == pytest.approx(0.35)
    assert (at.context_words_before, at.context_words) == (512, pytest.approx(2048 / 2.6))
    assert (at.parameters, at.stored_bytes, at.trained_bytes) == (128, 256, 2048)
    assert (at.rarest, at.median, at.below) == (300, 300, 2)
    assert at.training_tokens == -(-500 * 1300 // 300)
    untied = worth.Shape(hidden=64, rows=1000, tied=False, body=None, context=None)
    other = worth.figures(found, 2, untied)
    assert (other.parameters, other.speed, other.context_words) == (256, None, None)
    none = worth.figures(found, 0, None)
    assert (none.saving, none.rarest, none.training_tokens, none.stored_bytes) == (0, 0, 0, None)
    with pytest.raises(ValueError, match="size 4"):
        worth.figures(found, 4, None)


def test_speed_is_the_text_per_token_less_what_the_head_takes() -> None:
    old = 4 * (100_000 + 64 * 1000)
    assert worth.speed_gain(2.0, 500, TIED) == pytest.approx(2 * old / (old + 6 * 64 * 500))
    assert worth.speed_gain(2.0, 0, TIED) == 2


def test_shapes_of_configs() -> None:
    llama = {
        "hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
        "intermediate_size": 1536, "max_position_embeddings": 8192, "tie_word_embeddings": True, "vocab_size": 49152,
    }  # fmt: skip
    found = worth.read_shape(llama, 1)
    assert found is not None
    assert (found.hidden, found.rows, found.tied, found.context) == (576, 49152, True, 8192)
    assert found.body == 30 * (2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536)  # 106 of the model's 134.5 million
    inside = worth.read_shape({"text_config": {"hidden_size": 8, "tie_word_embeddings": False}}, 77)
    assert inside == worth.Shape(8, 77, tied=False, body=None, context=None)
    gpt2 = worth.read_shape({"n_embd": 768, "n_layer": 12, "n_positions": 1024, "vocab_size": 50257}, 1)
    assert gpt2 is not None
    assert (gpt2.body, gpt2.context) == (12 * 12 * 768 * 768, 1024)
    assert worth.read_shape({}, 1) is None
