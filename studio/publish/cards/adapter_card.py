"""What the card of an adapter says beyond the other exports' cards: its program, its tokens, and what was checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from studio.publish.cards.facts import BaseFacts, CardFacts, Told
from studio.publish.cards.snippets import peft_snippet


def adapter_facts(facts: CardFacts, checks: Mapping[str, Any], rows: int | None, revision: str | None) -> CardFacts:
    """`facts` of a run, for the card of its adapter.

    Args:
        facts: As gathered for the kind ``adapter``.
        checks: What the export's record holds.
        rows: That the base's tables must be made longer to, None if they need not be.
        revision: Commit of the base's repository.
    """
    # A base that is on nobody's Hub lies beside the adapter, under its own folder's name.
    base = facts.base.repository or facts.base.reference.removeprefix("local:")
    program = peft_snippet(facts.name, rows, facts.template, base=base, revision=revision)
    return replace(facts, snippets=(program,), checks=(*_of_base(facts.base), *_of_checks(checks)))


def _of_base(base: BaseFacts) -> tuple[Told, ...]:
    found = []
    if base.quantised:
        found.append(Told("card.adapter.dequantised", {"reference": base.reference}))
    if base.repository is None:
        found.append(Told("card.adapter.base_unknown"))
    return tuple(found)


def _of_checks(checks: Mapping[str, Any]) -> tuple[Told, ...]:
    shown = {key: checks[key] for key in ("transformers", "peft", "texts", "tokens", "dtype")}
    found = [Told("card.adapter.tokens", {"added": checks["new_tokens"]})] if checks["new_tokens"] else []
    found.append(Told("card.adapter.logits", {**shown, "difference": _millionths(checks["logits_difference"])}))
    if checks["peft_merges"]:
        found.append(Told("card.adapter.merges", {"difference": _millionths(checks["merged_difference"])}))
    else:
        unknown = checks["peft_merges"] is None
        found.append(Told("card.adapter.merge_unknown" if unknown else "card.adapter.merges_not"))
    return tuple(found)


def _millionths(share: float) -> float:
    return round(1e6 * share, 3)
