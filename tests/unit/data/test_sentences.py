from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.data.sentences import rejoin, split_lines, split_sentences

texts = st.text(st.sampled_from("اب ج.!؟؟…»\n\t ۱۲a.(\u200c\r"), max_size=60)


@given(texts)
def test_units_joined_are_the_text(text: str) -> None:
    for split in (split_sentences, split_lines):
        units = split(text)
        assert "".join(units) == text
        assert all(units)
        assert rejoin(units, [True] * len(units)) == text.strip()


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("هوا سرد بود. «برویم.» کجا؟ خانه!", ["هوا سرد بود.", "«برویم.»", "کجا؟", "خانه!"]),
        ("م. امید آمد. سال ۱۳۹۹. تمام", ["م. امید آمد.", "سال ۱۳۹۹.", "تمام"]),
        ("۱. نخست این\n۲. سپس آن", ["۱. نخست این", "۲. سپس آن"]),
        ("نسخهٔ 3.5 و example.com را ببینید… بعد", ["نسخهٔ 3.5 و example.com را ببینید…", "بعد"]),
        ("مصرع یکم\nمصرع دوم\n\n\nبیت بعد", ["مصرع یکم", "مصرع دوم", "بیت بعد"]),
    ],
)
def test_where_sentences_end(text: str, sentences: list[str]) -> None:
    assert [unit.strip() for unit in split_sentences(text)] == sentences


def test_paragraphs_stay_apart_when_the_sentence_between_goes() -> None:
    units = split_sentences("یک. دو.\n\nسه. چهار.")
    assert rejoin(units, [True, False, True, True]) == "یک.\n\nسه. چهار."
    assert rejoin(units, [False, False, False, True]) == "چهار."
    assert rejoin(units, [True, True, False, False]) == "یک. دو."
