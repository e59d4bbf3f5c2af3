from __future__ import annotations

import json
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from studio.data.read import open_rows, read_lines, sniff

from .files import FORMATS, PACKINGS, pack, spell, write

STORY = [
    {"title": "یک", "text": "می‌روم به «کتاب‌خانه»، با ۳ کتاب!"},
    {"title": "two", "text": 'He said "سلام"; then\nleft,\tsmiling 🙂👨‍👩‍👧'},
]


def read(path: Path, **options: str) -> list[dict[str, object]]:
    with open_rows(path, **options) as rows:
        return [values for _, values in rows]


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_and_packing_gives_the_same_rows(tmp_path, form, packing) -> None:
    path = write(tmp_path, f"story.{form}{packing}", pack(spell(form, STORY), packing))
    assert read(path) == STORY


@pytest.mark.parametrize("packing", PACKINGS)
def test_each_line_of_a_text_that_is_not_blank_is_a_row(tmp_path, packing) -> None:
    path = write(tmp_path, f"a.txt{packing}", pack("یک\n\n  \nدو\u2028هنوز دو\r\nسه".encode(), packing))
    with open_rows(path) as rows:
        assert list(rows) == [(1, {"text": "یک"}), (4, {"text": "دو\u2028هنوز دو"}), (5, {"text": "سه"})]


letters = st.text(
    st.one_of(
        st.sampled_from("آابپتسلمنوهی‌ \n\r\t,;\"'|[]{}\\🙂é\u2028\x85\ufeff"),
        st.characters(blacklist_categories=("Cs", "Cc")),  # many control characters make a file binary
    )
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.fixed_dictionaries({"fa": letters, "en": letters}), min_size=1, max_size=6), st.sampled_from(FORMATS)
)
def test_what_is_written_is_read(rows, form) -> None:
    # The heading makes the first bytes text, as any real file's are.
    rows = [{"fa": "سلام دنیا", "en": "hello world"}, *rows]
    with tempfile.TemporaryDirectory() as folder:
        assert read(write(Path(folder), f"a.{form}", spell(form, rows))) == rows


@settings(max_examples=25, deadline=None)
@given(st.lists(letters.filter(lambda line: line.strip()), min_size=1, max_size=6))
def test_lines_written_are_lines_read(lines) -> None:
    kept = [" سلام", *(line.replace("\n", " ").replace("\r", " ") for line in lines)]
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), "a.txt", "\n".join(kept))
        assert list(read_lines(path)) == kept
        assert [row["text"] for row in read(path)] == [line for line in kept if line.strip()]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_found(tmp_path, delimiter) -> None:
    lines = [delimiter.join(("fa", "en", "note")), delimiter.join(("سلام", '"a, b; c\td"', ""))]
    path = write(tmp_path, "a.csv", "\n".join(lines))
    assert read(path) == [{"fa": "سلام", "en": "a, b; c\td", "note": ""}]


def test_a_tsv_may_hold_raw_quotes(tmp_path) -> None:
    path = write(tmp_path, "a.tsv", 'fa\ten\n"سلام\thello\nخوب\t"good\n')
    assert read(path) == [{"fa": '"سلام', "en": "hello"}, {"fa": "خوب", "en": '"good'}]


def test_rows_of_csv_carry_the_line_they_start_on(tmp_path) -> None:
    path = write(tmp_path, "a.csv", 'fa,en\n"a\nb",c\n\nd,e\n')
    with open_rows(path) as rows:
        assert [row for row, _ in rows] == [2, 5]


def test_lines_may_end_in_a_bare_return(tmp_path) -> None:
    path = write(tmp_path, "a.csv", "fa,en\rسلام,hello\rخوب,good\r")
    assert read(path) == [{"fa": "سلام", "en": "hello"}, {"fa": "خوب", "en": "good"}]


def test_columns_without_a_name_or_with_the_same_name_are_told_apart(tmp_path) -> None:
    path = write(tmp_path, "a.csv", ",text,text\n1,a,b\n")
    assert read(path) == [{"column_1": "1", "text": "a", "text_2": "b"}]


@pytest.mark.parametrize(
    "text",
    [
        '[{"text": "a"}, {"text": "b"}]',
        '{"data": [{"text": "a"}, {"text": "b"}]}',
        '{"version": [1, 2], "license": "x", "data": [{"text": "a"}, {"text": "b"}]}',
        '{"text": "a"}\n{"text": "b"}\n',
        '{\n "text": "a"\n}\n\n{"text": "b"}',
        ' [ "a" , "b" ] ',
    ],
)
def test_json_keeps_its_rows_in_several_ways(tmp_path, text) -> None:
    assert read(write(tmp_path, "a.json", text)) == [{"text": "a"}, {"text": "b"}]


def test_a_single_chat_is_one_row(tmp_path) -> None:
    chat = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    assert read(write(tmp_path, "a.json", json.dumps(chat))) == [chat]


def test_a_large_json_object_is_streamed(tmp_path) -> None:
    row = {"text": "سلام دنیا " * 200, "numbers": [1.5, -2e3, True, None]}
    whole = {"info": "x" * 2_500_000, "data": [row] * 4000, "after": {"deep": [[]]}}
    path = write(tmp_path, "a.json", json.dumps(whole, ensure_ascii=False))
    tracemalloc.start()
    with open_rows(path) as rows:
        assert sum(values == row for _, values in rows) == 4000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size > 16e6
    # One buffer of 8 million characters at two bytes, twice while it grows, and 200 first rows.
    assert peak < 60e6


def test_memory_does_not_grow_with_the_file(tmp_path) -> None:
    line = json.dumps({"text": "سلام دنیا " * 100}, ensure_ascii=False) + "\n"
    path = write(tmp_path, "a.jsonl", line * 12_000)
    tracemalloc.start()
    with open_rows(path) as rows:
        count = sum(1 for _ in rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 12_000
    assert path.stat().st_size > 20e6
    assert peak < 12e6


def test_progress_goes_from_little_to_all(tmp_path) -> None:
    path = write(tmp_path, "a.jsonl", '{"text": "سلام"}\n' * 60_000)
    with open_rows(path) as rows:
        start = rows.share()
        assert sum(1 for _ in rows) == 60_000
        assert 0 <= start < 0.5
        assert rows.share() == 1


def test_packing_is_seen_in_the_bytes(tmp_path) -> None:
    assert read(write(tmp_path, "a.jsonl", pack(b'{"text": "a"}', ".gz"))) == [{"text": "a"}]


def test_sniff_shows_the_start(tmp_path) -> None:
    look = sniff(write(tmp_path, "a.csv", spell("csv", STORY)))
    assert (look.format, look.encoding, look.columns, look.rows) == ("csv", "utf-8", ["title", "text"], STORY)
