from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.data import health, stored
from studio.data.cleaning import sides
from studio.data.cleaning.ledger import read_ledger
from studio.data.cleaning.pieces import Piece
from studio.data.cleaning.switches import choose, hash_file
from studio.data.sample import Pair
from studio.errors import StudioError

from .test_clean import run, store

FA = "بچه‌ها از صبح در باغ بزرگ پشت خانه بازی می‌کنند."
EN = "The children have been playing in the garden behind the house."
OTHER = Pair("باران تند دیشب راه روستا را بست و کسی به شهر نرسید.", "Heavy rain closed the village road last night.")


def drops(check, fa: str, en: str, value: float = 0.0) -> bool:
    return check(Piece(f"{fa}\n{en}", [("fa", fa), ("en", en)]), value)


@pytest.mark.parametrize(
    ("check", "value", "fa", "en", "dropped"),
    [
        (sides.has_empty_side, 0, " ", EN, True),
        (sides.has_empty_side, 0, FA, "\n", True),
        (sides.has_empty_side, 0, FA, EN, False),
        (sides.has_same_sides, 0, "Firefox ", "firefox", True),
        (sides.has_same_sides, 0, "فایرفاکس", "Firefox", False),
        (sides.has_odd_lengths, 3, "بله", "x" * 10, True),
        (sides.has_odd_lengths, 3, "بله", " " + "x" * 9 + " ", False),
        (sides.has_odd_lengths, 3, "ب" * 10, "yes", True),
        (sides.is_not_persian, 0.5, "Der Garten hinter dem Haus ist heute wirklich sehr schön.", EN, True),
        (sides.is_not_persian, 0.5, "الأطفال يلعبون منذ الصباح في الحديقة الكبيرة خلف المنزل مع أصدقائهم", EN, True),
        (sides.is_not_persian, 0.5, "OK", "OK then", True),
        (sides.is_not_persian, 0.5, "باشد", EN, False),
        (sides.is_not_persian, 0.5, FA, EN, False),
        (sides.is_not_english, 0, FA, "Les enfants jouent depuis ce matin dans le grand jardin.", True),
        (sides.is_not_english, 0, FA, FA, True),
        (sides.is_not_english, 0, "دنیا", "мир", True),
        (sides.is_not_english, 0, "قهوه", "Café «au lait»", False),
        (sides.is_not_english, 0, "۱۰۰٪", "100 ٪", False),
        (sides.is_not_english, 0, FA, EN, False),
        (sides.is_not_english, 0, FA, EN.upper(), False),
        (sides.has_other_numbers, 0, "در سال ۲۰۲۰، ۱٬۲۳۴ نفر و ۳٫۵ لیتر", "3.5 l for 1,234 people in 2020", False),
        (sides.has_other_numbers, 0, "٠٥ و ۷", "7 and 5", False),
        (sides.has_other_numbers, 0, "صفحهٔ ۱۲", "page 21", True),
        (sides.has_other_numbers, 0, "صفحهٔ ۱۲", "page 12 of 12", True),
        (sides.has_other_numbers, 0, "۹" * 5000, "9" * 5000, False),
    ],
)
def test_a_rule_drops_and_keeps(check, value: float, fa: str, en: str, dropped: bool) -> None:
    assert drops(check, fa, en, value) is dropped


def kept(result, folder: Path) -> list[Pair]:
    return [pair for pair in stored.read_samples(folder / result.manifest.name) if isinstance(pair, Pair)]


