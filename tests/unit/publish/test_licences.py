"""What licences of base and data ask, and when that ends a publication."""

from __future__ import annotations

import pytest

from studio.errors import StudioError
from studio.i18n import LOCALES, say
from studio.publish.cards.card import BaseFacts, DataFacts
from studio.publish.licences import Finding, check, find

OPEN = (DataFacts("texts", 10, "cc-by-4.0"), DataFacts("more", 10, "odc-by"))


def codes(licence: str | None, *data: DataFacts, repo: str = "org/fa", gated: bool = False) -> list[str]:
    base = BaseFacts("hub:a/base", "a/base", licence)
    return [each.code for each in find(base, data or OPEN, repo, gated=gated)]


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("apache-2.0", []),
        ("mit", []),
        ("gemma", ["gemma"]),
        ("llama2", ["llama"]),
        ("llama3.2", ["llama_name", "llama"]),
        ("llama4", ["llama_name", "llama"]),
        ("cc-by-nc-4.0", ["non_commercial"]),
        ("cc-by-nc-nd-4.0", ["no_derivatives", "non_commercial"]),
        ("cc-by-sa-4.0", ["share_alike"]),
        ("gpl-3.0", ["share_alike"]),
        ("other", ["own_terms"]),
        ("bigscience-bloom-rail-1.0", ["own_terms"]),
        ("my own", ["unknown_base"]),
        (None, ["unknown_base"]),
    ],
)
def test_of_a_base(licence: str | None, expected: list[str]) -> None:
    assert codes(licence) == expected


@pytest.mark.parametrize("name", ["org/Llama-fa", "org/llama3-fa"])
def test_a_name_that_begins_with_llama_meets_its_licence(name: str) -> None:
    assert codes("llama3", repo=name) == ["llama"]


def test_the_organisation_is_no_part_of_the_name() -> None:
    assert "llama_name" in codes("llama3", repo="llama/fa")


def test_every_dataset_is_looked_at_and_conflicts_come_first() -> None:
    data = (DataFacts("news", 5, "cc-by-nc-4.0"), DataFacts("gone"), DataFacts("book", 5, "cc-by-nd-4.0"))
    found = find(BaseFacts("hub:a/base", "a/base", "mit"), data, "org/fa")
    assert [(each.code, each.subject) for each in found] == [
        ("no_derivatives", "book"), ("non_commercial", "news"), ("unknown_data", "gone")
    ]  # fmt: skip
    assert [each.conflict for each in found] == [True, False, False]


def test_a_gated_base_is_told() -> None:
    assert codes("mit", gated=True) == ["gated"]


def refused(found: list[Finding], **named: bool) -> StudioError | None:
    try:
        check(found, **{"private": True, "accepted": False, **named})
    except StudioError as error:
        return error
    return None


def test_asking_ends_with_acceptance_and_a_conflict_only_with_privacy() -> None:
    asks = Finding("non_commercial", "news", "cc-by-nc-4.0")
    bars = Finding("no_derivatives", "book", "cc-by-nd-4.0", conflict=True)
    name = Finding("llama_name", "a/base", "llama3", conflict=True)
    assert refused([]) is None
    asked = refused([asks, bars])
    assert asked is not None
    assert (asked.code, asked.details["subjects"]) == (
        "publish.licence_asks", "news (cc-by-nc-4.0), book (cc-by-nd-4.0)"
    )  # fmt: skip
    assert refused([asks], accepted=True) is None
    assert refused([asks, bars], accepted=True) is None
    for conflict, code in ((bars, "publish.licence_conflict"), (name, "publish.llama_name")):
        error = refused([asks, conflict], accepted=True, private=False)
        assert error is not None
        assert error.code == code
    assert refused([asks], accepted=True, private=False) is None


def test_every_finding_has_a_sentence_that_names_its_subject() -> None:
    data = (DataFacts("gone"), DataFacts("a", 1, "cc-by-nc-nd-4.0"), DataFacts("b", 1, "cc-by-sa-4.0"),
            DataFacts("c", 1, "other"))  # fmt: skip
    found = [each for licence in ("gemma", "llama3", None)
             for each in find(BaseFacts("local:x", None, licence), data, "o/n", gated=True)]  # fmt: skip
    assert {each.code for each in found} == set(_all_codes())
    for each in found:
        for locale in LOCALES:
            text = say(locale, f"licence.finding.{each.code}", subject=each.subject, licence=each.licence)
            assert each.subject in text


def _all_codes() -> tuple[str, ...]:
    from typing import get_args

    from studio.publish.licences import Code

    return get_args(Code)
