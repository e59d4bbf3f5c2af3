"""Broken half-spaces are found, and words that only look like it are left alone."""

from __future__ import annotations

import pytest

from studio.evaluation.half_spaces import broken_half_spaces


@pytest.mark.parametrize(
    ("text", "written", "proper"),
    [
        ("او به مدرسه می رود.", "می رود.", "می‌رود."),
        ("من نمی دانم چه شد", "نمی دانم", "نمی‌دانم"),
        ("کتاب ها روی میز است", "کتاب ها", "کتاب‌ها"),
        ("بچه های خوب", "بچه های", "بچه‌های"),
        ("او میرود و بازمیگردد", "میرود", "می‌رود"),
        ("نمیخواهم بروم", "نمیخواهم", "نمی‌خواهم"),
        ("خانهها و کوچهها", "خانهها", "خانه‌ها"),
        ("نامههای قدیمی", "نامههای", "نامه‌های"),
    ],
)
def test_what_is_broken_is_found_with_its_proper_form(text: str, written: str, proper: str) -> None:
    found = broken_half_spaces(text)
    assert (found[0].written, found[0].proper) == (written, proper)


@pytest.mark.parametrize(
    "text",
    [
        "او به مدرسه می‌رود و کتاب‌ها را می‌خواند.",
        "میدان بزرگ شهر، میزان دما و میان راه",
        "جام می نوشید",
        "تنها آن‌ها و این‌ها ماندند",
        "بها و اهداف و هدف‌ها",
        "میز و صندلی، میوه و میهمان",
        "سعید میری از راهها و گروههای دیگر گفت",
        "`می رود` در کد است",
        "The book is on the table.",
        "",
    ],
)
def test_what_is_whole_is_left_alone(text: str) -> None:
    assert broken_half_spaces(text) == []


def test_one_that_joins_nothing_hides_no_other() -> None:
    assert [each.proper for each in broken_half_spaces("کتاب\u200c ها")] == ["کتاب\u200cها"]
    assert broken_half_spaces("سلام\u200c دوست من") == []
