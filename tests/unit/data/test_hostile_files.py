"""Files as they come: what can be read of them is read, and what cannot is said in a sentence and leaves nothing."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from studio.data import compressed, stored
from studio.data.manifest import Manifest, suggest_name
from studio.data.persian.normalise import normalise
from studio.data.sample import Chat, Text
from studio.errors import StudioError
from studio.i18n import explain

from .files import pack, spell, write

LINE = "سلام دنیا، کتاب خوب است و هوا ابری است."
OLD = (LINE.replace("ی", "ي") + "\n").encode("windows-1256")
GOOD = (LINE + "\n").encode()
DEEP = "[" * 100_000 + "]" * 100_000
CHAT = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]


def bring(folder: Path, name: str, data: bytes | str, **options: Any) -> Manifest:
    return stored.import_files(
        [write(folder, name, data)], folder / "sets", "x", source="test", progress=lambda *_: None,
        stopping=lambda: False, **options,
    )  # fmt: skip


def samples(folder: Path) -> list[Any]:
    return list(stored.read_samples(folder / "sets" / "x"))


def parquet(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "code", "row"),
    [
        ("old.txt", OLD * 40, "data.encoding", None),
        ("wide.txt", (LINE * 40).encode("utf-16-le"), "data.encoding", None),
        ("mixed.txt", GOOD * 40 + OLD + GOOD, "data.encoding_broken", 41),
        ("mixed.jsonl", b'{"text": "' + GOOD[:-1] + b'"}\n{"text": "' + OLD[:-1] + b'"}\n', "data.encoding_broken", 2),
        ("mixed.txt", GOOD * 9_000 + OLD + GOOD, "data.encoding_broken", 9_001),
        ("comma.jsonl", '{"text": "a"}\n{"text": "b",}\n', "data.json_broken", 2),
        ("comma.json", '[{"text": "a"}, {"text": "b",}]', "data.json_broken", 2),
        ("comma.json", '[{"text": "a"},, {"text": "b"}]', "data.json_broken", 2),
        ("deep.json", f'[{{"messages": {DEEP}}}]', "data.json_broken", 1),
        ("deep.jsonl", f'{{"text": "a"}}\n{{"messages": {DEEP}}}\n', "data.json_broken", 2),
        ("deep.csv", f'messages,x\n"{DEEP}",1\n', "data.no_text_column", None),
        ("ragged.csv", "fa,en\nسلام,hello\nسلام\n", "data.ragged", 3),
        ("numbers.parquet", parquet(a=[1, 2], b=[1.5, None]), "data.no_text_column", None),
        ("types.parquet", parquet(
            a=[datetime(2020, 1, 1, tzinfo=UTC)], b=[Decimal("1.5")], c=[b"\xff\xfe"], d=[["a"]], e=pa.nulls(1)
        ), "data.no_text_column", None),
        ("bytes.parquet", parquet(text=[LINE.encode()]), "data.no_text_column", None),
        ("a\u202excod.txt", b"", "data.file_empty", None),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str, data: bytes | str, code: str, row: int | None) -> None:
    with pytest.raises(StudioError) as caught:
        bring(tmp_path, name, data)
    error = caught.value
    assert (error.code, error.details.get("row")) == (code, row)
    for locale in ("fa", "en"):
        said = explain(locale, error)
        assert not re.search("\\?[»”]|[{}\u202a-\u202e\u2066-\u2069]|None|Error", said), said
    assert not list((tmp_path / "sets").iterdir()), "nothing is half stored"


@pytest.mark.parametrize(
    ("name", "data", "rows", "dropped"),
    [
        ("a.txt", (LINE + "\n").encode("utf-16"), 1, {}),
        ("a.txt", "\ufeff".encode() + GOOD, 1, {}),
        ("a.txt", GOOD * 3 + b"a\0b\n" + GOOD, 4, {"broken_characters": 4}),
        ("a.txt", GOOD * 9_000 + b"a\0b\n" + GOOD, 9_001, {"broken_characters": 9_001}),
        ("a.csv", "fa,en\nسلام,he\0llo\nکتاب,book\n", 1, {"broken_characters": 2}),
        ("a.jsonl", '{"text": "سلام\\u0000"}\n{"text": "سلام"}\n', 1, {"broken_characters": 1}),
        ("a.json", f'[{{"text": "{LINE}"}}, {{"text": "b"}},]', 2, {}),  # one after the last row costs nothing
        ("a.jsonl", f'{{"messages": {"[" * 900 + "]" * 900}}}\n{{"messages": {json.dumps(CHAT)}}}\n', 1,
         {"not_a_list": 1}),
        ("a.jsonl", '{"text": "سلام"}\n{"text": null}\n{"other": 1}\n{"text": 3}\n', 1,
         {"missing_value": 2, "not_a_string": 4}),
        ("a.csv", "fa,en\nسلام,hello\n,x\nدنیا,\n", 1, {"empty": 3}),
        ("a.parquet", parquet(fa=["سلام", None, "دنیا"], en=["hello", "x", None]), 1, {"missing_value": 2}),
        ("a.parquet", parquet(text=pa.array([LINE, LINE]).dictionary_encode(), n=[Decimal("1.5")] * 2),
         2, {}),
        ("a.parquet", parquet(text=pa.array([LINE], pa.large_string()), n=pa.array([1], pa.duration("ns"))), 1, {}),
        ("a.txt", f"سلام \u202eabc\u202c دنیا\n{LINE}", 2, {}),
    ],
)  # fmt: skip
def test_what_can_be_read_is_read(
    tmp_path: Path, name: str, data: bytes | str, rows: int, dropped: dict[str, int]
) -> None:
    manifest = bring(tmp_path, name, data)
    assert (manifest.rows, manifest.dropped.keys()) == (rows, dropped.keys())
    assert {reason: places[0].row for reason, places in manifest.places.items()} == dropped, "rows are named"
    assert len(samples(tmp_path)) == rows


def test_a_mark_of_the_byte_order_is_no_letter(tmp_path: Path) -> None:
    bring(tmp_path, "a.txt", "\ufeff".encode() + GOOD)
    assert samples(tmp_path) == [Text(LINE)]


def test_imports_keep_marks_that_turn_a_line_and_normalising_drops_them(tmp_path: Path) -> None:
    turned = "سلام \u202eabc\u202c دنیا \u2067و\u2069 بقیه"
    bring(tmp_path, "a.txt", turned)
    assert samples(tmp_path) == [Text(turned)]
    assert normalise(turned) == "سلام abc دنیا و بقیه"


@pytest.mark.parametrize("packing", [".gz", ".zst"])
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.tmx"])
def test_a_bomb_is_left_before_it_unpacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packing: str, name: str
) -> None:
    monkeypatch.setattr(compressed, "RATIO_FREE_BYTES", 1_000_000)
    starts = {"a.txt": b"", "a.jsonl": b'{"text": "a"}\n' * 300, "a.tmx": b"<tmx><body><tu/>"}
    data = pack(starts[name] + b" \n" * 4_000_000, packing)
    with pytest.raises(StudioError) as caught:
        bring(tmp_path, name + packing, data)
    assert caught.value.code == "data.unpacks_too_large"
    assert not list((tmp_path / "sets").iterdir())


def test_a_name_cannot_lead_out_of_the_workspace(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    write(tmp_path, "a.txt", LINE)
    up = inside / ".." / "a.txt"
    for name in ("../x", "..", "a/../../x", "/tmp/x", "x\0", "\u202ex"):
        with pytest.raises(StudioError) as caught:
            stored.import_files(
                [up], tmp_path / "sets", name, source="test", progress=lambda *_: None, stopping=lambda: False
            )
        assert caught.value.code == "data.bad_name"
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.txt", "in"]
    assert suggest_name("../../etc/\u202epasswd.txt") == "passwd"
    manifest = bring(tmp_path, "in/../b.txt", LINE)
    assert manifest.files == ["b.txt"]


SHAREGPT = [{"from": "system", "value": "s"}, {"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]


@pytest.mark.parametrize(
    ("row", "form", "said"),
    [
        ({"conversations": SHAREGPT, "id": "1"}, "sharegpt", ["s", "q", "a"]),
        ({"instruction": "q", "input": "", "output": "a"}, "alpaca", ["q", "a"]),
        ({"instruction": "q", "input": "x", "output": "a", "system": "s"}, "alpaca", ["s", "q\n\nx", "a"]),
        ({"messages": [{"role": "developer", "content": [{"type": "text", "text": "s"}]},
                       {"role": "user", "content": [{"type": "text", "text": "q"}, {"type": "text", "text": "r"}]},
                       {"role": "assistant", "content": [{"type": "text", "text": "a"}],
                        "tool_calls": None}]},
         "messages", ["s", "qr", "a"]),
        ({"prompt": "q", "response": "a"}, "prompt_response", ["q", "a"]),
        ({"messages": [{"role": "system", "content": "s"}, *CHAT], "source": "gk"}, "messages", ["s", "q", "a"]),
        ({"messages": [{"role": "کاربر", "content": "q"}, {"role": "دستیار", "content": "a"}]}, "messages",
         ["q", "a"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_chats_of_every_form(tmp_path: Path, row: dict[str, Any], form: str, said: list[str], kind: str) -> None:
    manifest = bring(tmp_path, f"a.{kind}", spell(kind, [row] * 2))
    assert (manifest.kind, manifest.mapping.form, manifest.rows) == ("chat", form, 2)
    (first, _) = samples(tmp_path)
    assert isinstance(first, Chat)
    assert [turn.content for turn in first.messages] == said