def test_pairs_stay_whole_or_go(tmp_path: Path) -> None:
    suite = tmp_path / "suite.jsonl"
    asked = "one two three four five six seven eight"
    suite.write_text(json.dumps({"q": asked}), "utf8")
    pairs = [
        Pair(FA.replace("ی", "ي"), f"{EN} (كتاب)"),
        OTHER,
        Pair("Firefox", "Firefox"),
        Pair("بله", EN),
        Pair("Der Garten hinter dem Haus ist heute wirklich sehr schön.", EN),
        Pair(FA, "Les enfants jouent depuis ce matin dans le grand jardin."),
        Pair("یک دو سه چهار پنج شش هفت هشت برای آزمون مدل‌ها است.", f"{asked} for the test."),
        OTHER,
        Pair(f"{FA} {OTHER.fa}", f"{EN} {OTHER.en}"),
        Pair(f"{FA} {OTHER.fa} حالا", f"{EN} {OTHER.en} Now"),
        Pair(OTHER.fa, "The road was closed by the rain of last night."),
        Pair("۱۲ کتاب روی میز است", "The 21 books are on the table"),
    ]
    parent = store(tmp_path, "in", pairs)
    result = run(parent, choose("pair", None, [], [hash_file(suite)]), suites=[suite])
    assert kept(result, tmp_path) == [Pair(FA, f"{EN} (کتاب)"), OTHER, pairs[8], *pairs[10:]]
    assert {rule: each["rows"] for rule, each in result.ledger.dropped().items()} == {
        "same": 1, "length_ratio": 1, "language": 1, "language_en": 1, "contamination": 1, "duplicates": 1,
        "near_duplicates": 1,
    }  # fmt: skip
    assert all(entry.unit == "pair" for entry in result.ledger.rules)
    shown = {entry.rule: [one.text for one in entry.examples] for entry in result.ledger.rules}
    assert shown["length_ratio"] == [f"بله\n{EN}"]
    assert result.ledger.languages["de"] == 1
    numbers = run(parent, choose("pair", None, ["numbers=on"]), "numbers")
    assert pairs[-1] not in kept(numbers, tmp_path)


side = st.sampled_from([FA, EN, OTHER.fa, OTHER.en, "Firefox", "  ", "بله", "كوتاه بود", "ســلام  دنیا", "ok ۱۲"])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.builds(Pair, side, side), min_size=1, max_size=9),
    st.sets(st.sampled_from(["same", "length_ratio", "language", "language_en", "duplicates", "near_duplicates"])),
    st.booleans(),
)
def test_the_books_of_pairs_add_up_and_any_rule_can_be_undone(
    pairs: list[Pair], off: set[str], normalise: bool
) -> None:
    choices = [f"normalise={'on' if normalise else 'off'}"]
    fewer = [*choices, *(f"{rule}=off" for rule in off)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pairs = [*pairs, Pair(FA, EN)]
        parent = store(folder, "in", pairs)
        run(parent, choose("pair", None, choices), "all")
        again = run(parent, choose("pair", None, fewer), "again", earlier=folder / "all")
        fresh = run(parent, choose("pair", None, fewer), "fresh")
        left = kept(fresh, folder)
    ledger = fresh.ledger
    assert (again.ledger, again.manifest.sha256) == (ledger, fresh.manifest.sha256)
    assert ledger.rows_in == len(pairs) == len(left) + sum(entry.rows for entry in ledger.rules)
    gone = sum(entry.bytes for entry in ledger.rules) + ledger.normalising.bytes
    assert (gone, ledger.joining.bytes) == (size(pairs) - size(left), 0)
    assert all(entry.units == entry.rows for entry in ledger.rules)
    assert normalise or set(left) <= set(pairs)


def size(pairs: Sequence[Pair]) -> int:
    return sum(len((pair.fa + pair.en).encode()) for pair in pairs)


def test_the_thresholds_of_pairs(tmp_path: Path) -> None:
    switches = choose("pair", None, ["length_ratio=2.5"])
    assert (switches.preset, switches.values["length_ratio"], switches.off) == ("pairs", 2.5, {"numbers"})
    for choice in ("length_ratio=0.5", "length_ratio=101", "length_ratio=nan", "numbers=3"):
        with pytest.raises(StudioError) as caught:
            choose("pair", None, [choice])
        assert caught.value.code == "clean.bad_value"


def test_the_report_tells_the_language_of_each_side(tmp_path: Path) -> None:
    parent = store(
        tmp_path, "in", [Pair(FA, f"{EN} " * 12), OTHER, Pair(FA, "Les enfants jouent dans le grand jardin.")]
    )
    found = health.examine(parent, progress=lambda share, note: None, stopping=lambda: False)
    assert found["languages"] == {"fa": 1.0}
    assert found["languages_en"] == {"en": 0.6667, "fr": 0.3333}
    assert read_ledger(parent) is None
