"""What the cards of a merged model, an adapter and GGUF files have of their own."""

from __future__ import annotations

import dataclasses

import pytest
from huggingface_hub import ModelCard

from studio.publish.cards.card import write_card
from studio.publish.cards.facts import Snippet, Told
from tests.unit.publish.test_card import FACTS, LOUD, parts


@pytest.mark.parametrize(
    ("kind", "library", "relation", "tag"),
    [("merged", "transformers", "finetune", "merged"), ("adapter", "peft", "adapter", "adapter"),
     ("gguf", "gguf", "quantized", "gguf")],
)  # fmt: skip
def test_kinds_differ(kind, library, relation, tag) -> None:
    facts = dataclasses.replace(
        FACTS,
        kind=kind,
        weights=(("m-F16.gguf", "ab" * 32), ("m-Q4_K_M.gguf", "cd" * 32)),
        siblings={"merged": "me/first", "adapter": "first-adapter"},
        snippets=(Snippet("card.use.peft", "python", "print(1)"),) if kind == "adapter" else (),
        checks=(Told("card.base.licence_unknown"),),
    )
    card = write_card(facts)
    front = ModelCard(card).data.to_dict()
    assert (front["library_name"], front["base_model_relation"]) == (library, relation)
    assert tag in front["tags"]
    alone = ModelCard(write_card(dataclasses.replace(facts, siblings={}))).data
    assert alone.base_model == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert alone.base_model_relation == ("adapter" if kind == "adapter" else "finetune"), "weights are not the base's"
    expected = "me/first" if kind == "gguf" else "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert front["base_model"] == expected
    assert "merged: [me/first](https://huggingface.co/me/first); adapter: `first-adapter`" in card
    assert "find it out before" in card
    wanted = {"merged": "AutoModelForCausalLM", "adapter": "print(1)", "gguf": "llama-cli -m ./m-Q4_K_M.gguf"}
    assert wanted[kind] in card
    assert ("ollama create first_steps-3 -f Modelfile" in card) is (kind == "gguf")


def test_figures_of_the_unquantised_model_are_not_claimed_for_its_gguf() -> None:
    card = write_card(dataclasses.replace(LOUD, kind="gguf"))
    assert ModelCard(card).data.eval_results is None
    english, persian = parts(card)
    assert english.count("before the conversion to GGUF") == 2
    assert persian.count("پیش از تبدیل به GGUF") == 2
    assert "measured before the conversion" not in write_card(dataclasses.replace(FACTS, kind="gguf"))
