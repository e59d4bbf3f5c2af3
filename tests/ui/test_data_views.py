from __future__ import annotations

import re
from typing import Any

import pytest

from studio.data.manifest import Cleaned, Manifest, Place
from studio.data.mapping import make_mapping
from studio.i18n import sentences
from studio.services.datasets import Found
from studio.ui.data_views import found_view, manifest_figures


def manifest(**changed: Any) -> Manifest:
    return Manifest(
        name="chats", kind="chat", rows=9, characters=90, bytes=99, persian_share=1.0, source="test", licence=None,
        sha256="x", mapping=make_mapping("messages", messages="m"), encoding=None, created="2026-01-01", **changed,
    )  # fmt: skip


def shown(locale: str, **changed: Any) -> str:
    return re.sub("<[^>]*>", " ", str(manifest_figures(locale, manifest(**changed), None)))


@pytest.mark.parametrize(("locale", "rows"), [("fa", "ردیف‌های ۳، ۴"), ("en", "rows 3, 4")])
def test_dropped_rows_are_named(locale: str, rows: str) -> None:
    places = {"tool_turn": [Place(file="a", row=3), Place(file="a", row=4)], "last_turn": [Place(file="a", row=7)]}
    text = shown(locale, dropped={"tool_turn": 5}, trimmed={"last_turn": 1}, places=places, files=["a"])
    assert f"({rows}…)" in text
    assert sentences(locale)["data.repaired"] in text
    assert sentences(locale)["data.reasons.last_turn"] in text
    assert sentences(locale)["data.repaired"] not in shown(locale, dropped={"empty": 1}, files=["a"])


def test_rows_of_several_files_carry_their_file_and_no_name_turns_the_line_about() -> None:
    name = "a\u202elnosj.b"
    text = shown("en", dropped={"empty": 1}, places={"empty": [Place(file=name, row=3)]}, files=["c", name])
    assert "(rows a\ufffdlnosj.b:3)" in text


def test_a_cleaned_dataset_names_its_rules() -> None:
    cleaned = Cleaned(parent="a", parent_sha256="x", preset="chats", off=[], values={}, normalised=True, against=[])
    assert "wrong order or roles" in shown("en", dropped={"roles": 2}, files=["a"], cleaned=cleaned)


def test_a_column_cannot_turn_the_line_about() -> None:
    column = "te\u202ext"
    found = Found("a.csv", "csv", "utf-8", [column], make_mapping("text", text=column), [{column: "سلام"}])
    assert "\u202e" not in str(found_view("en", found))
