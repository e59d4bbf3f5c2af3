"""What a card says once its repository is known, and that a rewritten card keeps its words."""

from __future__ import annotations

import dataclasses

from huggingface_hub import ModelCard

from studio.publish.cards.card import write_card
from studio.publish.cards.links import for_the_hub
from tests.unit.publish.test_card import FACTS, LOUD


def test_programs_open_the_repository() -> None:
    card = for_the_hub(write_card(FACTS), "merged", FACTS.name, "me/first", {})
    assert card.count('folder = "me/first"') == 2
    assert "With `transformers`:" in card
    assert "با `transformers`:" in card
    assert "in the folder that contains" not in card


def test_siblings_are_linked_once_in_each_language() -> None:
    card = write_card(FACTS)
    linked = for_the_hub(card, "merged", FACTS.name, "me/first", {"gguf": "me/first-gguf"})
    again = for_the_hub(linked, "merged", FACTS.name, "me/first", {"gguf": "me/other-gguf"})
    assert linked.count("https://huggingface.co/me/first-gguf") == 2
    assert again.count("https://huggingface.co/me/other-gguf") == 2
    assert "me/first-gguf" not in again
    assert for_the_hub(again, "merged", FACTS.name, "me/first", {}) == for_the_hub(
        card, "merged", FACTS.name, "me/first", {}
    )
    english, persian = again.split('<a id="fa"></a>')
    assert "Other forms of this model" in english
    assert "شکل‌های دیگر همین مدل" in persian


def test_gguf_is_a_quantised_form_of_its_merged_repository() -> None:
    facts = dataclasses.replace(LOUD, kind="gguf", weights=(("m.gguf", "ab" * 32),))
    card = for_the_hub(write_card(facts), "gguf", facts.name, "me/first-gguf", {"merged": "me/first"})
    data = ModelCard(card).data
    assert (data.base_model, data.base_model_relation) == ("me/first", "quantized")
    assert data.co2_eq_emissions["emissions"] == 475, "the rest of the metadata stays"


def test_a_card_in_other_words_is_left_alone() -> None:
    own = "---\nlicense: mit\n---\n\n# Mine\n\nhello\n"
    assert for_the_hub(own, "merged", "x", "me/x", {"gguf": "me/g"}) == own
