from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from studio.data import stored, tmx
from studio.data.columns import guess
from studio.data.read import open_rows
from studio.data.sample import Pair
from studio.errors import StudioError

from .files import PACKINGS, pack, write

HEAD = '<?xml version="1.0" encoding="{}"?>\n<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n<tmx version="1.4"><header/><body>\n'
TAIL = "</body></tmx>\n"


def unit(*said: tuple[str, str]) -> str:
    inside = "".join(f'<tuv xml:lang="{language}"><seg>{text}</seg></tuv>' for language, text in said)
    return f"<tu><note>x</note>{inside}</tu>\n"


def memory(*units: str, encoding: str = "utf-8") -> bytes:
    return (HEAD.format(encoding) + "".join(units) + TAIL).encode(encoding)


def read(path: Path, **options: str) -> list[tuple[int, dict[str, object]]]:
    with open_rows(path, **options) as rows:
        return list(rows)


def fault(path: Path) -> StudioError:
    with pytest.raises(StudioError) as caught:
        read(path)
    return caught.value


BOTH = unit(("en-US", "Open the book"), ("fa-IR", "کتاب را باز کن"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "windows-1256"])
@pytest.mark.parametrize("packing", PACKINGS)
def test_units_are_rows_with_a_column_for_each_language(tmp_path: Path, packing: str, encoding: str) -> None:
    data = memory(unit(("EN", " Yes &amp; no\n"), ("FA_ir", "بله"), ("en-GB", "Aye")), BOTH, encoding=encoding)
    if encoding == "windows-1256":
        data = memory(unit(("EN", "Yes &amp; no"), ("fa", "بله")), BOTH.replace("ی", "ي").replace("ک", "ك"),
                      encoding=encoding)  # fmt: skip
    path = write(tmp_path, f"a.tmx{packing}", pack(data, packing))
    rows = read(path)
    assert [row for row, _ in rows] == [1, 2]
    assert rows[0][1] == {"en": "Yes & no", "fa": "بله"}
    assert rows[1][1]["en"] == "Open the book"
    assert guess(["en", "fa"], [values for _, values in rows]).form == "pair"


def test_inline_codes_go_with_what_is_in_them(tmp_path: Path) -> None:
    text = 'Press <bpt i="1">&lt;b&gt;<sub>bold</sub>x</bpt>O<hi>K</hi><ept i="1">&lt;/b&gt;</ept> now<ph>%s</ph>.'
    path = write(tmp_path, "a.tmx", memory(unit(("en", text), ("fa", "<it>ی</it>حالا<ut>و</ut>"))))
    assert read(path) == [(1, {"en": "Press OK now.", "fa": "حالا"})]


def test_the_older_name_of_the_language_is_read_too(tmp_path: Path) -> None:
    data = memory('<tu><tuv lang="fa"><seg>آب</seg></tuv><tuv lang="EN"><seg>water</seg></tuv>'
                  "<tuv><seg>?</seg></tuv></tu>")  # fmt: skip
    assert read(write(tmp_path, "a.tmx", data)) == [(1, {"fa": "آب", "en": "water"})]


def test_a_unit_without_both_languages_is_dropped_with_its_reason(tmp_path: Path) -> None:
    files = [
        write(tmp_path, "a.tmx", memory(BOTH, unit(("en", "alone"), ("fr", "seul")), unit(("fa", "آب"), ("en", ""))))
    ]
    manifest = stored.import_files(
        files, tmp_path / "sets", "tm", source="test", progress=lambda *_: None, stopping=lambda: False
    )
    assert (manifest.kind, manifest.rows, manifest.dropped) == ("pair", 1, {"missing_value": 1, "empty": 1})
    assert list(stored.read_samples(tmp_path / "sets" / "tm")) == [Pair("کتاب را باز کن", "Open the book")]


@pytest.mark.parametrize(
    ("change", "code", "row"),
    [
        (lambda text: text.replace("<tuv", "<tuw", 621), "data.xml_broken", 1),
        (lambda text: text.replace("Open the book</seg>", "Open the book", 1), "data.xml_broken", 1),
        (lambda text: text[: len(text) // 2], "data.truncated", 151),
        (lambda text: text.removesuffix(TAIL), "data.truncated", 301),
        (lambda text: text.replace("</body>", "<tu><tuv>&nbsp;</tuv></tu></body>"), "data.xml_broken", 301),
        (lambda text: text.replace("</tmx>", "</tmx><tmx/>"), "data.xml_broken", 301),
    ],
)
def test_a_broken_file_names_the_unit_that_was_reached(tmp_path: Path, change, code: str, row: int) -> None:
    path = write(tmp_path, "a.tmx", change(memory(*[BOTH] * 300).decode()))
    error = fault(path)
    assert error.code == code
    assert abs(int(error.details["row"]) - row) <= (code == "data.truncated"), error
    with pytest.raises(StudioError):
        stored.import_files(
            [path], tmp_path / "sets", "tm", source="test", progress=lambda *_: None, stopping=lambda: False
        )
    assert not list((tmp_path / "sets").iterdir())


def test_a_fault_late_in_a_large_file_names_its_unit(tmp_path: Path) -> None:
    text = memory(*[BOTH] * 9_000).decode()
    place = 0
    for _ in range(8_000):
        place = text.index("</tu>", place) + 1
    error = fault(write(tmp_path, "a.tmx", text[: place - 1] + "<" + text[place - 1 :]))
    assert (error.code, error.details["row"]) == ("data.xml_broken", 8_000)


@pytest.mark.parametrize(
    "dtd",
    [
        '<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">',
        '<!ENTITY a SYSTEM "file:///etc/passwd">',
        '<!ENTITY % a SYSTEM "http://127.0.0.1/a.dtd"> %a;',
    ],
)
def test_entities_are_refused(tmp_path: Path, dtd: str) -> None:
    text = memory(BOTH).decode().replace('SYSTEM "tmx14.dtd"', f"[{dtd}]").replace("Open", "&a;")
    assert fault(write(tmp_path, "a.tmx", text)).code == "data.xml_entities"


def test_other_xml_is_no_translation_memory(tmp_path: Path) -> None:
    assert fault(write(tmp_path, "a.tmx", "<html><tu/></html>")).code == "data.not_tmx"
    assert fault(write(tmp_path, "a.tmx", memory())).code == "data.no_rows"
    assert fault(write(tmp_path, "a.tmx", "سلام")).code == "data.xml_broken"
    assert fault(write(tmp_path, "a.tmx", memory(BOTH).replace(b"utf-8", b"utf-9"))).code == "data.encoding_name"


@pytest.mark.parametrize(
    "data", [unit(("en", "x" * 6_000_000)), f'<tu a="{"x" * 6_000_000}"/>', f"<!--{'x' * 6_000_000}"]
)
def test_a_text_or_a_tag_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str) -> None:
    monkeypatch.setattr(tmx, "LINE_LIMIT", 2_000_000)
    error = fault(write(tmp_path, "a.tmx", memory(BOTH, data)))
    assert (error.code, error.details["row"]) == ("data.line_too_long", 2)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tmx", memory(unit(("en", "hello world " * 50), ("fa", "سلام دنیا " * 50)) * 12_000))
    tracemalloc.start()
    with open_rows(path) as rows:
        count = sum(1 for _ in rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (count, path.stat().st_size > 19e6) == (12_000, True)
    assert peak < 12e6
