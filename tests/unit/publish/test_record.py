"""An export is published only as it was when its checks passed."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.errors import StudioError
from studio.publish.record import RECORD, check_record, read_record, write_record


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "README.md").write_text("card", encoding="utf8")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "tool.jinja").write_text("{}", encoding="utf8")
    write_record(tmp_path, "merged", "run:one", "starter:smollm2-135m", {"tensors": 3})
    return tmp_path


def test_untouched_folder_passes_and_an_edited_card_too(folder: Path) -> None:
    (folder / "README.md").write_text("another card", encoding="utf8")
    record = check_record(folder)
    assert set(record.files) == {"model.safetensors", "templates/tool.jinja"}
    assert (record.kind, record.run, record.checks) == ("merged", "run:one", {"tensors": 3})


@pytest.mark.parametrize("file", ["model.safetensors", "templates/tool.jinja"])
def test_changed_file_is_named(folder: Path, file: str) -> None:
    (folder / file).write_bytes(b"WEIGHTS")
    with pytest.raises(StudioError) as caught:
        check_record(folder)
    assert (caught.value.code, caught.value.details["file"]) == ("publish.changed_since", file)


def test_added_and_removed_files_are_named(folder: Path) -> None:
    (folder / "token.txt").write_text("secret", encoding="utf8")
    with pytest.raises(StudioError, match="token.txt"):
        check_record(folder)
    (folder / "token.txt").unlink()
    (folder / "model.safetensors").unlink()
    with pytest.raises(StudioError, match="model.safetensors"):
        check_record(folder)


def test_folder_without_a_record_was_not_checked(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None
    with pytest.raises(StudioError, match="publish.not_checked"):
        check_record(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", '{"kind": "pickle"}'])
def test_broken_record_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / RECORD).write_text(text, encoding="utf8")
    with pytest.raises(StudioError, match="publish.record_broken"):
        read_record(tmp_path)
