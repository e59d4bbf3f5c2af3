from __future__ import annotations

import json
from pathlib import Path

from studio.data import stored
from studio.data.manifest import FILE, Manifest

from .files import spell, write

GOOD = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]


def bring(folder: Path, *files: Path) -> Manifest:
    return stored.import_files(
        files, folder / "sets", "chats", source="test", progress=lambda *_: None, stopping=lambda: False
    )


def test_the_first_rows_of_each_reason_are_named(tmp_path: Path) -> None:
    turns = [GOOD, [{"role": "tool", "content": "x"}, *GOOD], GOOD + GOOD[1:], GOOD[:1]] * 4
    files = [
        write(tmp_path, name, spell("jsonl", [{"messages": each} for each in turns]))
        for name in ("a.jsonl", "b.jsonl")
    ]
    manifest = bring(tmp_path, *files)
    assert manifest.dropped == {"tool_turn": 8, "no_answer": 8}
    assert manifest.trimmed == {"joined_turns": 8}
    assert [(place.file, place.row) for place in manifest.places["tool_turn"]] == [
        ("a.jsonl", 2), ("a.jsonl", 6), ("a.jsonl", 10), ("a.jsonl", 14), ("b.jsonl", 2),
    ]  # fmt: skip
    assert {reason: places[0].row for reason, places in manifest.places.items()} == {
        "tool_turn": 2, "no_answer": 4, "joined_turns": 3,
    }  # fmt: skip
    assert manifest == stored.read_manifest(tmp_path / "sets" / "chats")


def test_a_manifest_without_places_is_still_read(tmp_path: Path) -> None:
    bring(tmp_path, write(tmp_path, "a.jsonl", spell("jsonl", [{"messages": GOOD}])))
    file = tmp_path / "sets" / "chats" / FILE
    old = json.loads(file.read_text("utf8"))
    del old["places"]
    file.write_text(json.dumps(old), "utf8")
    assert stored.read_manifest(file.parent).places == {}
