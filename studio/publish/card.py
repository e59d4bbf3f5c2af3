"""The model card: what a merged model is, in English and Persian, written from facts alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from studio.i18n import Locale, number, say
from studio.recipes import Recipe, Stage, dump_recipe

# Licences that the Hub knows by these names; any other is told as «other» with its own name.
# fmt: off
HUB_LICENCES = frozenset((
    "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0",
    "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-4.0", "gpl-3.0", "agpl-3.0", "lgpl-3.0",
    "mpl-2.0", "openrail", "gemma", "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4",
    "odc-by", "odbl",
))
# fmt: on
_REPOSITORY = re.compile(r"hub:([\w.-]+/[\w.-]+)")

_CHAT = """messages = [{"role": "user", "content": "سلام! خودت را معرفی کن."}]
inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True, return_tensors="pt")"""
_PLAIN = 'inputs = tokenizer("یکی بود، یکی نبود", return_tensors="pt")'
_SNIPPET = """from transformers import AutoModelForCausalLM, AutoTokenizer

folder = {folder}
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
{prompt}
answer = model.generate(**inputs, max_new_tokens=100)
print(tokenizer.decode(answer[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))"""


@dataclass(frozen=True, slots=True)
class BaseFacts:
    """Where the base came from.

    `reference` is shown as it is, so it holds no path of anybody's machine. `repository` is its name on the Hub,
    `quantised` the format that its weights were dequantised from.
    """

    reference: str
    repository: str | None = None
    licence: str | None = None
    quantised: str | None = None


@dataclass(frozen=True, slots=True)
class DataFacts:
    """One dataset of the run; what is not known any more is None."""

    name: str
    rows: int | None = None
    licence: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """What the checks measured: bits per byte before and after the merge on `bytes` of text, and tensors compared.

    `limit` is the share by which the two may differ.
    """

    before: float
    after: float
    bytes: int
    tensors: int
    adapted: int
    limit: float


@dataclass(frozen=True, slots=True)
class CardFacts:
    """All that a card says. `weights` are file names with their SHA-256, `versions` library names with theirs."""

    name: str
    dtype: str
    template: bool
    base: BaseFacts
    recipe: Recipe | None
    data: tuple[DataFacts, ...]
    figures: Figures
    weights: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...] = ()


def write_card(facts: CardFacts) -> str:
    """The whole ``README.md``: metadata for the Hub, an English part, a Persian part, recipe and hashes."""
    parts = [
        f"---\n{yaml.safe_dump(metadata(facts), sort_keys=False, allow_unicode=True)}---",
        f"# {facts.name}",
        "[فارسی](#fa)",
        *_sections("en", facts),
        '<a id="fa"></a>\n\n<div dir="rtl">',
        *_sections("fa", facts),
        "</div>",
    ]
    if facts.recipe is not None:
        parts += [_both("card.recipe.heading"), _code("yaml", _recipe(facts.recipe, facts.base))]
    parts += [
        _both("card.weights.heading"),
        _code("", "\n".join(f"{digest}  {name}" for name, digest in facts.weights)),
    ]
    return "\n\n".join(parts) + "\n"


def metadata(facts: CardFacts) -> dict[str, Any]:
    """The card's front matter in the words of the Hub; what is not known is left out rather than guessed."""
    front: dict[str, Any] = {
        "language": ["fa", "en"],
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["persian", "farsi", "lora", "merged"],
    }
    licence = facts.base.licence
    if licence in HUB_LICENCES:
        front["license"] = licence
    elif licence:
        front |= {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", licence.lower()).strip("-")}
    if facts.base.repository:
        front |= {"base_model": facts.base.repository, "base_model_relation": "finetune"}
    found = [_REPOSITORY.match(each.source or "") for each in facts.data]
    if datasets := sorted({match[1] for match in found if match}):
        front["datasets"] = datasets
    return front


def snippet(name: str, template: bool) -> str:
    """A program that loads the folder `name` from the folder above it and prints an answer."""
    return _SNIPPET.format(folder=json.dumps(name, ensure_ascii=False), prompt=_CHAT if template else _PLAIN)


def _sections(locale: Locale, facts: CardFacts) -> list[str]:
    return [
        say(locale, "card.intro", name=facts.name, base=facts.base.reference, dtype=facts.dtype),
        _heading(locale, "card.use.heading"),
        say(locale, "card.use.text"),
        f'<div dir="ltr">\n\n{_code("python", snippet(facts.name, facts.template))}\n\n</div>',
        _heading(locale, "card.base.heading"),
        _base(locale, facts.base),
        _heading(locale, "card.training.heading"),
        *_training(locale, facts),
        _heading(locale, "card.data.heading"),
        _data(locale, facts.data),
        _heading(locale, "card.figures.heading"),
        _figures(locale, facts.figures),
        _heading(locale, "card.limits.heading"),
        say(locale, "card.limits.text"),
    ]


def _recipe(recipe: Recipe, base: BaseFacts) -> str:
    # A base on somebody's disk is named by its folder, as everywhere in the card.
    return dump_recipe(recipe.model_copy(update={"base": base.reference})).rstrip()


def _base(locale: Locale, base: BaseFacts) -> str:
    sentences = [say(locale, "card.base.text", reference=base.reference)]
    if base.quantised:
        original = base.repository or "?"
        sentences.append(say(locale, "card.base.dequantised", format=base.quantised, original=original))
    known = base.licence is not None
    sentences.append(say(locale, "card.base.licence" if known else "card.base.licence_unknown", licence=base.licence))
    return " ".join(sentences)


def _training(locale: Locale, facts: CardFacts) -> list[str]:
    recipe = facts.recipe
    if recipe is None:
        return [say(locale, "card.training.unknown")]
    lora = recipe.lora
    text = say(locale, "card.training.text", rank=lora.rank, alpha=lora.alpha, seed=str(recipe.seed))
    if facts.versions:
        made = say(
            locale, "card.training.versions", versions=_listed(locale, (" ".join(each) for each in facts.versions))
        )
        text = f"{text} {made}"
    heads = [
        say(locale, f"card.training.{column}") for column in ("stage", "kind", "data", "budget", "rate", "length")
    ]
    return [text, _table(heads, [_stage_row(locale, stage) for stage in recipe.stages])]


def _stage_row(locale: Locale, stage: Stage) -> list[str]:
    unit, amount = next((unit, value) for unit, value in stage.budget.model_dump().items() if value is not None)
    return [
        f"`{stage.name}`",
        say(locale, f"card.kind.{stage.kind}"),
        _listed(locale, (f"`{source.dataset}`" for source in stage.data)),
        say(locale, f"card.budget.{unit}", value=amount),
        f"`{stage.rates.lora:g}`",
        say(locale, "card.budget.tokens", value=stage.length),
    ]


def _data(locale: Locale, data: Sequence[DataFacts]) -> str:
    if not data:
        return say(locale, "card.data.unknown")
    unknown = say(locale, "card.unknown")
    rows = [
        [
            f"`{each.name}`",
            unknown if each.rows is None else number(locale, each.rows),
            each.licence or unknown,
            each.source or unknown,
        ]
        for each in data
    ]
    return _table([say(locale, f"card.data.{column}") for column in ("name", "rows", "licence", "source")], rows)


def _figures(locale: Locale, figures: Figures) -> str:
    measured = say(
        locale,
        "card.figures.bits",
        bytes=figures.bytes,
        before=number(locale, figures.before, 4),
        after=number(locale, figures.after, 4),
        percent=number(locale, 100 * abs(figures.after / figures.before - 1), 3),
        limit=100 * figures.limit,
    )
    compared = say(locale, "card.figures.tensors", tensors=figures.tensors, adapted=figures.adapted)
    return f"{measured}\n\n{compared}"


def _listed(locale: Locale, items: Iterable[str]) -> str:
    return ("، " if locale == "fa" else ", ").join(items)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _heading(locale: Locale, key: str) -> str:
    return f"## {say(locale, key)}"


def _both(key: str) -> str:
    return f"## {say('en', key)} · {say('fa', key)}"


def _code(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"
