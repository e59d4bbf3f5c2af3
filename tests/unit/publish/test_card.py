"""The card is valid for the Hub, says the same in both languages, and its program runs as written."""

from __future__ import annotations

import dataclasses
import re

import pytest
from huggingface_hub import ModelCard, ModelCardData
from huggingface_hub.repocard import metadata_load
from huggingface_hub.utils import validate_repo_id

from studio.publish.card import BaseFacts, CardFacts, DataFacts, Figures, write_card
from studio.recipes import parse_recipe

RECIPE = parse_recipe(
    {
        "name": "first_steps",
        "base": "starter:smollm2-135m",
        "stages": [
            {"name": "chat", "kind": "instruct", "data": [{"dataset": "sample-chats"}], "budget": {"steps": 60}},
            {"name": "more", "kind": "pretrain", "data": [{"dataset": "poems"}], "budget": {"epochs": 1.5}},
        ],
    }
)
FACTS = CardFacts(
    name="first_steps-3",
    dtype="bfloat16",
    template=True,
    base=BaseFacts("starter:smollm2-135m", "HuggingFaceTB/SmolLM2-135M-Instruct", "apache-2.0", "Q4_1"),
    recipe=RECIPE,
    data=(
        DataFacts("sample-chats", 40, "CC0-1.0", "starter text"),
        DataFacts("poems", 1200, "cc-by-4.0", "hub:somebody/poems@main"),
        DataFacts("gone"),
    ),
    figures=Figures(1.23456, 1.23501, 15_360, 272, 210, 0.005),
    weights=(("model.safetensors", "ab" * 32),),
    versions=(("torch", "2.13.0"), ("peft", "0.21.2")),
)


def parts(card: str) -> tuple[str, str]:
    english, persian = card.split('<a id="fa"></a>')
    return english, persian.rpartition("</div>")[0]


def test_hub_reads_the_metadata(tmp_path) -> None:
    file = tmp_path / "README.md"
    file.write_text(write_card(FACTS), encoding="utf8")
    front = metadata_load(file)
    data = ModelCard.load(file).data
    assert isinstance(data, ModelCardData)
    assert data.to_dict() == front
    assert front["language"] == ["fa", "en"]
    assert front["base_model"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert front["base_model_relation"] == "finetune"
    assert front["license"] == "apache-2.0"
    assert front["library_name"] == "transformers"
    assert front["datasets"] == ["somebody/poems"]
    for name in (front["base_model"], *front["datasets"]):
        validate_repo_id(name)


def test_what_is_not_known_is_not_claimed() -> None:
    facts = dataclasses.replace(FACTS, base=BaseFacts("local:mine"), recipe=None, data=())
    front = ModelCard(write_card(facts)).data.to_dict()
    assert not front.keys() & {"license", "base_model", "base_model_relation", "datasets"}
    assert "not known" in parts(write_card(facts))[0]
    odd = dataclasses.replace(FACTS, base=BaseFacts("hub:a/b", "a/b", "My Own Licence 2"))
    front = ModelCard(write_card(odd)).data.to_dict()
    assert (front["license"], front["license_name"]) == ("other", "my-own-licence-2")


def test_both_languages_tell_the_same_facts() -> None:
    english, persian = parts(write_card(FACTS))
    for fact in ("1.2346", "1.2350", "15,360", "272", "210", "1,200", "60", "1.5"):
        assert fact in english
        assert fact.translate(str.maketrans("0123456789,.", "۰۱۲۳۴۵۶۷۸۹٬٫")) in persian
    for fact in ("starter:smollm2-135m", "Q4_1", "sample-chats", "poems", "apache-2.0", "torch 2.13.0", "`0.0002`"):
        assert fact in english
        assert fact in persian
    count = [len(re.findall(r"^## ", text, re.MULTILINE)) for text in (english, persian)]
    assert count[0] == count[1] == 6
    assert not re.search(r"[يك]", persian)


def test_recipe_and_hashes_stand_in_it_word_for_word() -> None:
    card = write_card(FACTS)
    assert "  budget:\n    steps: 60" in card
    assert f"{'ab' * 32}  model.safetensors" in card


@pytest.mark.parametrize("template", [True, False])
def test_program_is_a_program(template) -> None:
    card = write_card(dataclasses.replace(FACTS, template=template, name='odd"name'))
    program = re.search(r"```python\n(.*?)```", card, re.DOTALL)
    assert program is not None
    compile(program[1], "card", "exec")
    assert ("apply_chat_template" in program[1]) is template
