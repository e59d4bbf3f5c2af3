"""A sieve must hold back all that its rule drops; what it computes by itself must be what the model says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from studio.data import language
from studio.data.cleaning.crowd import Crowd, Lexicon, Spans
from studio.data.cleaning.filters import PLANS, Rule
from studio.data.cleaning.pieces import Piece
from studio.data.language import THRESHOLD, guess, guess_many
from studio.data.odds import CLOSE, odds

SENTENCES = [
    "بچه‌ها از صبح در باغ بزرگ پشت خانه بازی می‌کنند و خیلی خوشحال هستند.",
    "پر سبکروحم زفکر سخت جانی فارغم",
    "The Children have been playing in the Garden since this morning.",
    "و قیل: کأن لم ینزلوها، یقال: غنینا بالمکان، اذا نزلنا به",
    "کان الطقس جمیلا الیوم فخرجنا إلی الحدیقة مع الأطفال.",
    "برای دیدن خبرهای تازه نظر خود را بنویسید و ادامه مطلب را بخوانید.",
    "if (x == 1) { return; } و بعد از آن",
    "یک دو سه چهار پنج یک دو سه چهار پنج یک دو سه چهار پنج",
    "## … ... # ۱۲۳ ۴۵۶ 7 !",
    "ЖЗИ Привет как дела",
    "کوتاه",
]
BLANKS = [" ", "\n", "  \n\n ", "\t", "\xa0", "\u2003", "\x1c", " \r\n"]
texts = st.lists(
    st.tuples(st.sampled_from(SENTENCES) | st.text(max_size=12), st.sampled_from(BLANKS)), max_size=9
).map(lambda parts: "".join(text + blank for text, blank in parts))
RULES = [rule for plan in PLANS.values() for rule in plan.rules if rule.sieve]


def spans_of(documents: list[str]) -> Spans:
    crowd = Crowd(documents)
    return Spans(crowd, crowd.starts[:-1], crowd.starts[1:] - 1)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.unit}-{rule.name}")
@settings(max_examples=60, deadline=None)
@given(documents=st.lists(texts, min_size=1, max_size=6), share=st.sampled_from([1.0, 0.3, 0.9]))
@example(documents=[SENTENCES[0] * 9, "", "یک دو سه " * 40, SENTENCES[7]], share=1.0)
@example(documents=[f"{SENTENCES[0]}\n" * 3 + SENTENCES[1], SENTENCES[8] * 3, SENTENCES[5]], share=1.0)
def test_no_piece_slips_through(rule: Rule, documents: list[str], share: float) -> None:
    value = (rule.value or 0.0) * share if (rule.value or 0) < 1 else math.ceil((rule.value or 0) * share)
    assert rule.sieve
    assert rule.check
    spans = spans_of(documents)
    held = rule.sieve(spans, value).tolist()
    dropped = [rule.check(Piece(text), value) for text in documents]
    if rule.exact:
        assert held == dropped
    else:
        assert [place for place, drop in enumerate(dropped) if drop and not held[place]] == []
    for place, known in spans.guesses.items():
        assert known.taken_for == guess(documents[place]).taken_for


@settings(max_examples=100, deadline=None)
@given(st.lists(texts, min_size=1, max_size=8))
def test_words_are_those_of_split(documents: list[str]) -> None:
    crowd = Crowd(documents)
    cuts = [min(len(text) // 2, 7) for text in documents]
    # Two units in each document, cut anywhere: a word that is cut is two.
    begins = np.array([[start, start + cut] for start, cut in zip(crowd.starts, cuts, strict=False)]).ravel()
    ends = np.array([[s + c, e - 1] for s, c, e in zip(crowd.starts, cuts, crowd.starts[1:], strict=False)]).ravel()
    units = [part for text, cut in zip(documents, cuts, strict=True) for part in (text[:cut], text[cut:])]
    for spans, pieces in ((Spans(crowd, begins, ends), units), (spans_of(documents), documents)):
        words = [word for piece in pieces for word in piece.split()]
        assert [crowd.text[a:b] for a, b in zip(*spans.tokens, strict=True)] == words
        assert spans.word_counts.tolist() == [len(piece.split()) for piece in pieces]
        assert [spans.text(place) for place in range(len(pieces))] == pieces
        same = {text.strip(): number for text, number in zip(pieces, spans.hashes().tolist(), strict=True)}
        assert [same[text.strip()] for text in pieces] == spans.hashes().tolist(), "equal texts have equal hashes"
        assert len(set(same.values())) == len(same), "and others have others, capitals included"


def test_a_lexicon_finds_its_words_and_no_other() -> None:
    lexicon = Lexicon(["است", "را", "این"])
    spans = spans_of(["این را او آورده است", "ایـن راا"])
    assert lexicon.find(spans.token_hashes).tolist() == [2, 1, 3, 3, 0, 3, 3]


def test_capitals_make_another_text() -> None:
    hashes = spans_of(["برنامه API", "برنامه api", " برنامه API\n", "برنامه ApI"]).hashes().tolist()
    assert hashes[0] == hashes[2]
    assert len(set(hashes)) == 3


def test_the_numbers_of_the_model_say_what_the_model_says() -> None:
    lines = [sentence for sentence in SENTENCES if not any(letter.isupper() for letter in sentence)]
    lines += [" ".join(SENTENCES[0].split()[:count]) for count in range(1, 8)]
    lines += ["kódok és szavak magyarul vannak", "你好 世界", "یہ اردو ہے اور ٹھیک ہے", "بە کوردی دەنووسم", "x"]
    persian, taken, sure = odds().judge([line.split() for line in lines])
    asked = [language._ask(line) for line in lines]
    assert np.count_nonzero(sure) > 0.8 * len(lines)
    for place in np.flatnonzero(sure):
        assert odds().languages[taken[place]] == asked[place].taken_for, lines[place]
        assert abs(persian[place] - asked[place].persian) < CLOSE / 10, lines[place]


def test_new_words_are_added_when_there_is_no_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = odds.__wrapped__()
    words = [SENTENCES[0].split(), SENTENCES[3].split(), SENTENCES[1].split()]
    expected = [fresh.judge([some])[0][0] for some in words]
    monkeypatch.setattr("studio.data.odds._KNOWN_WORDS", 12)
    small = odds.__wrapped__()
    for _ in range(3):
        assert [small.judge([some])[0][0] for some in words] == pytest.approx(expected, abs=1e-6)
        assert small.judge(words)[0] == pytest.approx(expected, abs=1e-6)


def test_where_the_model_is_not_followed_nothing_is_said() -> None:
    near = guess(SENTENCES[1]).persian
    found = guess_many([SENTENCES[0], "PLEASE READ THIS", "یک\xa0دو", "<b> است", " ", SENTENCES[1] * 20], THRESHOLD)
    assert [one is not None for one in found] == [True, False, False, False, False, True]
    assert found[0] is not None
    assert found[0].persian == pytest.approx(guess(SENTENCES[0]).persian, abs=CLOSE)
    assert guess_many([SENTENCES[1]], near) == [None]
    assert guess_many([], THRESHOLD) == []
