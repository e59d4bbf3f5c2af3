from __future__ import annotations

import json
import zipfile

import pytest
import zstandard

from studio.data import compressed, delimited, json_stream, lines
from studio.data.read import open_rows
from studio.errors import StudioError

from .files import FORMATS, pack, spell, write

ROWS = [{"fa": f"سطر شمارهٔ {number} از کتاب", "en": f"line {number} of the book"} for number in range(500)]


def fault(path, **options) -> StudioError:
    with pytest.raises(StudioError) as caught, open_rows(path, **options) as rows:
        list(rows)
    return caught.value


def office(tmp_path, inside) -> bytes:
    path = tmp_path / "file.docx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", "x")
        archive.writestr(inside, "x")
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("a.txt", b"", "data.file_empty"),
        ("a.jsonl.gz", pack(b"", ".gz"), "data.file_empty"),
        ("a.txt", b" \n\n\t\r\n", "data.file_blank"),
        ("a.csv", b"\n\n", "data.file_blank"),
        ("a.json", b"\xef\xbb\xbf  ", "data.file_blank"),
        ("a.csv", b"fa,en\n", "data.no_rows"),
        ("a.json", b"[]", "data.no_rows"),
        ("a.parquet", b"", "data.file_empty"),
        ("a.txt", b"\x00\x01\x02\x03" * 100, "data.binary"),
        ("a.jsonl", bytes(range(256)) * 4, "data.binary"),
        ("a.txt", b"%PDF-1.7 \xe2\xe3", "data.other_format"),
        ("a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1", "data.other_format"),
        ("a.csv", b"BZh91AY", "data.other_format"),
        ("a.docx", b"hello", "data.unknown_format"),
        ("a", b"hello", "data.unknown_format"),
        ("a.gz", pack(b"hello", ".gz"), "data.unknown_format"),
        ("a.parquet", b"hello", "data.damaged"),
        ("a.json", b"42", "data.json_broken"),
        ("a.json", b"[1, 2]", "data.json_no_object"),
        ("a.json", b'[{"a": 1}] x', "data.json_broken"),
        ("a.jsonl", b'{"a": 1}\n[1]\n', "data.json_no_object"),
        ("a.jsonl", b"[" * 100_000 + b"\n", "data.json_broken"),
        ("a.csv", b'fa,en\n"a"b,c\n', "data.csv_quotes"),
    ],
)
def test_each_bad_file_has_its_sentence(tmp_path, name, data, code) -> None:
    assert fault(write(tmp_path, name, data)).code == code


@pytest.mark.parametrize(("inside", "format_name"), [("word/x", "Word"), ("xl/x", "Excel"), ("a.txt", "ZIP")])
def test_office_files_are_called_by_their_name(tmp_path, inside, format_name) -> None:
    error = fault(write(tmp_path, "a.csv", office(tmp_path, inside)))
    assert (error.code, error.details["format"]) == ("data.other_format", format_name)


def test_a_missing_file_and_a_folder(tmp_path) -> None:
    assert fault(tmp_path / "none.txt").code == "data.no_such_file"
    (tmp_path / "folder.txt").mkdir()
    assert fault(tmp_path / "folder.txt").code == "data.not_readable"


@pytest.mark.parametrize(("line", "found"), [("a", 1), ("a,b,c", 3)])
def test_a_ragged_row_is_named(tmp_path, line, found) -> None:
    error = fault(write(tmp_path, "a.csv", f'fa,en\n"x\ny",z\n{line}\n'))
    assert (error.code, error.details) == (
        "data.ragged",
        {"file": "a.csv", "row": 4, "expected": 2, "found": found},
    )


@pytest.mark.parametrize("packing", [".gz", ".zst"])
@pytest.mark.parametrize("form", [*FORMATS, "txt"])
def test_a_truncated_packed_file_says_where_it_ends(tmp_path, form, packing) -> None:
    rows = [{"text": f"{row} {row['fa']}"} for row in ROWS] if form == "txt" else ROWS
    data = pack(spell(form, rows), packing)
    error = fault(write(tmp_path, f"a.{form}{packing}", data[:-20]))
    assert error.code == "data.truncated"
    assert error.details["row"] >= 1


