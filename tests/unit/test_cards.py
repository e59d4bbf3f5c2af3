"""Cards of exports are read, edited and put back; a card that the Hub could not read is refused."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from studio.errors import StudioError
from studio.publish.cards.card import BaseFacts, write_card
from studio.publish.cards.edits import put_card
from studio.publish.record import check_record, write_record
from studio.services import cards
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from tests.unit.publish.test_card import FACTS

FACTS = dataclasses.replace(FACTS, name="first-1")


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    opened = open_studio(Settings(tmp_path))
    export(opened)
    return opened


def export(studio: Studio) -> str:
    """What an export job leaves behind; returns what became of earlier edits."""
    run = studio.settings.runs / "first-1"
    run.mkdir(exist_ok=True)
    folder = studio.settings.exports / "first-1"
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    put = put_card(folder, FACTS, run)
    write_record(folder, "merged", "run:first-1", "starter:smollm2-135m", {})
    return put.state


def test_a_card_is_read_edited_and_put_back(studio: Studio) -> None:
    made = cards.read(studio, "first-1")
    assert made == write_card(FACTS)
    assert not cards.is_edited(studio, "first-1")
    cards.save(studio, "first-1", made.replace("## Limits", "## What it cannot do").replace("\n", "\r\n"))
    edited = cards.read(studio, "first-1")
    assert "## What it cannot do\n" in edited
    assert "\r" not in edited
    assert cards.is_edited(studio, "first-1")
    check_record(studio.settings.exports / "first-1")  # a card may be edited after the checks
    assert export(studio) == "edited"
    assert cards.read(studio, "first-1") == edited
    assert cards.reset(studio, "first-1") == made == cards.read(studio, "first-1")
    assert export(studio) == "made"


@pytest.mark.parametrize(
    ("front", "reason"),
    [
        ("license: [apache-2.0\n", "expected"),
        ("license: ''\n", "license"),
        ("license: other\n", "license_name"),
        ("license: mit\nbase_model: not a repository\n", "not a repository"),
        ("license: mit\ndatasets: [a/b/c]\n", "a/b/c"),
        ("license: mit\ntags: {a: b}\n", "tags"),
        ("license: mit\nmodel-index: [{name: x}]\n", "results"),
        ("license: mit\nmodel-index: nothing\n", ""),
        ("- license\n", "key: value"),
        ("1: 2\nlicense: mit\n", ""),
        ("!!python/object/apply:os.system ['true']\n", "python"),
    ],
)
def test_metadata_that_the_hub_cannot_read_is_refused(studio: Studio, front: str, reason: str) -> None:
    before = cards.read(studio, "first-1")
    with pytest.raises(StudioError, match=r"card\.bad_metadata") as caught:
        cards.save(studio, "first-1", f"---\n{front}---\n\n# Text\n")
    assert reason in caught.value.details["reason"]
    assert cards.read(studio, "first-1") == before
    assert not cards.is_edited(studio, "first-1")


@pytest.mark.parametrize("text", ["", "# Only text\n", "---\nlicense: mit\n", "text\n---\nlicense: mit\n---\n"])
def test_a_card_needs_front_matter(studio: Studio, text: str) -> None:
    with pytest.raises(StudioError, match=r"card\.bad_metadata"):
        cards.save(studio, "first-1", text)


def test_a_card_has_a_size(studio: Studio) -> None:
    with pytest.raises(StudioError, match=r"card\.too_large"):
        cards.save(studio, "first-1", "---\nlicense: mit\n---\n" + "آ" * cards.LIMIT)


@pytest.mark.parametrize("name", ["", ".", "..", "nothing", "../runs/first-1", "/etc", ".incoming-first-1", "a/b"])
def test_only_exports_have_cards(studio: Studio, name: str) -> None:
    coming = studio.settings.exports / ".incoming-first-1"
    shutil.copytree(studio.settings.exports / "first-1", coming)
    for call in (cards.read, cards.reset, cards.is_edited):
        with pytest.raises(StudioError, match=r"card\.no_export"):
            call(studio, name)
    with pytest.raises(StudioError, match=r"card\.no_export"):
        cards.save(studio, name, cards.read(studio, "first-1"))


def test_the_card_of_a_run_that_is_gone_can_still_be_edited(studio: Studio) -> None:
    (studio.settings.runs / "first-1").rename(studio.settings.runs / "elsewhere")
    cards.save(studio, "first-1", cards.read(studio, "first-1") + "\nmore\n")
    assert cards.read(studio, "first-1").endswith("more\n")
    with pytest.raises(StudioError, match=r"card\.no_original"):
        cards.reset(studio, "first-1")


def test_a_card_of_a_base_whose_licence_is_unknown_can_be_edited(studio: Studio) -> None:
    unknown = write_card(dataclasses.replace(FACTS, base=BaseFacts("local:mine")))
    cards.save(studio, "first-1", f"{unknown}more\n")
    assert cards.read(studio, "first-1").endswith("more\n")


def test_visitors_see_no_cards(studio: Studio) -> None:
    visitor = studio.for_visitors()
    for call in (cards.read, cards.reset, cards.is_edited):
        with pytest.raises(StudioError, match=r"auth\.owner_only"):
            call(visitor, "first-1")
    with pytest.raises(StudioError, match=r"auth\.owner_only"):
        cards.save(visitor, "first-1", "")
