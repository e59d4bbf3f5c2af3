from __future__ import annotations

from pathlib import Path

import pytest

from studio.errors import StudioError
from studio.models.reference import ModelReference, parse_reference


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("hub:org/name", ModelReference("hub", "org/name")),
        ("hub:org/na.me-2@refs/pr/1", ModelReference("hub", "org/na.me-2", "refs/pr/1")),
        ("local:/models/a b", ModelReference("local", "/models/a b")),
        ("run:first_steps-3", ModelReference("run", "first_steps-3")),
        ("run:first_steps-3/chat", ModelReference("run", "first_steps-3", None, "chat")),
        ("run:first_steps-3/chat@20", ModelReference("run", "first_steps-3", "20", "chat")),
        ("run:first_steps-3@20", ModelReference("run", "first_steps-3", "20")),
        ("starter:smollm2-135m", ModelReference("starter", "smollm2-135m")),
    ],
)
def test_a_reference_is_read_and_written_back(text: str, parsed: ModelReference) -> None:
    assert parse_reference(text) == parsed
    assert str(parsed) == text


def test_the_path_of_a_folder_is_local(tmp_path: Path) -> None:
    assert parse_reference(str(tmp_path)) == ModelReference("local", str(tmp_path))


@pytest.mark.parametrize(
    "text",
    ["", "  ", "nonsense", "hub:name", "hub:../x", "hub:org/..", "hub:a/b/c", "hub:a/b@../c", "run:", "run:a/../b",
     "run:../../etc", "starter:", "starter:../x", "local:", "ftp:org/name", "hub:org/na me", "run:id@step"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(StudioError) as error:
        parse_reference(text)
    assert error.value.code == "model.bad_reference"
