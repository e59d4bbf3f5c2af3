"""The text of an export's card on the page: what was typed stays, whatever event answers late."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.publish.record import CARD, write_record
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from studio.ui.publish_card import card_update


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return open_studio(Settings(tmp_path / "workspace"))


def export(studio: Studio, name: str, card: str) -> None:
    folder = studio.settings.exports / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    (folder / CARD).write_text(card, encoding="utf8")
    write_record(folder, "adapter", "run:first-1", "local:/base", {})


def card(studio: Studio, name: str, held: str = "", written: str = "") -> tuple[str, str]:
    found = card_update(studio, name, held, written)
    assert found is not None
    return found


def test_the_same_card_is_given_once(studio: Studio) -> None:
    export(studio, "first", "# one\n")
    text, shown = card(studio, "first")
    assert text == "# one\n"
    assert card_update(studio, "first", shown, text) is None
    assert card_update(studio, "first", shown, text + "typed") is None


def test_a_card_made_again_comes_unless_something_was_typed(studio: Studio) -> None:
    export(studio, "first", "# one\n")
    text, shown = card(studio, "first")
    export(studio, "first", "# two\n")
    assert card_update(studio, "first", shown, text + "typed") is None
    assert card(studio, "first", shown, text.replace("\n", "\r\n"))[0] == "# two\n"


def test_another_export_brings_its_own(studio: Studio) -> None:
    export(studio, "first", "# one\n")
    export(studio, "first-gguf", "# two\n")
    text, shown = card(studio, "first")
    assert card(studio, "first-gguf", shown, text + "typed")[0] == "# two\n"


def test_of_an_export_that_is_gone_nothing_is_left_but_what_was_typed(studio: Studio) -> None:
    export(studio, "first", "# one\n")
    text, shown = card(studio, "first")
    assert card_update(studio, "other", shown, text) == ("", "")
    assert card_update(studio, "other", shown, text + "typed") is None
    assert card_update(studio, None) is None
