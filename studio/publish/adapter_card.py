"""The card of an exported adapter, in English and Persian, with the program that loads it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from studio.i18n import Locale, number, say
from studio.publish.card import HUB_LICENCES, BaseFacts
from studio.recipes import Recipe, dump_recipe

_CHAT = """messages = [{"role": "user", "content": "سلام! خودت را معرفی کن."}]
inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True, return_tensors="pt")"""
_PLAIN = 'inputs = tokenizer("یکی بود، یکی نبود", return_tensors="pt")'
_SNIPPET = """from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base, adapter = {base}, {adapter}
tokenizer = AutoTokenizer.from_pretrained(adapter)
model = AutoModelForCausalLM.from_pretrained(base, {revision}dtype="auto")
{resize}model = PeftModel.from_pretrained(model, adapter)
{prompt}
answer = model.generate(**inputs, max_new_tokens=100)
print(tokenizer.decode(answer[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))"""
_RESIZE = "model.resize_token_embeddings({rows}, mean_resizing=False)  # the adapter fills the new rows\n"


@dataclass(frozen=True, slots=True)
class AdapterFacts:
    """All that the card of an adapter says.

    `revision` is the commit of the base's repository, `rows` what the base's tables must be made longer to, None if
    they need not be. `checks` is what the export's record holds, `weights` file names with their SHA-256.
    """

    name: str
    base: BaseFacts
    revision: str | None
    recipe: Recipe | None
    template: bool
    rows: int | None
    checks: Mapping[str, Any]
    weights: tuple[tuple[str, str], ...]


def adapter_snippet(name: str, rows: int | None, template: bool, *, base: str, revision: str | None = None) -> str:
    """A program that loads a base and the adapter `name` with plain peft, and prints an answer.

    Args:
        name: Repository or folder of the adapter.
        rows: That the base's tables must be made longer to; None if they need not be.
        template: Whether the tokenizer has a chat template.
        base: Repository or folder of the base.
        revision: Commit of the base's repository.
    """
    return _SNIPPET.format(
        base=_quoted(base),
        adapter=_quoted(name),
        revision="" if revision is None else f"revision={_quoted(revision)}, ",
        resize="" if rows is None else _RESIZE.format(rows=rows),
        prompt=_CHAT if template else _PLAIN,
    )


def adapter_card(facts: AdapterFacts) -> str:
    """The whole ``README.md`` of an adapter."""
    parts = [
        f"---\n{yaml.safe_dump(_metadata(facts), sort_keys=False, allow_unicode=True)}---",
        f"# {facts.name}",
        "[فارسی](#fa)",
        *_sections("en", facts),
        '<a id="fa"></a>\n\n<div dir="rtl">',
        *_sections("fa", facts),
        "</div>",
    ]
    if facts.recipe is not None:
        recipe = facts.recipe.model_copy(update={"base": facts.base.reference})  # no path of anybody's machine
        parts += [_both("card.recipe.heading"), _code("yaml", dump_recipe(recipe).rstrip())]
    hashes = "\n".join(f"{digest}  {name}" for name, digest in facts.weights)
    return "\n\n".join([*parts, _both("card.weights.heading"), _code("", hashes)]) + "\n"


def _metadata(facts: AdapterFacts) -> dict[str, Any]:
    front: dict[str, Any] = {
        "language": ["fa", "en"],
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["persian", "farsi", "lora", "adapter"],
    }
    licence = facts.base.licence
    if licence in HUB_LICENCES:
        front["license"] = licence
    elif licence:
        front |= {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", licence.lower()).strip("-")}
    if facts.base.repository:
        front |= {"base_model": facts.base.repository, "base_model_relation": "adapter"}
    return front


def _sections(locale: Locale, facts: AdapterFacts) -> list[str]:
    # A base that is on nobody's Hub lies beside the adapter, under its own folder's name.
    base = facts.base.repository or facts.base.reference.removeprefix("local:")
    program = adapter_snippet(facts.name, facts.rows, facts.template, base=base, revision=facts.revision)
    parts = [
        say(locale, "card.adapter.intro", name=facts.name, base=base),
        _heading(locale, "card.use.heading"),
        say(locale, "card.use.peft"),
        f'<div dir="ltr">\n\n{_code("python", program)}\n\n</div>',
    ]
    if added := facts.checks["new_tokens"]:
        parts.append(say(locale, "card.adapter.tokens", added=added))
    return [
        *parts,
        _heading(locale, "card.base.heading"),
        _base(locale, facts.base),
        _heading(locale, "card.adapter.checks_heading"),
        _checks(locale, facts.checks),
        _heading(locale, "card.limits.heading"),
        say(locale, "card.limits.text"),
    ]


def _base(locale: Locale, base: BaseFacts) -> str:
    sentences = [say(locale, "card.base.text", reference=f"`{base.reference}`")]
    if base.quantised:
        original = base.repository or "?"
        sentences.append(say(locale, "card.base.dequantised", format=base.quantised, original=f"`{original}`"))
        sentences.append(say(locale, "card.adapter.dequantised", reference=base.reference))
    if base.repository is None:
        sentences.append(say(locale, "card.adapter.base_unknown"))
    known = base.licence is not None
    sentences.append(say(locale, "card.base.licence" if known else "card.base.licence_unknown", licence=base.licence))
    return " ".join(sentences)


def _checks(locale: Locale, checks: Mapping[str, Any]) -> str:
    sentences = [
        say(
            locale, "card.adapter.logits",
            transformers=checks["transformers"], peft=checks["peft"], texts=checks["texts"], tokens=checks["tokens"],
            difference=_parts(locale, checks["logits_difference"]), dtype=checks["dtype"],
        )
    ]  # fmt: skip
    if checks["peft_merges"]:
        sentences.append(say(locale, "card.adapter.merges", difference=_parts(locale, checks["merged_difference"])))
    elif checks["peft_merges"] is None:
        sentences.append(say(locale, "card.adapter.merge_unknown"))
    else:
        sentences.append(say(locale, "card.adapter.merges_not"))
    return " ".join(sentences)


def _parts(locale: Locale, share: float) -> str:
    return number(locale, 1e6 * share)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _heading(locale: Locale, key: str) -> str:
    return f"## {say(locale, key)}"


def _both(key: str) -> str:
    return f"## {say('en', key)} · {say('fa', key)}"


def _code(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"
