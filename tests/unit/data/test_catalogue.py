"""The shipped catalogue holds together: nothing doubtful without a mark, nothing restricted without a warning."""

from __future__ import annotations

import re

import pytest
import yaml
from pydantic import ValidationError

from studio.data.catalogue import PAPERS, PURPOSES, WARNINGS, Entry, entries, entry, entry_of, warnings_of
from studio.data.hub import check_id
from studio.data.licences import traits
from studio.data.manifest import suggest_name
from studio.data.mapping import check_mapping
from studio.errors import StudioError
from studio.i18n import LOCALES, sentences
from studio.settings import PRESETS

ALL = pytest.mark.parametrize("each", entries(), ids=lambda each: each.name)


def test_every_key_stands_once() -> None:
    # YAML takes the second of two equal keys without a word.
    text = (PRESETS / "catalogue.yaml").read_text(encoding="utf8").partition("\ndatasets:\n")[2]
    names = re.findall(r"^  ([\w-]+):", text, flags=re.M)
    assert names == [each.name for each in entries()]
    assert len(names) == len(set(names)) > 40


def test_every_dataset_stands_once() -> None:
    ids = [(each.id.lower(), each.config) for each in entries() if each.id]
    assert len(set(ids)) == len(ids)
    assert {paper for each in entries() for paper in each.used_by} == set(PAPERS)
    assert {each.kind for each in entries()} == set(PURPOSES)
    assert {code for each in entries() for code in each.warnings} == set(WARNINGS), "no code without a use"


@ALL
def test_ids_names_and_columns_are_ones_an_import_takes(each: Entry) -> None:
    assert suggest_name(each.name) == each.name
    if each.id:
        assert check_id(each.id) == each.id
        assert entry_of(each.id.upper()).id == each.id
    mapping = each.columns()
    if mapping is not None:
        check_mapping(mapping, list(mapping.columns.values()))


@ALL
def test_what_restricts_is_warned_of(each: Entry) -> None:
    found = traits(each.licence)
    for trait in ("non_commercial", "no_derivatives"):
        assert trait not in found or trait in each.warnings
    if each.id:
        assert ("unknown" in found) == ("no_licence" in each.warnings)
    if each.kind == "evaluation":
        assert {"benchmark_only", "contamination"} & set(each.warnings)
    assert ("gated" in each.warnings) == (each.gated is True)
    assert ("large" in each.warnings) == ((each.bytes or 0) > 2_000_000_000 or each.name == "aya-iranian-persian")


@ALL
def test_notes_are_said_well_in_both_languages(each: Entry) -> None:
    assert re.search("[آ-ی]", each.note.fa)
    assert not re.search("[يىكـ٠-٩]", each.note.fa)
    assert not re.search("\u200c[\\s\u200c،؛.]|\\s\u200c|\u200c$", each.note.fa)
    assert not re.search("[آ-ی]", each.note.en)
    assert each.note.fa[-1] in ".)؟"
    assert each.note.en[-1] in ".)?"


@pytest.mark.parametrize("locale", LOCALES)
def test_every_code_has_its_sentences(locale) -> None:
    known = sentences(locale)
    wanted = [f"catalogue.warning.{code}" for code in WARNINGS]
    wanted += [f"catalogue.warning.{code}.do" for code in WARNINGS]
    wanted += [f"catalogue.paper.{code}" for code in PAPERS] + [f"catalogue.kind.{code}" for code in PURPOSES]
    wanted += [f"catalogue.field.{field}" for each in entries() for field in each.unverified]
    assert [key for key in wanted if not known.get(key)] == []


FACTS = {"name": "a", "id": "org/a", "kind": "text", "source": "s", "note": {"fa": "ی.", "en": "e."}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"licens": "mit"},
        {"unverified": ["columns"]},
        {"warnings": ["dangerous"]},
        {"used_by": ["gpt"]},
        {"splits": {"test": 3}},
        {"where": "somewhere"},
        {"id": None},
        {"mapping": {"form": "poem", "columns": {}}},
    ],
)
def test_a_mistake_in_the_file_is_refused(wrong) -> None:
    Entry.model_validate(FACTS)
    with pytest.raises(ValidationError):
        Entry.model_validate(FACTS | wrong)


def test_an_unknown_entry_has_its_sentence() -> None:
    with pytest.raises(StudioError) as caught:
        entry("nothing")
    assert caught.value.code == "catalogue.unknown"


def test_warnings_follow_the_licence_that_came() -> None:
    naab, alpaca = entry("naab"), entry("alpaca-persian")
    assert warnings_of(None, "cc-by-nc-nd-4.0") == ("non_commercial", "no_derivatives")
    assert warnings_of(None, None) == ("no_licence",)
    assert warnings_of(None, "mit") == ()
    assert "non_commercial" in warnings_of(naab, "mit"), "what the catalogue knows is not forgotten"
    assert "no_licence" not in warnings_of(alpaca, "mit"), "by now its card states one"
    assert list(warnings_of(naab, None)) == sorted(warnings_of(naab, None), key=WARNINGS.index)


def test_the_models_part_of_the_file_stays_readable() -> None:
    from studio.models.catalogue import catalogue

    assert catalogue().starters
    assert yaml.safe_load((PRESETS / "catalogue.yaml").read_text(encoding="utf8")).keys() == {
        "families",
        "starters",
        "datasets",
    }