@pytest.mark.parametrize("packing", [".gz", ".zst"])
def test_a_damaged_packed_file(tmp_path, packing) -> None:
    plain = spell("jsonl", ROWS)
    checked = zstandard.ZstdCompressor(write_checksum=True).compress(plain)
    data = bytearray(checked if packing == ".zst" else pack(plain, packing))
    data[len(data) // 2] ^= 0xFF
    assert fault(write(tmp_path, f"a.jsonl{packing}", bytes(data))).code == "data.damaged"


def test_a_truncated_jsonl_names_its_last_line(tmp_path) -> None:
    data = spell("jsonl", ROWS)
    for cut in (-3, -10, -25):
        error = fault(write(tmp_path, "a.jsonl", data[:cut]))
        assert (error.code, error.details["row"]) == ("data.truncated", 500)


def test_a_broken_line_in_the_middle_is_not_a_truncation(tmp_path) -> None:
    lines_ = spell("jsonl", ROWS).decode().splitlines()
    lines_[41] = lines_[41][:-5]
    error = fault(write(tmp_path, "a.jsonl", "\n".join(lines_)))
    assert (error.code, error.details["row"]) == ("data.json_broken", 42)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_truncated_json_names_the_row_after_the_last_whole_one(tmp_path, wrapped, monkeypatch) -> None:
    if wrapped:
        monkeypatch.setattr(json_stream, "WHOLE_CHARACTERS", 1)
    text = json.dumps({"data": ROWS} if wrapped else ROWS, ensure_ascii=False)
    cut = text.index("line 321") + 3
    error = fault(write(tmp_path, "a.json", text[:cut]))
    assert error.code == "data.truncated"
    if not wrapped:
        assert error.details["row"] == 322


def test_a_broken_json_names_its_row(tmp_path) -> None:
    text = json.dumps(ROWS, ensure_ascii=False).replace('"line 77 of', "line 77 of")
    error = fault(write(tmp_path, "a.json", text))
    assert (error.code, error.details["row"]) == ("data.json_broken", 78)


def test_a_truncated_parquet(tmp_path) -> None:
    assert fault(write(tmp_path, "a.parquet", spell("parquet", ROWS)[:-30])).code == "data.truncated"


def test_a_damaged_parquet(tmp_path) -> None:
    data = spell("parquet", ROWS)
    data = data[:100] + bytes(300) + data[400:]
    assert fault(write(tmp_path, "a.parquet", data)).code == "data.damaged"


def test_a_quote_that_never_closes_is_a_truncation_at_its_row(tmp_path) -> None:
    error = fault(write(tmp_path, "a.csv", 'fa,en\na,b\n"c,d\ne,f\n'))
    assert (error.code, error.details["row"]) == ("data.truncated", 3)


def test_a_field_over_the_limit(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(delimited, "FIELD_LIMIT", 1000)
    error = fault(write(tmp_path, "a.csv", f"fa,en\na,b\n{'x' * 1500},d\n"))
    assert (error.code, error.details["row"]) == ("data.field_too_long", 3)


@pytest.mark.parametrize(("name", "data"), [("a.txt", "{}"), ("a.jsonl", '{{"text": "{}"}}'), ("a.json", '["{}"]')])
def test_a_line_without_end(tmp_path, monkeypatch, name, data) -> None:
    for module in (lines, json_stream):
        monkeypatch.setattr(module, "LINE_LIMIT", 1_500_000)
    error = fault(write(tmp_path, name, data.format("x" * 6_000_000)))
    assert (error.code, error.details["row"]) == ("data.line_too_long", 1)


@pytest.mark.parametrize("form", FORMATS)
def test_ten_thousand_columns(tmp_path, form) -> None:
    error = fault(write(tmp_path, f"a.{form}", spell(form, [{f"c{place}": "x" for place in range(10_000)}])))
    assert (error.code, error.details["columns"]) == ("data.too_many_columns", 10_000)


def test_a_file_that_unpacks_without_end(tmp_path, monkeypatch) -> None:
    bomb = write(tmp_path, "a.txt.zst", pack(b"salam\n" * 200_000, ".zst"))
    assert fault(bomb, limit=500_000).code == "data.unpacks_too_large"
    monkeypatch.setattr(compressed, "RATIO_FREE_BYTES", 100_000)
    assert fault(bomb).code == "data.unpacks_too_large"


def test_a_packed_parquet_that_unpacks_without_end(tmp_path) -> None:
    path = write(tmp_path, "a.parquet.gz", pack(spell("parquet", ROWS) + bytes(5_000_000), ".gz"))
    assert fault(path, limit=1_000_000, scratch=tmp_path).code == "data.unpacks_too_large"
    assert [item.name for item in tmp_path.iterdir()] == ["a.parquet.gz"]
