"""Which column plays which part in a sample: chosen by the studio or by the user, kept with the dataset."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from studio.data.sample import Kind
from studio.errors import StudioError

Form = Literal["text", "prompt_response", "alpaca", "messages", "sharegpt", "pair", "translation"]
Values = dict[str, Any]


class Shape(NamedTuple):
    """What a form becomes, and the parts its columns play."""

    kind: Kind
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


FORMS: dict[Form, Shape] = {
    "text": Shape("text", ("text",)),
    "prompt_response": Shape("chat", ("prompt", "response"), ("system",)),
    "alpaca": Shape("chat", ("instruction", "output"), ("input", "system")),
    "messages": Shape("chat", ("messages",), ("system",)),
    "sharegpt": Shape("chat", ("conversations",), ("system",)),
    "pair": Shape("pair", ("fa", "en")),
    "translation": Shape("pair", ("translation",)),
}

NAMES: dict[str, tuple[str, ...]] = {
    "text": ("text", "content", "body", "document", "متن", "article", "paragraph", "passage", "poem", "sentence"),
    "prompt": ("prompt", "instruction", "question", "query", "input", "inputs", "پرسش", "سوال", "سؤال", "درخواست"),
    "response": (
        *("response", "output", "outputs", "answer", "completion", "target", "targets", "reply", "chosen"),
        *("پاسخ", "جواب"),
    ),
    "system": ("system", "system_prompt", "system_message"),
    "fa": ("fa", "persian", "farsi", "pes", "fas", "per", "fa_ir", "pes_arab", "فارسی", "text_fa", "fa_text"),
    "en": ("en", "english", "eng", "en_us", "eng_latn", "انگلیسی", "text_en", "en_text"),
}


class Mapping(BaseModel):
    """Which columns become the samples; plain data, so that it travels through forms, jobs and manifests.

    `columns` gives for each part of `form` (see `FORMS`) the name of the column that plays it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    form: Form
    columns: dict[str, str]

    @classmethod
    def from_roles(cls, roles: dict[str, str], guessed: Mapping) -> Mapping:
        """The mapping that `roles` (part: column) ask for; parts they leave out come from `guessed` if the form fits.

        Raises:
            StudioError: ``data.no_such_part`` if no form has all these parts.
        """
        fitting = [form for form, shape in FORMS.items() if roles.keys() <= {*shape.required, *shape.optional}]
        if not fitting:
            parts = dict.fromkeys(part for shape in FORMS.values() for part in shape.required + shape.optional)
            unknown = next((part for part in roles if part not in parts), ", ".join(roles))
            raise StudioError("data.no_such_part", part=unknown, parts=", ".join(parts))
        if guessed.form in fitting:
            return make_mapping(guessed.form, **{**guessed.columns, **roles})
        whole = [form for form in fitting if set(FORMS[form].required) <= roles.keys()]
        return make_mapping((whole or fitting)[0], **roles)


def make_mapping(form: Form, **columns: str) -> Mapping:
    """A mapping of `form`; keywords are its parts, values the names of columns."""
    return Mapping(kind=FORMS[form].kind, form=form, columns=columns)


def check_mapping(mapping: Mapping, columns: Sequence[str]) -> None:
    """Hold a mapping against the columns that exist.

    Raises:
        StudioError: ``data.no_such_column`` (column, columns) or ``data.mapping_incomplete`` (form, part).
    """
    shape = FORMS[mapping.form]
    for part in shape.required:
        if not mapping.columns.get(part):
            raise StudioError("data.mapping_incomplete", form=mapping.form, part=part)
    for part, column in mapping.columns.items():
        if part not in shape.required + shape.optional or mapping.kind != shape.kind:
            raise StudioError("data.mapping_incomplete", form=mapping.form, part=part)
        if column not in columns:
            raise StudioError("data.no_such_column", column=column, columns=", ".join(columns[:30]))


def turns_of(value: Any) -> list[Any] | None:
    """`value` as a list of turns: a list, or the JSON of one as csv files carry it; None for anything else."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, list) else None


def find_column(part: str, columns: Iterable[str]) -> str | None:
    """The column whose name is one of the usual names of `part`, the most usual first."""
    plain = {plain_name(column): column for column in columns}
    return next((plain[name] for name in NAMES[part] if name in plain), None)


def plain_name(column: str) -> str:
    """`column` without capitals, and with ``_`` for blanks, hyphens and dots."""
    return re.sub(r"[\s\-.]+", "_", column.strip().lower())
