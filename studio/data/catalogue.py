"""Datasets that help a model learn Persian, as `presets/catalogue.yaml` tells them: facts, doubts and warnings."""

from __future__ import annotations

from functools import cache
from typing import Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, model_validator

from studio.data.licences import traits
from studio.data.mapping import FORMS, Form, Mapping
from studio.errors import StudioError
from studio.settings import PRESETS

Paper = Literal["persianmind", "llama_persian", "persian_phi", "gemma3n_persian"]
Purpose = Literal["text", "pair", "chat", "evaluation"]
Warn = Literal[
    "benchmark_only",
    "contamination",
    "non_commercial",
    "no_derivatives",
    "no_licence",
    "conflicting_licence",
    "aggregate_licences",
    "translated_code",
    "translated",
    "mixed_languages",
    "message_tree",
    "gated",
    "script",
    "large",
]
"""In the order in which a page shows them: what forbids before what only costs."""

PAPERS: tuple[Paper, ...] = get_args(Paper)
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
WARNINGS: tuple[Warn, ...] = get_args(Warn)
ROWS = 10_000
"""Rows that an import from the catalogue reads unless the user asks for more."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Note(_Strict):
    """One sentence in both languages."""

    fa: str
    en: str


class Columns(_Strict):
    """Which columns play which part, as `studio.data.mapping.Mapping` wants it."""

    form: Form
    columns: dict[str, str]


class Entry(_Strict):
    """A dataset of the catalogue.

    Attributes:
        name: Its key, also the name offered for an import.
        id: Id at the Hub; None for what is not there.
        where: What to look for if it is not at the Hub; the user brings the file.
        used_by: Papers that trained or measured with it.
        config: Configuration to import; None for the only or default one.
        split: Split to import.
        splits: Rows of the splits, None where nobody counted.
        mapping: Which columns to take; None if the import has to guess.
        bytes: What `split` takes to download.
        size_class: The Hub's class of row counts, such as ``10K-100K``.
        licence: As the Hub writes it; None if nobody states one.
        gated: Whether its terms must be accepted first, if known.
        unverified: Fields that could not be read at their place.
        source: Where the facts were read.
    """

    name: str
    id: str | None = None
    where: str | None = None
    used_by: list[Paper] = []
    kind: Purpose
    config: str | None = None
    split: str = "train"
    splits: dict[str, int | None] = {}
    mapping: Columns | None = None
    bytes: int | None = None
    size_class: str | None = None
    licence: str | None = None
    gated: bool | None = None
    warnings: list[Warn] = []
    unverified: list[str] = []
    source: str
    note: Note

    @model_validator(mode="after")
    def _hold_together(self) -> Entry:
        if (self.id is None) == (self.where is None):
            raise ValueError(f"{self.name}: either id or where")
        if self.splits and self.split not in self.splits:
            raise ValueError(f"{self.name}: split {self.split} is none of {list(self.splits)}")
        if unknown := set(self.unverified) - type(self).model_fields.keys():
            raise ValueError(f"{self.name}: unverified names no field: {unknown}")
        return self

    @property
    def rows(self) -> int | None:
        """Rows of the split to import, if known."""
        return self.splits.get(self.split)

    def columns(self) -> Mapping | None:
        """The mapping for an import, None if it has to be guessed."""
        if self.mapping is None:
            return None
        return Mapping(kind=FORMS[self.mapping.form].kind, form=self.mapping.form, columns=self.mapping.columns)


class _Datasets(BaseModel):
    """The datasets part of the file; other parts belong to other readers."""

    model_config = ConfigDict(frozen=True)

    datasets: list[Entry]

    @model_validator(mode="before")
    @classmethod
    def _name(cls, values: dict[str, dict[str, dict[str, object]]]) -> dict[str, object]:
        return {"datasets": [{**facts, "name": name} for name, facts in values["datasets"].items()]}


@cache
def entries() -> tuple[Entry, ...]:
    """The catalogue that ships with the studio, in its order."""
    text = (PRESETS / "catalogue.yaml").read_text(encoding="utf8")
    return tuple(_Datasets.model_validate(yaml.safe_load(text)).datasets)


def entry(name: str) -> Entry:
    """The entry of that name.

    Raises:
        StudioError: ``catalogue.unknown``.
    """
    found = next((each for each in entries() if each.name == name), None)
    if found is None:
        raise StudioError("catalogue.unknown", name=name)
    return found


def entry_of(repo: str) -> Entry | None:
    """The entry of a Hub id, None if the catalogue does not have it."""
    return next((each for each in entries() if each.id is not None and each.id.lower() == repo.lower()), None)


def warnings_of(entry: Entry | None, licence: str | None) -> tuple[Warn, ...]:
    """What to know of a dataset that came with `licence`: the warnings of its entry and those of the licence."""
    found = set(entry.warnings if entry else ())
    named = traits(licence)
    found.update(trait for trait in ("non_commercial", "no_derivatives") if trait in named)
    if "unknown" in named:
        found.add("no_licence")
    elif licence:
        found.discard("no_licence")  # the card states one by now
    return tuple(each for each in WARNINGS if each in found)
