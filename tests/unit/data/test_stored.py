from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Never

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.data import incoming, stored
from studio.data.incoming import ContentHash
from studio.data.mapping import make_mapping
from studio.data.sample import Chat, Message, Pair, Text
from studio.errors import StudioError

from .files import FORMATS, pack, spell, write

ROWS = [{"fa": f"داستان شمارهٔ {number}: روزی روزگاری", "en": f"story number {number}"} for number in range(1000)]


def bring(files, target, name="stories", **options) -> stored.Manifest:
    options = {"source": "upload", "progress": lambda share, note: None, "stopping": lambda: False} | options
    return stored.import_files(files, target, name, **options)


def fault(*arguments, **options) -> StudioError:
    with pytest.raises(StudioError) as caught:
        bring(*arguments, **options)
    return caught.value


@pytest.fixture
def target(tmp_path) -> Path:
    folder = tmp_path / "datasets"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("form", FORMATS)
def test_an_import_says_what_it_stored(tmp_path, target, form) -> None:
    seen = []
    manifest = bring(
        [write(tmp_path, f"a.{form}", spell(form, ROWS))],
        target,
        licence="CC0-1.0",
        progress=lambda share, note: seen.append((share, note)),
    )
    fa, en = "".join(row["fa"] for row in ROWS), "".join(row["en"] for row in ROWS)
    assert (manifest.kind, manifest.rows, manifest.characters) == ("pair", 1000, len(fa + en))
    assert manifest.bytes == len((fa + en).encode())
    arabic, latin = sum(map(str.isalpha, fa)), sum(map(str.isalpha, en))
    assert manifest.persian_share == pytest.approx(arabic / (arabic + latin), abs=1e-4)
    assert (manifest.source, manifest.licence, manifest.files) == ("upload", "CC0-1.0", [f"a.{form}"])
    assert manifest.encoding == (None if form == "parquet" else "utf-8")
    assert manifest.dropped == manifest.trimmed == {}
    assert manifest == stored.read_manifest(target / "stories")
    assert list(stored.read_samples(target / "stories")) == [Pair(**row) for row in ROWS]
    assert {note for _, note in seen} == {"progress.import.rows"}
    assert all(0 <= share <= 1 for share, _ in seen)
    assert sorted(item.name for item in (target / "stories").iterdir()) == ["data-00000.parquet", "manifest.json"]


words = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1).filter(lambda text: text.strip())
messages = st.lists(words, min_size=2, max_size=6).map(
    lambda texts: Chat(
        tuple(
            Message(("user", "assistant")[place % 2], text) for place, text in enumerate(texts[: len(texts) // 2 * 2])
        )
    )
)


@settings(max_examples=20, deadline=None)
@given(st.one_of(st.lists(words.map(Text), min_size=1), st.lists(messages, min_size=1)))
def test_samples_stored_are_samples_read(samples) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with incoming.incoming(Path(folder), "a") as writer:
            for sample in samples:
                writer.add(sample)
            mapping = make_mapping("text", text="text")
            manifest = writer.commit(mapping=mapping, source="test", licence=None, encoding=None, files=[])
        assert list(stored.read_samples(Path(folder) / "a")) == samples
        again = ContentHash()
        for sample in samples:
            again.add(sample)
        assert manifest.sha256 == again.hexdigest()


def test_the_hash_is_of_the_content_in_its_order(tmp_path, target) -> None:
    first = bring([write(tmp_path, "a.csv", spell("csv", ROWS))], target, "a")
    same = bring([write(tmp_path, "b.jsonl.gz", pack(spell("jsonl", ROWS), ".gz"))], target, "b")
    other = bring([write(tmp_path, "c.csv", spell("csv", ROWS[::-1]))], target, "c")
    assert first.sha256 == same.sha256 != other.sha256
    expected = hashlib.sha256(b"1;8:" + "سلام".encode()).hexdigest()
    digest = ContentHash()
    assert digest.add(Text("سلام")) == 8
    assert digest.hexdigest() == expected


def test_several_files_become_one_dataset(tmp_path, target) -> None:
    files = [
        write(tmp_path, "a.csv", spell("csv", ROWS[:10])),
        write(tmp_path, "b.jsonl", spell("jsonl", ROWS[10:20])),
    ]
    manifest = bring(files, target)
    assert (manifest.rows, manifest.files) == (20, ["a.csv", "b.jsonl"])
    assert list(stored.read_samples(target / "stories")) == [Pair(**row) for row in ROWS[:20]]


def test_an_accepted_encoding_serves_the_files_that_need_it(tmp_path, target) -> None:
    text = "روز خوبي بود و آفتاب مي‌تابيد"
    files = [write(tmp_path, "a.txt", text.encode("windows-1256")), write(tmp_path, "b.txt", text)]
    assert fault(files, target).details["guess"] == "windows-1256"
    manifest = bring(files, target, encoding="windows-1256")
    assert manifest.encoding == "windows-1256, utf-8"
    assert list(stored.read_samples(target / "stories")) == [Text(text), Text(text)]


def test_dropped_rows_are_counted_by_reason(tmp_path, target) -> None:
    good = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    rows = [{"messages": good}, {"messages": good[:1]}, {"messages": good[::-1]}, {"messages": [*good, good[0]]}]
    manifest = bring([write(tmp_path, "a.jsonl", spell("jsonl", rows))], target)
    assert (manifest.rows, manifest.dropped, manifest.trimmed) == (
        2,
        {"no_answer": 1, "bad_roles": 1},
        {"last_turn": 1},
    )


def test_large_content_is_cut_into_row_groups_and_parts(tmp_path, target, monkeypatch) -> None:
    monkeypatch.setattr(incoming, "GROUP_ROWS", 100)
    monkeypatch.setattr(incoming, "PART_BYTES", 2_000)
    bring([write(tmp_path, "a.csv", spell("csv", ROWS))], target)
    parts = sorted((target / "stories").glob("data-*.parquet"))
    assert len(parts) > 2
    assert pq.ParquetFile(parts[0]).metadata.row_group(0).column(0).compression == "ZSTD"
    assert list(stored.read_samples(target / "stories")) == [Pair(**row) for row in ROWS]
    assert stored.sample_rows(target / "stories", 395, 10) == [Pair(**row) for row in ROWS[395:405]]
    assert stored.sample_rows(target / "stories", 998, 10) == [Pair(**row) for row in ROWS[998:]]
    assert stored.sample_rows(target / "stories", 5000, 10) == []
    seen: list[str] = []

    def count_tokens(texts) -> list[int]:
        seen.extend(texts)
        return [len(text.split()) for text in texts]

    assert len(stored.token_lengths(target / "stories", count_tokens, 8)) == 8
    assert seen == ["\n".join(ROWS[number].values()) for number in range(0, 1000, 125)]


@pytest.mark.parametrize(
    ("name", "data", "options", "code"),
    [
        ("a.csv", spell("csv", ROWS) + b"x\n", {}, "data.ragged"),
        ("a.jsonl", spell("jsonl", ROWS)[:-9], {}, "data.truncated"),
        ("a.jsonl.zst", pack(spell("jsonl", ROWS), ".zst")[:-9], {}, "data.truncated"),
        ("a.jsonl", b'{"text": " "}\n' * 9, {"mapping": make_mapping("text", text="text")}, "data.nothing_usable"),
        ("a.csv", spell("csv", ROWS), {"mapping": make_mapping("text", text="body")}, "data.no_such_column"),
        ("a.csv", spell("csv", ROWS), {"free": lambda folder: 10**6}, "disk.too_small"),
        ("a.csv", spell("csv", ROWS), {"name": "../a"}, "data.bad_name"),
        ("a.csv", spell("csv", ROWS), {"name": "taken"}, "data.name_taken"),
    ],
)
def test_a_failed_import_leaves_nothing(tmp_path, target, name, data, options, code) -> None:
    (target / "taken").mkdir()
    assert fault([write(tmp_path, name, data)], target, **options).code == code
    assert [item.name for item in target.iterdir()] == ["taken"]


def test_a_stopped_import_leaves_nothing(tmp_path, target) -> None:
    calls = []
    error = fault(
        [write(tmp_path, "a.csv", spell("csv", ROWS))], target, stopping=lambda: calls.append(1) or len(calls) > 3
    )
    assert error.code == "job.stopped"
    assert list(target.iterdir()) == []


def test_an_unforeseen_fault_leaves_nothing(tmp_path, target) -> None:
    def progress(share, note) -> Never:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring([write(tmp_path, "a.csv", spell("csv", ROWS))], target, progress=progress)
    assert list(target.iterdir()) == []


def test_no_files(target) -> None:
    assert fault([], target).code == "data.no_files"


def test_a_workspace_that_cannot_be_written(tmp_path) -> None:
    blocked = write(tmp_path, "file", b"x") / "datasets"
    error = fault([write(tmp_path, "a.csv", spell("csv", ROWS))], blocked)
    assert error.code == "workspace.not_writable"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_disk_that_fills_up_while_writing(target) -> None:
    def fill() -> None:
        with incoming.incoming(target, "a", create=lambda path: Path("/dev/full").open("wb", buffering=0)) as writer:
            for _ in range(incoming.GROUP_ROWS):
                writer.add(Text("سلام"))

    with pytest.raises(StudioError) as caught:
        fill()
    assert caught.value.code == "disk.full"
    assert list(target.iterdir()) == []


def test_of_two_imports_with_one_name_the_slower_is_told(target) -> None:
    def commit(writer) -> stored.Manifest:
        writer.add(Text("سلام"))
        mapping = make_mapping("text", text="text")
        return writer.commit(mapping=mapping, source="test", licence=None, encoding=None, files=[])

    def race() -> None:
        with incoming.incoming(target, "a") as slow:
            with incoming.incoming(target, "a") as fast:
                commit(fast)
            commit(slow)

    with pytest.raises(StudioError) as caught:
        race()
    assert caught.value.code == "data.name_taken"
    assert [item.name for item in target.iterdir()] == ["a"]


def test_what_a_killed_import_left_is_removed_by_the_next(tmp_path, target) -> None:
    code = f"""
import os, sys
from pathlib import Path
from studio.data.incoming import incoming
with incoming(Path({str(target)!r}), "a") as writer:
    print(writer.folder, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    ) as worker:
        assert worker.stdout is not None
        left = Path(worker.stdout.readline().strip())
        os.utime(left, (time.time() - 3600,) * 2)
        incoming.remove_abandoned(target)
        assert left.exists()  # it is still at work
        worker.kill()
    bring([write(tmp_path, "a.csv", spell("csv", ROWS))], target)
    assert [item.name for item in target.iterdir()] == ["stories"]


def test_datasets_are_listed_and_deleted(tmp_path, target) -> None:
    file = write(tmp_path, "a.csv", spell("csv", ROWS))
    for name in ("a", "داستان"):
        bring([file], target, name)
    write(target, "note.txt", b"x")
    (target / "broken").mkdir()
    write(target / "broken", "manifest.json", b"{")
    assert {manifest.name for manifest in stored.list_datasets(target)} == {"a", "داستان"}
    stored.delete(target / "a")
    assert [manifest.name for manifest in stored.list_datasets(target)] == ["داستان"]
    assert not list(target.glob(".*"))
    for folder in ("a", "note.txt"):
        with pytest.raises(StudioError) as caught:
            stored.delete(target / folder)
        assert caught.value.code == "data.no_such_dataset"


def test_no_datasets_folder_is_no_datasets(tmp_path) -> None:
    assert stored.list_datasets(tmp_path / "none") == []


def test_a_damaged_dataset_is_said(tmp_path, target) -> None:
    bring([write(tmp_path, "a.csv", spell("csv", ROWS))], target)
    part = target / "stories" / "data-00000.parquet"
    part.write_bytes(part.read_bytes()[:-100])
    for read in (lambda folder: list(stored.read_samples(folder)), lambda folder: stored.sample_rows(folder, 0, 1)):
        with pytest.raises(StudioError) as caught:
            read(target / "stories")
        assert caught.value.code == "data.dataset_damaged"
    write(target / "stories", "manifest.json", b"{}")
    with pytest.raises(StudioError) as caught:
        stored.read_manifest(target / "stories")
    assert caught.value.code == "data.dataset_damaged"
