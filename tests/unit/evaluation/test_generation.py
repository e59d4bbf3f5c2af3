"""Repetition, Persian share and recitation of answers, against values counted by hand."""

from __future__ import annotations

import random

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


def test_looking_at_every_fifteenth_place_finds_what_looking_everywhere_does() -> None:
    drawn = random.Random(3407)

    def some(length: int) -> str:
        return "".join(drawn.choice("ابپت ") for _ in range(length))

    for run in (2, 3, 4, 5):
        answers, texts = [some(drawn.randrange(20)) for _ in range(40)], [some(drawn.randrange(30)) for _ in range(9)]
        plain = [" ".join(text.split()) for text in texts]
        wanted = [
            any(said[at : at + run] in text for text in plain for at in range(len(said) - run + 1))
            for said in (" ".join(answer.split()) for answer in answers)
        ]
        assert recited(answers, texts, run) == wanted
        assert {True, False} == set(wanted)
