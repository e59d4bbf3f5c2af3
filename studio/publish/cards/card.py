"""The model card: what an export is, in English and Persian, written from facts alone."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from studio.i18n import LOCALES, Locale, number, say
from studio.publish.cards import sections as sections
from studio.publish.cards.citations import Citation, followed
from studio.publish.cards.curve_picture import Line, Panel, picture
from studio.publish.cards.facts import BaseFacts as BaseFacts
from studio.publish.cards.facts import CardFacts as CardFacts
from studio.publish.cards.facts import DataFacts as DataFacts
from studio.publish.cards.facts import Figures as Figures
from studio.publish.cards.facts import Snippet as Snippet
from studio.publish.cards.markdown import block, both, code, heading, listed, plain, table
from studio.publish.cards.metadata import HUB_LICENCES as HUB_LICENCES
from studio.publish.cards.metadata import metadata as metadata
from studio.publish.cards.snippets import gguf_snippets, transformers_snippet
from studio.publish.record import Kind
from studio.recipes import Recipe, Stage, dump_recipe

LICENCE_LINKS = {
    "gemma": "https://ai.google.dev/gemma/terms",
    "llama2": "https://ai.meta.com/llama/license/",
    "llama3": "https://www.llama.com/llama3/license/",
    "llama3.1": "https://www.llama.com/llama3_1/license/",
    "llama3.2": "https://www.llama.com/llama3_2/license/",
    "llama3.3": "https://www.llama.com/llama3_3/license/",
    "llama4": "https://www.llama.com/llama4/license/",
}
"""Terms that are more than a well-known licence, and that whoever passes the model on has to know."""


def write_card(facts: CardFacts) -> str:
    """The whole ``README.md``: metadata for the Hub, an English part, a Persian part, citation, recipe and hashes."""
    parts = [
        f"---\n{yaml.safe_dump(metadata(facts), sort_keys=False, allow_unicode=True, width=10_000)}---",
        f"# {plain(facts.name)}",
        "[فارسی](#fa)",
        *_sections("en", facts),
        '<a id="fa"></a>\n\n<div dir="rtl" lang="fa">',
        *_sections("fa", facts),
        "</div>",
    ]
    if (paper := _paper(facts)) is not None:
        parts += [both("card.citation.heading"), block("bibtex", paper.bibtex)]
    if facts.recipe is not None:
        parts += [both("card.recipe.heading"), block("yaml", _recipe(facts.recipe, facts.base))]
    parts += [
        both("card.weights.heading"),
        block("", "\n".join(f"{digest}  {name}" for name, digest in (*facts.weights, *facts.hashes))),
    ]
    return "\n\n".join(parts) + "\n"


def draw_pictures(facts: CardFacts) -> dict[str, str]:
    """The files that stand beside the card, by name: the curves in each language, if there are any."""
    return {} if facts.curves is None else {sections.picture_name(each): _curves(each, facts) for each in LOCALES}


def _curves(locale: Locale, facts: CardFacts) -> str:
    assert facts.curves is not None
    lines = facts.curves.lines
    panels = []
    if loss := lines.get("loss"):
        panels.append(Panel(say(locale, "curves.loss"), [Line(say(locale, "curves.loss"), loss)]))
    measured = [each for each in sections.LANGUAGES if lines.get(f"bits_{each}")]
    if measured:
        drawn = [Line(say(locale, f"curves.bits_{each}"), lines[f"bits_{each}"]) for each in measured]
        drawn += [
            Line(f"{say(locale, 'card.base.heading')} ({say(locale, f'curves.bits_{each}')})", (), base, place)
            for place, each in enumerate(measured)
            if (base := facts.curves.base.get(each)) is not None
        ]
        panels.append(Panel(say(locale, "curves.bits"), drawn))
    return picture(locale, panels, facts.curves.starts, say(locale, "curves.step"))


def _sections(locale: Locale, facts: CardFacts) -> list[str]:
    intro = {"name": plain(facts.name), "base": code(facts.base.reference), "dtype": plain(facts.dtype)}
    parts = [siblings_line(locale, facts.siblings)] if facts.siblings else []
    parts.append(say(locale, f"card.intro.{facts.kind}", **intro))
    bodies = {
        "use": _use(locale, facts),
        "base": [_base(locale, facts)],
        "training": _training(locale, facts),
        "results": sections.results(locale, facts),
        "evaluation": sections.evaluations(locale, facts),
        "data": sections.data(locale, facts.data),
        "cost": sections.cost(locale, facts),
        "figures": _proofs(locale, facts),
        "limits": _limits(locale, facts),
    }
    for name, body in bodies.items():
        parts += [heading(locale, f"card.{name}.heading"), *body] if body else []
    return parts


def siblings_line(locale: Locale, siblings: Mapping[Kind, str]) -> str:
    """The run's other exports in one sentence, linked where they are repositories."""
    links = [
        f"{say(locale, f'card.sibling.{kind}')}: "
        + (f"[{plain(name)}](https://huggingface.co/{name})" if "/" in name else code(name))
        for kind, name in siblings.items()
    ]
    return say(locale, "card.siblings", others=("؛ " if locale == "fa" else "; ").join(links))


def _use(locale: Locale, facts: CardFacts) -> list[str]:
    given = facts.snippets or _default_snippets(facts)
    return [
        part
        for each in given
        for part in (say(locale, each.title), f'<div dir="ltr">\n\n{block(each.language, each.text)}\n\n</div>')
    ]


