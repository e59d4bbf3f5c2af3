"""The card is valid for the Hub, says the same in both languages, and its program runs as written."""

from __future__ import annotations

import dataclasses
import re

import pytest
from huggingface_hub import ModelCard, ModelCardData
from huggingface_hub.repocard import metadata_load
from huggingface_hub.utils import validate_repo_id
from markdown_it import MarkdownIt

from studio.evaluation.results import Figure
from studio.evaluation.scores import Difference
from studio.evaluation.tallies import Tally
from studio.publish.cards.card import HUB_LICENCES, BaseFacts, CardFacts, DataFacts, Figures, draw_pictures, write_card
from studio.publish.cards.facts import (
    Cleaning,
    CurveFacts,
    EnergyFacts,
    EvaluationFacts,
    StageFacts,
    Taken,
    TaskFacts,
    VocabularyFacts,
)
from studio.publish.cards.metadata import front_matter
from studio.recipes import parse_recipe, preset_recipe

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
        DataFacts("poems", 1200, "cc-by-4.0", "hub:somebody/poems", repositories=("somebody/poems",)),
        DataFacts("gone"),
    ),
    figures=Figures(1.23456, 1.23501, 15_360, 272, 210, 0.005),
    weights=(("model.safetensors", "ab" * 32),),
    versions=(("torch", "2.13.0"), ("peft", "0.21.2")),
)
LOUD = dataclasses.replace(
    FACTS,
    stages=(StageFacts("chat", "instruct", 60, 12_345, 45_678, 125.0, 2.5, {"fa": 1.5, "en": 1.03}),),
    base_bits={"fa": 2.0, "en": 1.0},
    vocabulary=VocabularyFacts(4_000, 53_152, 6.25, 2.5),
    evaluations=(
        EvaluationFacts(
            "quick",
            (
                TaskFacts(
                    "story_endings_fa", "acc", "fa", Figure(0.5, 0.33, 0.67, 30), 0.25, "thirty stories (CC0)",
                    Figure(0.3, 0.16, 0.48, 30), Difference(0.2, 0.05, 0.35, 30), 2,
                ),
                TaskFacts(
                    "translation", "chrf", "fa", Figure(21.34, 20.1, 22.6, 50), None, None,
                    Figure(21.0, 19.9, 22.2, 50), Difference(0.34, -0.5, 1.2, 50),
                ),
            ),
            "0.4.9",
        ),
    ),
    votes=(Tally("starter:smollm2-135m", "run:first-1/chat", "starter:smollm2-135m", 9, 1, 2, 1),),
    energy=EnergyFacts(3.6e6, "nvml"),
    seconds=125.0,
    device="NVIDIA T4",
    curves=CurveFacts(
        {"loss": ((1, 4.0), (60, 2.5)), "bits_fa": ((0, 2.0), (60, 1.5)), "bits_en": ((0, 1.0), (60, 1.02))},
        (("chat", 0),),
        {"fa": 2.0, "en": 1.0},
    ),
)  # fmt: skip


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
    odd = dataclasses.replace(FACTS, base=BaseFacts("hub:a/b", "a/b", "My Own Licence 2"), licence_file="LICENSE")
    front = ModelCard(write_card(odd)).data.to_dict()
    assert (front["license"], front["license_name"], front["license_link"]) == ("other", "my-own-licence-2", "LICENSE")


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


def test_evaluations_stand_in_the_metadata_as_the_hub_reads_them(tmp_path) -> None:
    file = tmp_path / "README.md"
    file.write_text(write_card(LOUD), encoding="utf8")
    data = ModelCard.load(file).data
    assert data.to_dict() == metadata_load(file)
    assert data.model_name == LOUD.name
    first, second = data.eval_results
    assert (first.metric_type, first.metric_value, first.verified) == ("accuracy", 50.0, False)
    assert (second.metric_type, second.metric_value) == ("chrf", 21.34)
    assert "thirty stories (CC0)" in first.dataset_name
    assert "33.00 to 67.00, 30 questions" in first.metric_name
    assert data.co2_eq_emissions["emissions"] == 475
    assert data.co2_eq_emissions["hardware_used"] == "NVIDIA T4"


def test_measured_facts_are_told_in_both_languages() -> None:
    english, persian = parts(write_card(LOUD))
    numbers = ("12,345", "1.500", "2.00", "4,000", "53,152", "6.25", "2.50", "50.0%", "33.0%", "21.3", "35.0%", "475")
    for fact in numbers:
        assert fact in english
        assert fact.translate(str.maketrans("0123456789,.%", "۰۱۲۳۴۵۶۷۸۹٬٫٪")) in persian
    for text, shown, none in (
        (english, "better by 20.0%", "no difference shown"),
        (persian, "۲۰٫۰٪ بهتر", "تفاوتی نشان داده نشد"),
    ):
        assert shown in text
        assert none in text
    assert "9 for this model, 1 for the other, 2 for both alike, 1 for neither" in english
    assert "a difference was shown" in english
    assert "3.00% higher than the base's. The recipe allowed up to 2%" in english
    assert "2 questions of `story_endings_fa` stand in the training texts" in english
    assert "about 475 g" in english
    assert "of the graphics card" in english
    assert "No benchmark" not in english
    count = [len(re.findall(r"^## ", text, re.MULTILINE)) for text in (english, persian)]
    assert count == [9, 9]


