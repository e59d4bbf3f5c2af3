from __future__ import annotations

import pytest

from studio.data.cleaning import pieces, repetition
from studio.data.cleaning.filters import PLANS
from studio.data.cleaning.pieces import Piece
from studio.i18n import sentences

PROSE = "امروز هوا خیلی خوب بود و ما با هم به باغ بزرگ پشت خانه رفتیم."
VERSE = "\n".join(f"مصرع شمارهٔ {number} بی‌نقطه" for number in ["یک", "دو", "سه", "چهار", "پنج", "شش"])


def drops(check, text: str, value: float = 0.0) -> bool:
    return check(Piece(text), value)


def chat(*said: str, roles=("user", "assistant")) -> Piece:
    return Piece("\n".join(said), [(roles[place % len(roles)], text) for place, text in enumerate(said)])


@pytest.mark.parametrize(
    ("check", "value", "dropped", "kept"),
    [
        (pieces.is_empty, 0, " \n ", "الف"),
        (pieces.has_few_words, 5, "یک دو سه چهار", "یک دو سه چهار پنج"),
        (pieces.has_code, 0, "for (i = 0; i < 3; i++) را بنویسید", PROSE),
        (pieces.has_odd_words, 0, "پاسخگویی‌هایشان دانشگاهیان‌شان", PROSE),
        (pieces.has_symbols, 0.1, "#یک #دو سه چهار", PROSE),
        (pieces.has_few_letters, 0.8, "۱ ۲ ۳ ۴ پنج", PROSE),
        (pieces.has_few_stop_words, 2, "سلام خوبی چطوری", PROSE),
        (pieces.has_open_lines, 0.2, VERSE, PROSE),
        (pieces.has_many_lines, 0.15, "یک\nدو\nسه", PROSE),
        (repetition.repeats_lines, 0.246, "آن یک\nاین\nآن یک\nاین", VERSE),
        (repetition.repeats_words, 0, "بخر و ببر " * 9, PROSE),
        (repetition.repeats_words, 0, PROSE * 3, PROSE),
    ],
)
def test_a_rule_drops_and_keeps(check, value: float, dropped: str, kept: str) -> None:
    assert drops(check, dropped, value)
    assert not drops(check, kept, value)


def test_repetition_by_hand() -> None:
    words = ["الف", "ب", "پ", "ت", "ث", "ج", "الف", "ب", "پ", "ت", "ث", "چ"]
    assert repetition._repeated(words, 5) == len("ابپتث") + len("لف")
    assert repetition._repeated(words, 6) == 0
    assert repetition._repeated(["آ"] * 10, 5) == 5, "groups do not overlap"


@pytest.mark.parametrize(
    "text",
    [
        "تمامی حقوق این سایت محفوظ است",
        "برای عضویت در خبرنامه اینجا کلیک کنید.",
        "لطفاً رمز عبور خود را وارد کنید",
        "نوشته‌های مرتبط: سه خبر دیگر",
        "نوشته های مرتبط: سه خبر دیگر",
        "انتهای پیام/",
    ],
)
def test_boilerplate_is_found(text: str) -> None:
    assert drops(pieces.has_boilerplate, text)


@pytest.mark.parametrize(
    "text", [PROSE, "مد خبرساز شد", "او کد خبرنگاری گرفت و رفت", "حقوق کارگران این کارخانه پرداخت شد"]
)
def test_prose_is_no_boilerplate(text: str) -> None:
    assert not drops(pieces.has_boilerplate, text)


def test_rules_of_chats() -> None:
    good = chat("چه کنم؟", "هیچ.", "چرا؟", "چون دیر است.")
    for rule in PLANS["chats"].rules:
        if rule.check is not None and rule.name != "language":
            assert not rule.check(good, 0), rule.name
    assert pieces.has_empty_turn(chat("چه کنم؟", " "), 0)
    assert pieces.has_bad_roles(chat("چه کنم؟", "هیچ", roles=("assistant", "user")), 0)
    assert pieces.has_bad_roles(chat("چه کنم؟"), 0)
    assert not pieces.has_bad_roles(Piece("", [("system", "س"), ("user", "پ"), ("assistant", "ج")]), 0)
    assert pieces.has_bad_roles(Piece("", [("user", "پ"), ("system", "س"), ("assistant", "ج")]), 0)
    assert pieces.repeats_turns(chat("چه کنم؟", "هیچ", "دیگر چه؟", "هیچ"), 0)
    assert pieces.is_cut_off(chat("بنویس", (PROSE + " ") * 4 + "و سپس با هم به"), 0)
    assert pieces.is_cut_off(chat("بنویس", "```python\nprint(1)"), 0)
    assert not pieces.is_cut_off(chat("بنویس", (PROSE + " ") * 4), 0)


@pytest.mark.parametrize("preset", PLANS)
def test_every_rule_has_its_words(preset) -> None:
    names = [rule.name for rule in PLANS[preset].rules]
    assert len(names) == len(set(names)) <= 16, "a bit each"
    assert {f"clean.rules.{name}" for name in names} <= sentences("fa").keys()
