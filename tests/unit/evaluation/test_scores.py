"""Figures and differences with their intervals, against sacrebleu and against what they claim to cover."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import sacrebleu

from studio.errors import StudioError
from studio.evaluation.intervals import wilson
from studio.evaluation.results import Item
from studio.evaluation.scores import difference, score, signature

SAID = ["باران آرام می‌بارد", "گربه زیر درخت خوابید", "او به خانه رفت", "هوا سرد است"]
WANTED = ["باران آرام روی برگ‌ها می‌بارد", "گربه زیر درخت سیب خوابید", "او به مدرسه رفت", "امروز هوا سرد است"]


def judged(values: Sequence[float]) -> list[Item]:
    return [Item(f"t/{number}", f"h{number}", float(value), "", "") for number, value in enumerate(values)]


def written(said: Sequence[str], wanted: Sequence[str] = WANTED) -> list[Item]:
    return [
        Item(f"t/{number}", f"h{number}", None, ref, one)
        for number, (one, ref) in enumerate(zip(said, wanted, strict=True))
    ]


def test_a_share_has_wilsons_interval() -> None:
    found = score(judged([1, 1, 1, 0]), "acc")
    assert (found.value, found.items) == (0.75, 4)
    assert (found.low, found.high) == wilson(3, 4)


def test_graded_values_have_a_bootstrap_interval_about_their_mean() -> None:
    values = np.random.default_rng(1).uniform(0, 1, 200)
    found = score(judged(values.tolist()), "rougeL")
    half = 1.96 * values.std() / 200**0.5
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.25 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.25 * half)


@pytest.mark.parametrize(("metric", "whole"), [("bleu", sacrebleu.corpus_bleu), ("chrf", sacrebleu.corpus_chrf)])
def test_bleu_and_chrf_are_sacrebleus(metric: str, whole: object) -> None:
    found = score(written(SAID), metric)
    assert callable(whole)
    assert found.value == pytest.approx(whole(SAID, [WANTED]).score)
    assert found.low <= found.value <= found.high
    assert "version:" in (signature(metric) or "")


def test_no_items_have_no_figure() -> None:
    with pytest.raises(StudioError, match=r"evaluation\.no_items"):
        score([], "acc")


def test_the_same_answers_show_no_difference() -> None:
    found = difference(judged([1, 0, 1, 1]), judged([1, 0, 1, 1]), "acc")
    assert (found.difference, found.low, found.high, found.shown) == (0, 0, 0, False)


def test_pairing_shows_what_two_separate_intervals_hide() -> None:
    """The second model gets the same items right and twelve more of 200: small, but never the other way."""
    before = [1.0] * 100 + [0.0] * 100
    after = [1.0] * 112 + [0.0] * 88
    found = difference(judged(before), judged(after), "acc")
    assert found.difference == pytest.approx(0.06)
    assert found.shown
    assert 0.02 < found.low < 0.06 < found.high < 0.11
    first, second = score(judged(before), "acc"), score(judged(after), "acc")
    assert second.low < first.high, "unpaired, the intervals overlap"


def test_a_difference_of_chrf_is_that_of_the_figures() -> None:
    better = [SAID[0], WANTED[1], WANTED[2], WANTED[3]]
    found = difference(written(SAID), written(better), "chrf")
    assert found.difference == pytest.approx(score(written(better), "chrf").value - score(written(SAID), "chrf").value)
    assert found.low <= found.difference <= found.high


def test_only_questions_that_both_answered_count() -> None:
    found = difference(judged([1, 0, 1, 1]), judged([1, 1]), "acc")
    assert (found.items, found.difference) == (2, 0.5)
    others = [Item(item.id, "other", item.value, "", "") for item in judged([1, 1])]
    with pytest.raises(StudioError, match=r"evaluation\.other_items"):
        difference(judged([1, 1]), others, "acc")


def test_an_interval_covers_nineteen_times_of_twenty() -> None:
    """The true difference is 0.1; of 200 draws of 100 items the 95% interval must hold it nearly always."""
    drawn = np.random.default_rng(5)
    covered = 0
    for _ in range(200):
        hard = drawn.uniform(0, 1, 100)
        before, after = (hard < 0.5).astype(float), (hard < 0.6).astype(float)
        flips = drawn.uniform(0, 1, 100) < 0.1
        after = np.where(flips, drawn.integers(0, 2, 100), after)
        before = np.where(flips, drawn.integers(0, 2, 100), before)
        found = difference(judged(before.tolist()), judged(after.tolist()), "acc")
        covered += found.low <= 0.09 <= found.high
    assert 178 <= covered <= 199
