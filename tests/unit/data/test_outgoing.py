from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.data import health, outgoing, stored
from studio.data.sample import Chat, Message, Text
from studio.errors import StudioError
from tests.unit.data.cleaning.test_clean import store

ROWS = [Text("یکم\nدوم"), Text("من می‌روم و او می رود، كتاب ها اينجاست")]


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "txt"])
def test_what_is_written_can_be_read_again(tmp_path: Path, ending: str) -> None:
    folder, out = store(tmp_path, "in", ROWS), tmp_path / f"out.{ending}"
    told = outgoing.write(folder, out)
    assert told == {"out": str(out), "rows": 2, "bytes": out.stat().st_size}
    quiet = {"source": "test", "progress": lambda share, note: None, "stopping": lambda: False}
    stored.import_files([out], tmp_path, "again", **quiet)
    again = list(stored.read_samples(tmp_path / "again"))
    assert again == ([Text(row.text.replace("\n", " ")) for row in ROWS] if ending == "txt" else ROWS)
    with pytest.raises(StudioError, match=r"data\.export_exists"):
        outgoing.write(folder, out)


def test_what_cannot_be_written(tmp_path: Path) -> None:
    chats = store(tmp_path, "in", [Chat((Message("user", "چه؟"), Message("assistant", "هیچ")))])
    for out, code in (
        (tmp_path / "a.csv", "data.export_format"),
        (tmp_path / "a.txt", "data.export_not_text"),
        (tmp_path / "no" / "a.jsonl", "workspace.not_writable"),
    ):
        with pytest.raises(StudioError) as caught:
            outgoing.write(chats, out)
        assert caught.value.code == code
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_health_by_hand(tmp_path: Path) -> None:
    copies = [*ROWS, Text("من می‌روم و او می رود، کتاب ها اینجاست"), Text("The garden is large and green today.")]
    found = health.examine(store(tmp_path, "in", copies), progress=lambda share, note: None, stopping=lambda: False)
    assert (found["rows"], found["licence"], found["duplicate_share"]) == (4, "CC0-1.0", 0.25)
    # Row 2 has one kaf and one ye of Arabic and four of Persian, its copy six of Persian, row 1 one.
    arabic, persian = 2, sum(row.text.count("ی") + row.text.count("ک") for row in copies)
    assert found["arabic_ye_kaf_share"] == pytest.approx(arabic / (arabic + persian), abs=1e-4)
    assert found["half_space_share"] == pytest.approx(2 / 6, abs=1e-4)
    assert found["languages"]["en"] == 0.25
    assert found["lengths"]["least"] == 7
    assert found["lengths"]["most"] == len(ROWS[1].text)


def test_health_counts_rows_that_an_evaluation_file_holds(tmp_path: Path) -> None:
    sentence = "بچه‌ها از صبح در باغ بزرگ پشت خانه بازی می‌کنند و خوشحال هستند."
    folder = store(tmp_path, "in", [Text(f"پیش از آن. {sentence}"), Text("باران تند دیشب راه روستا را بست."), *ROWS])
    suite = tmp_path / "suite.jsonl"
    suite.write_text(json.dumps({"question": sentence}, ensure_ascii=False), encoding="utf8")
    quiet = {"progress": lambda share, note: None, "stopping": lambda: False}
    found = health.examine(folder, [suite], **quiet)
    assert (found["against"], found["contaminated_rows"]) == (["suite.jsonl"], 1)
    health.keep(folder, found)
    assert health.kept(folder) == found
    with pytest.raises(StudioError) as caught:
        health.examine(folder, progress=lambda share, note: None, stopping=lambda: True)
    assert caught.value.code == "job.stopped"
