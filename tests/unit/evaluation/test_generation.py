"""Repetition, Persian share and recitation of answers, against values counted by hand."""

from __future__ import annotations

import pytest

from studio.evaluation.generation import RUN, judge, recited, repetition, summarise

STORY = "روزی روزگاری در دهی کنار رود، پیرمردی باغبان با نوه‌اش زندگی می‌کرد."


def test_repetition_is_the_share_of_runs_that_came_before() -> None:
    assert repetition("یک دو سه") == 0
    assert repetition("یک دو سه چهار پنج") == 0
    # runs of «یک دو سه چهار یک دو سه چهار»: five, of which the first comes back once
    assert repetition("یک دو سه چهار یک دو سه چهار") == pytest.approx(1 / 5)
    assert repetition("بله " * 40) == pytest.approx(1 - 1 / 37)


def test_an_answer_that_shares_thirty_characters_is_recited() -> None:
    part = STORY[5 : 5 + RUN]
    answers = [f"می‌دانی؟«{part}", f"می‌دانی؟«{part[:-1]}", "", part.replace(" ", "\n", 1)]
    assert recited(answers, ["چیز دیگر", STORY]) == [True, False, False, True]


def test_every_answer_that_shares_a_run_is_found() -> None:
    assert recited([STORY, STORY + " و", "کوتاه"], [STORY]) == [True, True, False]


def test_a_summary_counts_an_empty_answer_as_not_persian() -> None:
    found = judge(["سلام دنیا", "hello سلام", ""], [STORY])
    assert [round(each.persian, 3) for each in found] == [1.0, round(4 / 9, 3), 0.0]
    summary = summarise(found)
    assert (summary.answers, summary.empty, summary.recited) == (3, 1, 0)
    assert summary.persian == pytest.approx((1 + 4 / 9) / 3)
    assert summary.characters == pytest.approx((9 + 10) / 3)


def test_no_answers_is_no_summary() -> None:
    with pytest.raises(ValueError, match="no answers"):
        summarise([])
