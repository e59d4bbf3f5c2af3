"""Both languages hold the same sentences, and every sentence the code asks for exists."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

from studio.errors import StudioError
from studio.i18n import bytes_text, duration_text, explain, number, say, sentences
from studio.settings import ROOT

SOURCES = [path for folder in ("studio", "assets") for path in (ROOT / folder).rglob("*.py")] + [ROOT / "app.py"]


def fields(template: str) -> set[str]:
    return {field for _, field, _, _ in Formatter().parse(template) if field}


def test_both_languages_have_the_same_keys_and_placeholders() -> None:
    persian, english = sentences("fa"), sentences("en")
    assert persian.keys() == english.keys()
    different = [key for key in persian if fields(persian[key]) != fields(english[key])]
    assert not different


def test_persian_is_persian_and_clean() -> None:
    faults = [
        key
        for key, text in sentences("fa").items()
        if re.search("[يىكـ٠-٩]", text)
        or re.search("\u200c[\\s\u200c،؛.]|\\s\u200c|\u200c$", text)
        or (text == sentences("en")[key] and not key.endswith("example"))
    ]
    # Names and units that are the same in both languages.
    assert [key for key in faults if re.search("[ا-ی]", sentences("fa")[key])] == []


def codes(pattern: str) -> set[str]:
    return {found for path in SOURCES for found in re.findall(pattern, path.read_text(encoding="utf8"))}


def test_every_error_code_has_its_sentence() -> None:
    raised = codes(r"StudioError\(\s*\"([a-z_.]+)\"")
    assert raised
    assert {code for code in raised if f"errors.{code}" not in sentences("en")} == set()


def test_every_sentence_the_code_says_exists() -> None:
    asked = codes(r"say\(\s*(?:self\.|speech\.)?_?locale,\s*\"([a-z0-9_.]+)\"")
    assert asked
    assert asked - sentences("en").keys() == set()


@pytest.mark.parametrize(
    ("value", "digits", "persian", "english"),
    [
        (1234.5, 1, "۱٬۲۳۴٫۵", "1,234.5"),
        (7, None, "۷", "7"),
        (2.3551, None, "۲٫۳۶", "2.36"),
        (61234.2, None, "۶۱٬۲۳۴", "61,234"),
    ],
)
def test_numbers_are_written_as_each_language_writes_them(
    value: float, digits: int | None, persian: str, english: str
) -> None:
    assert number("fa", value, digits) == persian
    assert number("en", value, digits) == english


def test_sizes_and_times_in_words() -> None:
    assert bytes_text("en", 270_000_000) == "270 MB"
    assert duration_text("fa", 7_800) == "۲ ساعت و ۱۰ دقیقه"
    assert duration_text("en", 0.2) == "1 s"


def test_an_error_is_explained_even_when_a_detail_is_missing() -> None:
    assert "«?»" in explain("fa", StudioError("recipe.missing"))
    assert explain("en", StudioError("no.such.code", a=1)) == "no.such.code(a=1)"


def test_an_unknown_sentence_is_our_mistake() -> None:
    with pytest.raises(KeyError):
        say("en", "no.such.sentence")


def test_locales_are_sorted_so_that_changes_read_well() -> None:
    for locale in ("fa", "en"):
        keys = list(sentences(locale))
        assert keys == sorted(keys), Path(f"{locale}.json")
