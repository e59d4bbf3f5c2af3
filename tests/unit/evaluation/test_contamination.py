"""Items that stand in training texts are found, however they are written there, and others are not."""

from __future__ import annotations

from studio.evaluation.contamination import contaminated

QUESTION = "سرایندهٔ شاهنامه و داستان رستم و سهراب چه کسی است؟"
LONG = " ".join(f"واژه{number}" for number in range(20))


def test_an_item_is_found_in_other_spelling() -> None:
    texts = ["چیز دیگر", "پرسش: سرايندهٔ شاهنامه  و داستان «رستم و سهراب»، چه كسي است؟ پاسخ: فردوسی"]
    assert contaminated([QUESTION, "پایتخت ایران کدام شهر است؟"], texts) == [True, False]


def test_thirteen_words_of_a_long_item_are_enough() -> None:
    words = LONG.split()
    assert contaminated([LONG], [" ".join(words[:13])]) == [True]
    assert contaminated([LONG], [" ".join(words[:12])]) == [False]


def test_a_few_words_are_met_by_chance_and_do_not_count() -> None:
    assert contaminated(["این چه رنگی است؟"], ["بگو این چه رنگی است؟"]) == [False]


def test_two_items_that_begin_alike_are_told_apart() -> None:
    one, other = "او هر روز صبح زود به باغ می‌رود", "او هر روز صبح زود به شهر می‌رود"
    assert contaminated([one, other], [f"گفت: {other}."]) == [False, True]
