"""The card of a folder of GGUF files: what is in it, what was measured, how to start it; English and Persian."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from studio.i18n import Locale, number, say
from studio.publish.card import HUB_LICENCES, BaseFacts


@dataclass(frozen=True, slots=True)
class GgufFacts:
    """`sizes` are bytes by file name, `checks` what was measured, by kind; a kind that was not checked is missing."""

    name: str
    base: BaseFacts
    sizes: Mapping[str, int]
    checks: Mapping[str, Mapping[str, Any]]


def write_gguf_card(facts: GgufFacts) -> str:
    """The whole ``README.md``."""
    front: dict[str, Any] = {
        "language": ["fa", "en"],
        "library_name": "gguf",
        "pipeline_tag": "text-generation",
        "tags": ["persian", "farsi", "gguf"],
    }
    if facts.base.licence in HUB_LICENCES:
        front["license"] = facts.base.licence
    if facts.base.repository:
        front |= {"base_model": facts.base.repository, "base_model_relation": "quantized"}
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---",
        f"# {facts.name} (GGUF)",
        *_part("en", facts),
        '<div dir="rtl">',
        *_part("fa", facts),
        "</div>",
    ]
    return "\n\n".join(parts) + "\n"


def _part(locale: Locale, facts: GgufFacts) -> list[str]:
    heads = [say(locale, f"card.gguf.{column}") for column in ("file", "size", "agreement", "perplexity")]
    rows = [f"| {' | '.join(heads)} |", "|---|---|---|---|"]
    rows += [_row(locale, facts, file, size) for file, size in facts.sizes.items()]
    return [
        say(locale, "card.gguf.intro", base=facts.base.reference),
        '<div dir="ltr">\n\n```\nollama create NAME -f Modelfile\nollama run NAME\n```\n\n</div>',
        "\n".join(rows),
        say(locale, "card.gguf.checked"),
    ]


def _row(locale: Locale, facts: GgufFacts, file: str, size: int) -> str:
    kind = file.removesuffix(".gguf").rpartition("-")[2]
    checks = facts.checks.get(kind)
    megabytes = number(locale, size / 1e6, 0)
    if checks is None:
        unknown = say(locale, "card.gguf.unchecked")
        return f"| `{file}` | {megabytes} | {unknown} | {unknown} |"
    agreement = number(locale, 100 * checks["agreement"], 1)
    more = number(locale, round(100 * (checks["perplexity"] / checks["perplexity_before"] - 1), 1) + 0.0, 1)
    return f"| `{file}` | {megabytes} | {agreement} | {more} |"
