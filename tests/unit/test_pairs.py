"""Pairs on the command line: aligned files and a translation memory imported, cleaned, undone and reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.data.sample import Pair
from studio.errors import StudioError
from studio.i18n import explain
from studio.services import datasets
from studio.services.studio import open_studio
from studio.settings import Settings
from tests.live import command

FA = ["سلام دنیا، امروز هوا خوب است.", "كتاب را روی میز گذاشت.", "", "بله", "تهران بزرگ است."]
EN = ["Hello world, the weather is good today.", "She put the book on the table.", "only here",
      "It has been raining in the north since early this morning.", "Tehran is large."]  # fmt: skip


def test_aligned_files(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    (tmp_path / "a.txt").write_text("\n".join(EN) + "\n", "utf8")
    (tmp_path / "b.txt").write_text("\n".join(FA) + "\n", "utf8")
    files = (str(tmp_path / "a.txt"), str(tmp_path / "b.txt"))
    told = command(workspace, "data", "import", *files, "--aligned", "--name", "two")
    assert (told["kind"], told["rows"], told["dropped"], told["files"]) == (
        "pair",
        4,
        {"empty": 1},
        ["a.txt", "b.txt"],
    )
    assert told["places"] == {"empty": [{"file": "a.txt + b.txt", "row": 3}]}
    cleaned = command(workspace, "data", "clean", "two")
    assert (cleaned["preset"], cleaned["rows_out"], list(cleaned["dropped"])) == ("pairs", 3, ["length_ratio"])
    undone = command(workspace, "data", "clean", "two", "--set", "length_ratio=off")
    assert (undone["rows_out"], undone["judged_again"]) == (4, False)
    studio = open_studio(Settings(workspace))
    assert datasets.preview(studio, "two-clean", 1, 1) == [Pair("کتاب را روی میز گذاشت.", EN[1])]
    report = command(workspace, "data", "report", "two")
    assert set(report["languages_en"]) == {"en"}
    (tmp_path / "b.txt").write_text("\n".join(FA[:-1]) + "\n", "utf8")
    refused = command(
        workspace, "data", "import", *files, "--aligned", "--name", "three", "--language", "fa", status=1
    )
    assert refused["error"] == "data.aligned_lengths"
    assert (refused["details"]["first_lines"], refused["details"]["second_lines"], refused["details"]["row"]) == (
        5,
        4,
        5,
    )
    assert refused["message"] == explain("fa", StudioError(refused["error"], **refused["details"]))
    assert sorted(path.name for path in (workspace / "datasets").iterdir()) == ["two", "two-clean", "two-clean-2"]


def test_files_that_cannot_be_aligned_queue_nothing(tmp_path: Path) -> None:
    studio = open_studio(Settings(tmp_path / "workspace"))
    file = tmp_path / "a.txt"
    file.write_text("\n".join(EN), "utf8")
    for files, code in (([file], "data.aligned_two"), ([file, file], "data.aligned_languages")):
        with pytest.raises(StudioError) as caught:
            datasets.start_import(studio, files, "x", aligned=True)
        assert caught.value.code == code
        assert "?" not in explain("en", caught.value)
    assert studio.jobs.listing() == []


def test_a_translation_memory(tmp_path: Path) -> None:
    units = "".join(
        f'<tu><tuv xml:lang="en-US"><seg>{en}</seg></tuv><tuv xml:lang="fa-IR"><seg>{fa}</seg></tuv></tu>'
        for fa, en in zip(FA, EN, strict=True)
    )
    file = tmp_path / "memory.tmx"
    file.write_text(f'<?xml version="1.0"?><tmx version="1.4"><body>{units}</body></tmx>', "utf8")
    told = command(tmp_path / "workspace", "data", "import", str(file), "--name", "memory")
    assert (told["kind"], told["rows"], told["dropped"]) == ("pair", 4, {"empty": 1})
    assert told["mapping"]["columns"] == {"fa": "fa", "en": "en"}