def _default_snippets(facts: CardFacts) -> tuple[Snippet, ...]:
    if facts.kind == "merged":
        return (transformers_snippet(facts.name, facts.template),)
    files = [name for name, _ in facts.weights if name.endswith(".gguf")]
    return gguf_snippets(facts.name, files[-1], facts.template) if facts.kind == "gguf" and files else ()


def _recipe(recipe: Recipe, base: BaseFacts) -> str:
    # A base on somebody's disk is named by its folder, as everywhere in the card.
    return dump_recipe(recipe.model_copy(update={"base": base.reference})).rstrip()


def _base(locale: Locale, facts: CardFacts) -> str:
    base = facts.base
    shown = code(base.reference)
    if base.repository:
        shown += f" ([{plain(base.repository)}](https://huggingface.co/{base.repository}))"
    sentences = [say(locale, "card.base.text", reference=shown)]
    if base.quantised:
        original = code(base.repository or "?")
        sentences.append(say(locale, "card.base.dequantised", format=plain(base.quantised), original=original))
    if base.licence is None:
        return " ".join([*sentences, say(locale, "card.base.licence_unknown")])
    link = LICENCE_LINKS.get(base.licence.lower())
    licence = f"[{plain(base.licence)}]({link})" if link else plain(base.licence)
    sentences.append(say(locale, "card.base.licence", licence=licence))
    if facts.licence_file:
        sentences.append(say(locale, "card.base.licence_file", file=code(facts.licence_file)))
    if base.licence.lower().startswith(("llama3", "llama4")):
        sentences.append("Built with Llama.")  # the licence's own words, to be shown wherever the model is
    return " ".join(sentences)


def _paper(facts: CardFacts) -> Citation | None:
    return followed(facts.recipe.name) if facts.recipe is not None else None


def _training(locale: Locale, facts: CardFacts) -> list[str]:
    recipe = facts.recipe
    if recipe is None:
        return [say(locale, "card.training.unknown")]
    lora = recipe.lora
    sentences = [say(locale, "card.training.stages", kinds=sections.listed_kinds(locale, facts))]
    if (paper := _paper(facts)) is not None:
        link = f"[{plain(paper.title)}]({paper.link})"
        sentences.append(say(locale, "card.training.follows", recipe=code(recipe.name), paper=link))
    sentences.append(say(locale, "card.training.text", rank=lora.rank, alpha=lora.alpha, seed=str(recipe.seed)))
    sentences += [say(locale, f"card.training.{name}") for name in _variants(recipe)]
    if lora.dropout:
        sentences.append(say(locale, "card.training.dropout", dropout=lora.dropout))
    if facts.versions:
        versions = listed(locale, (plain(" ".join(each)) for each in facts.versions))
        sentences.append(say(locale, "card.training.versions", versions=versions))
    columns = ("stage", "data", "budget", "rate", "rows_rate", "batch", "length", "learns")
    heads = [say(locale, f"card.training.{column}") for column in columns]
    return [" ".join(sentences), table(heads, [_stage_row(locale, recipe, stage) for stage in recipe.stages])]


def _variants(recipe: Recipe) -> list[str]:
    found = {"rslora": recipe.lora.rslora, "dora": recipe.lora.dora, "nf4": recipe.quantisation == "nf4"}
    return [name for name, on in found.items() if on]


def _stage_row(locale: Locale, recipe: Recipe, stage: Stage) -> list[str]:
    unit, amount = next((unit, value) for unit, value in stage.budget.model_dump().items() if value is not None)
    rows = recipe.vocabulary is not None or stage.rows == "all"
    learns = [say(locale, "card.learns.lora")] if stage.trains_lora else []
    learns += [say(locale, f"card.learns.{stage.rows}")] if rows and stage.rows != "frozen" else []
    return [
        f"{code(stage.name)} ({say(locale, f'card.kind.{stage.kind}')})",
        listed(locale, (code(source.dataset) for source in stage.data)),
        say(locale, f"card.budget.{unit}", value=amount),
        code(f"{stage.rates.lora:g}") if stage.trains_lora else sections.UNKNOWN,
        code(f"{stage.rates.rows:g}") if rows and stage.rows != "frozen" else sections.UNKNOWN,
        number(locale, stage.batch * stage.accumulation),
        say(locale, "card.budget.tokens", value=stage.length),
        listed(locale, learns),
    ]


def _proofs(locale: Locale, facts: CardFacts) -> list[str]:
    parts = [say(locale, told.key, **told.details) for told in facts.checks]
    if (figures := facts.figures) is None:
        return parts
    measured = say(
        locale,
        "card.figures.bits",
        bytes=figures.bytes,
        before=number(locale, figures.before, 4),
        after=number(locale, figures.after, 4),
        percent=number(locale, 100 * abs(figures.after / figures.before - 1), 3),
        limit=100 * figures.limit,
    )
    return [measured, say(locale, "card.figures.tensors", tensors=figures.tensors, adapted=figures.adapted), *parts]


def _limits(locale: Locale, facts: CardFacts) -> list[str]:
    parts = [say(locale, "card.limits.text")]
    change, recipe = facts.english_change, facts.recipe
    if change is not None and recipe is not None and change > recipe.evaluation.english_limit:
        parts.append(say(locale, "card.limits.english", percent=number(locale, 100 * change, 2)))
    if not facts.evaluations:
        parts.append(say(locale, "card.limits.not_evaluated"))
    return [" ".join(parts)]
