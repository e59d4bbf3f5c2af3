"""The papers that recipes follow, as ``presets/citations.yaml`` names them."""

from __future__ import annotations

from functools import cache

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

from studio.settings import PRESETS


class Citation(BaseModel):
    """One published work; `key` names its BibTeX entry, `booktitle` and `pages` are of its proceedings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    authors: tuple[str, ...]
    year: int
    key: str
    arxiv: str | None = None
    booktitle: str | None = None
    pages: str | None = None
    url: str | None = None

    @property
    def link(self) -> str:
        """Where it can be read."""
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else self.url or ""

    @property
    def bibtex(self) -> str:
        """Its BibTeX entry."""
        kind = "inproceedings" if self.booktitle else "misc"
        fields = {
            "title": f"{{{self.title}}}",  # doubled braces keep the capitals of names
            "author": " and ".join(self.authors),
            "booktitle": self.booktitle,
            "pages": self.pages,
            "year": str(self.year),
            "eprint": self.arxiv,
            "archivePrefix": "arXiv" if self.arxiv else None,
            "url": self.url or self.link,
        }
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
        return "\n".join([f"@{kind}{{{self.key},", *lines, "}"])


def followed(recipe: str) -> Citation | None:
    """The work that a recipe of this name follows; variants are called ``NAME-VARIANT``. None for a recipe of ours."""
    return _citations().get(recipe.partition("-")[0])


@cache
def _citations() -> dict[str, Citation]:
    found = yaml.safe_load((PRESETS / "citations.yaml").read_text(encoding="utf8"))
    return TypeAdapter(dict[str, Citation]).validate_python(found)
