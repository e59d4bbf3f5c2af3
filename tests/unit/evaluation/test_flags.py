"""What stands out about an answer, and what does not."""

from __future__ import annotations

import pytest

from studio.evaluation.flags import flags

QUESTION = "پایتخت ایران کجاست؟"
GOOD = "پایتخت ایران تهران است. این شهر در دامنهٔ البرز جای دارد و بزرگ‌ترین شهر کشور به شمار می‌رود."


def kinds(question: str, answer: str) -> list[str]:
    return [flag.kind for flag in flags(question, answer)]


def test_a_good_answer_has_no_flag() -> None:
    assert flags(QUESTION, GOOD) == ()
    assert flags(QUESTION, "") == ()
    assert flags(QUESTION, "بله") == ()


def test_an_answer_that_repeats_itself() -> None:
    (flag,) = flags(QUESTION, "تهران شهر بزرگی است و " * 8)
    assert flag.kind == "repetition"
    assert 0.8 < flag.value < 1


def test_an_answer_in_another_language() -> None:
    (flag,) = flags(QUESTION, "The capital of Iran is Tehran, a large city.")
    assert (flag.kind, flag.value) == ("language", 0.0)
    assert kinds("What is the capital of Iran?", "The capital of Iran is Tehran, a large city.") == []
    assert kinds(QUESTION, "Tehran") == [], "a name alone is no language"
    assert kinds("سه شاعر فارسی‌زبان نام ببر، کدام بزرگ‌تر است؟", "The greatest of them is Hafez.") == ["language"]


@pytest.mark.parametrize("question", ["«سلام» را به انگلیسی ترجمه کن.", "کدی برای جمع بنویس", "به گویش گیلکی چیست؟"])
def test_what_asks_for_other_letters_may_get_them(question: str) -> None:
    assert kinds(question, "hello, this is what you wanted") == []


@pytest.mark.parametrize(
    "answer",
    [
        "این تابع دو عدد را جمع می‌کند:\n```python\ndef add(first, second):\n    return first + second\n```",
        "نشانی آن https://example.org/a/long/address/that/is/no/language است.",
    ],
)
def test_code_and_addresses_are_no_language(answer: str) -> None:
    assert kinds("چگونه دو عدد را جمع کنم؟", answer) == []


def test_broken_half_spaces_are_counted_with_examples() -> None:
    (flag,) = flags(QUESTION, "تهران می باشد و مردم آن می روند و کتاب ها و خانه ها دارد و می ماند.")
    assert (flag.kind, flag.value) == ("half_spaces", 5)
    assert flag.examples == ("می باشد", "می روند", "کتاب ها")
