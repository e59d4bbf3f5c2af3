"""What the licences of base and data ask of somebody who publishes what was made from them.

No legal advice: a reminder of what such licences say, so that nobody publishes without having seen it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from studio.data.licences import traits
from studio.errors import StudioError
from studio.models.files import locate
from studio.models.reference import parse_reference
from studio.publish.cards.card import BaseFacts, DataFacts
from studio.publish.cards.gathered import base_facts, run_data, run_recipe
from studio.publish.record import Record
from studio.settings import Settings

Code = Literal[
    "gemma",
    "llama",
    "llama_name",
    "gated",
    "non_commercial",
    "no_derivatives",
    "share_alike",
    "own_terms",
    "unknown_base",
    "unknown_data",
]

# Llama 2's licence asks for the notice alone; from Llama 3 on a derived model's name begins with Llama.
_LLAMA = re.compile(r"llama-?(?P<version>\d)")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a licence asks; ``licence.finding.CODE`` says what follows.

    `subject` is the base or the dataset, `licence` its licence or «?». A `conflict` cannot be met on a public
    repository; anything else a person may accept.
    """

    code: Code
    subject: str
    licence: str
    conflict: bool = False


def find(base: BaseFacts, data: Iterable[DataFacts], repo: str, *, gated: bool = False) -> tuple[Finding, ...]:
    """What the licences of `base` and `data` ask of a model called `repo`; conflicts first.

    Args:
        base: The base and its licence, as the Hub names it.
        data: The datasets of the run.
        repo: ``org/name`` that the model shall have.
        gated: Whether people must accept terms on the Hub before they get the base.
    """
    subject = base.repository or base.reference
    found = [*_of_base(base.licence, subject, repo.rpartition("/")[2])]
    if gated:
        found.append(Finding("gated", subject, base.licence or "?"))
    for each in data:
        for trait in traits(each.licence):
            code: Code = "unknown_data" if trait == "unknown" else trait
            found.append(Finding(code, each.name, each.licence or "?", conflict=code == "no_derivatives"))
    return tuple(sorted(found, key=lambda finding: not finding.conflict))


def _of_base(licence: str | None, subject: str, name: str) -> Iterable[Finding]:
    plain = (licence or "").lower()
    if plain.startswith("gemma"):
        yield Finding("gemma", subject, plain)
    elif llama := _LLAMA.match(plain):
        yield Finding("llama", subject, plain)
        if int(llama["version"]) >= 3 and not name.lower().startswith("llama"):
            yield Finding("llama_name", subject, plain, conflict=True)
    else:
        for trait in traits(licence):
            code: Code = "unknown_base" if trait == "unknown" else trait
            yield Finding(code, subject, licence or "?", conflict=code == "no_derivatives")


def find_for(record: Record, repo: str, settings: Settings, *, gated: bool = False) -> tuple[Finding, ...]:
    """`find` for an export, by what is on this machine of its base, its run and its data."""
    base = base_of(record, settings)
    run = settings.runs / parse_reference(record.run).name if record.run.startswith("run:") else None
    recipe = run_recipe(run)
    return find(base, run_data(run, recipe, settings), repo, gated=gated)


def base_of(record: Record, settings: Settings) -> BaseFacts:
    """The base of an export; without a licence if its folder is gone."""
    try:
        folder = locate(record.base, settings).folder
    except StudioError:
        folder = Path(record.base)
    return base_facts(record.base, folder)


def check(found: Iterable[Finding], *, private: bool, accepted: bool) -> None:
    """Refuse what the licences forbid, and what they ask as long as nobody has accepted it.

    Raises:
        StudioError: ``publish.licence_conflict`` on a public repository, ``publish.llama_name`` there for a name, or
            ``publish.licence_asks``; each names base or data and their licences.
    """
    findings = tuple(found)
    for each in findings:
        if each.conflict and not private:
            code = "publish.llama_name" if each.code == "llama_name" else "publish.licence_conflict"
            raise StudioError(code, subject=each.subject, licence=each.licence)
    if findings and not accepted:
        names = dict.fromkeys(f"{each.subject} ({each.licence})" for each in findings)
        raise StudioError("publish.licence_asks", subjects=", ".join(names))