def test_what_was_not_measured_is_not_mentioned() -> None:
    english, _ = parts(write_card(FACTS))
    for word in ("CO₂", "kWh", "blind", "fertility", "curves-", "English cost", "Time of the training"):
        assert word not in english
    assert "No benchmark was run on it." in english
    assert not ModelCard(write_card(FACTS)).data.to_dict().keys() & {"model-index", "co2_eq_emissions"}
    undecided = dataclasses.replace(FACTS, votes=(Tally("b", "m", "b", 0, 0, 3, 1),))
    assert "95%" not in parts(write_card(undecided))[0]


def test_votes_that_decide_nothing_show_no_difference() -> None:
    close = dataclasses.replace(FACTS, votes=(Tally("b", "m", "b", 6, 5),))
    assert "no difference was shown" in parts(write_card(close))[0]


def test_cleaning_is_told_rule_by_rule() -> None:
    cleaning = Cleaning("web", 1000, 800, (Taken("duplicates", 150, 0.125), Taken("language", 50, 0.03)))
    facts = dataclasses.replace(FACTS, data=(DataFacts("web-clean", 800, "odc-by", "upload", 9000, cleaning),))
    english, persian = parts(write_card(facts))
    assert "800 of 1,000 rows stayed" in english
    assert "| exact duplicate | 150 | 12.50% |" in english
    assert "| تکرار عینی | ۱۵۰ | ۱۲٫۵۰٪ |" in persian


@pytest.mark.parametrize("name", ["persianmind", "llama_persian", "persian_phi", "gemma3n_persian"])
def test_papers_are_cited_by_the_recipes_that_follow_them(name) -> None:
    card = write_card(dataclasses.replace(FACTS, recipe=preset_recipe(name)))
    entry = re.search(r"```bibtex\n@(\w+)\{(.*?)\n\}\n```", card, re.DOTALL)
    assert entry is not None
    assert entry[2].count("{") == entry[2].count("}")
    variant = preset_recipe(name).model_copy(update={"name": f"{name}-no_lora"})
    assert "```bibtex" in write_card(dataclasses.replace(FACTS, recipe=variant))


def test_own_recipes_cite_nobody() -> None:
    assert "```bibtex" not in write_card(FACTS)


def test_no_name_becomes_html_or_breaks_out_of_its_place() -> None:
    task = LOUD.evaluations[0].tasks[0]
    evil = "<img src=x onerror=alert(1)>`|](javascript:alert(1))\n## boo"
    facts = dataclasses.replace(
        LOUD,
        name=evil,
        base=BaseFacts(f"local:{evil}", None, evil, evil),
        data=(DataFacts(evil, 1, evil, evil, 1, Cleaning(evil, 1, 1, ())),),
        evaluations=(EvaluationFacts(evil, (dataclasses.replace(task, source=evil, task=evil),)),),
        votes=(Tally(evil, evil, evil, 1, 1),),
        device=evil,
        weights=((evil, "ab" * 32),),
        versions=((evil, evil),),
        siblings={"gguf": evil},
    )  # fmt: skip
    card = write_card(facts)
    assert front_matter(card)["language"] == ["fa", "en"]
    page = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(card.split("\n---\n", 1)[1])
    assert "<img src=x" not in page
    assert not re.search(r'href="javascript', page)
    assert len(re.findall("<h1>", page)) == 1
    assert "<h2>boo" not in page
    assert "onerror=alert" in page, "it is shown as it is"


def test_pictures_are_drawn_only_where_something_was_measured() -> None:
    assert draw_pictures(FACTS) == {}
    drawn = draw_pictures(LOUD)
    assert list(drawn) == ["curves-fa.svg", "curves-en.svg"]
    english, persian = parts(write_card(LOUD))
    assert "](curves-en.svg)" in english
    assert "](curves-fa.svg)" in persian
    assert "Bits per byte" in drawn["curves-en.svg"]
    assert "بیت بر بایت" in drawn["curves-fa.svg"]


def test_licences_that_the_hub_knows_are_written_as_it_does() -> None:
    for licence in ("Apache-2.0", "gemma", "llama3.1"):
        front = ModelCard(write_card(dataclasses.replace(FACTS, base=BaseFacts("hub:a/b", "a/b", licence)))).data
        assert front.license in HUB_LICENCES
    card = write_card(dataclasses.replace(FACTS, base=BaseFacts("hub:a/b", "a/b", "llama3.1")))
    assert "Built with Llama" in card
    assert "llama3_1/license" in card
