"""What cannot be trained is refused with a reason: at the start, with nothing made, as far as files can tell."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from studio.errors import StudioError
from studio.jobs.local import LocalRunner
from studio.jobs.store import Job
from studio.recipes import Recipe, override, parse_recipe
from studio.services import training
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from tests.tiny import CHAT_TEMPLATE
from tests.unit.test_bad_input import check_sentences, failure
from tests.unit.tokenizer.expansion import learn_for

VOCABULARY = "vocabulary={size: 10, corpus: [texts]}"


@pytest.fixture
def studio(settings: Settings) -> Studio:
    return open_studio(settings)


@pytest.fixture
def base(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(tiny_model, tmp_path / "base"))


def recipe(base: Path, *changes: str) -> Recipe:
    stage = {"name": "chat", "kind": "instruct", "data": [{"dataset": "chats"}], "budget": {"steps": 2}, "length": 256}
    return override(parse_recipe({"name": "small", "base": f"local:{base}", "stages": [stage]}), changes)


def configure(base: Path, **keys: Any) -> None:
    path = base / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf8")), **keys}), encoding="utf8")


def chat_template(base: Path, template: str | None) -> None:
    (base / "chat_template.jinja").unlink(missing_ok=True)
    if template is not None:
        (base / "chat_template.jinja").write_text(template, encoding="utf8")


def refused(studio: Studio, wanted: Recipe) -> StudioError:
    with pytest.raises(StudioError) as caught:
        training.start(studio, wanted)
    check_sentences(caught.value)
    assert (studio.jobs.listing(), list(studio.settings.runs.iterdir())) == ([], []), "nothing is made"
    return caught.value


@pytest.mark.parametrize(
    ("marks", "method"),
    [
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "gptq"),
        ({"quantization_config": {"quant_method": "awq"}}, "awq"),
        ({"quantization_config": {"quant_method": "fp8"}}, "fp8"),
        ({"quantization_config": {"load_in_4bit": True, "quant_method": "bitsandbytes"}}, "bitsandbytes"),
        ({"text_config": {"quantization_config": {"quant_method": "compressed-tensors"}}}, "compressed-tensors"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_base_that_is_quantised_already(studio: Studio, base: Path, marks: dict[str, Any], method: str) -> None:
    configure(base, **marks)
    error = refused(studio, recipe(base, "quantisation=nf4"))
    assert (error.code, error.details) == ("training.base_quantised", {"base": f"local:{base}", "method": method})


def test_a_base_whose_chats_cannot_be_learnt(studio: Studio, base: Path) -> None:
    chat_template(base, None)
    assert refused(studio, recipe(base)).code == "template.missing"
    chat_template(base, "{% for m in messages %}{{ m['content'] }}\n{% endfor %}")
    assert refused(studio, recipe(base)).code == "template.no_mask"


def test_expansion_of_a_base_that_only_its_files_give_away(studio: Studio, base: Path) -> None:
    configure(base, hidden_size_per_layer_input=256)
    error = refused(studio, recipe(base, VOCABULARY))
    assert (error.code, error.details) == ("vocabulary.per_layer_tables", {"model": "base"})


def test_a_vocabulary_learnt_for_another_base(studio: Studio, base: Path, tiny_model: Path) -> None:
    learn_for(tiny_model, studio.settings.vocabularies / "words")
    error = refused(studio, recipe(base, "vocabulary=words"))
    assert error.code == "rows.other_base"
    assert error.details["model"] == f"local:{base}"


def test_a_dataset_that_goes_while_the_run_waits(studio: Studio, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = LocalRunner.start

    def late(runner: LocalRunner, job: Job, token: str | None) -> None:
        shutil.rmtree(studio.settings.datasets / "chats")
        start(runner, job, token)

    monkeypatch.setattr(LocalRunner, "start", late)
    error = failure(studio, lambda: training.start(studio, recipe(base)))
    assert (error.code, error.details["name"]) == ("data.no_such_dataset", "chats")
    check_sentences(error)
    assert sorted(path.name for path in (studio.settings.runs / "small-1").iterdir()) == ["log.txt", "recipe.yaml"]


Train = Callable[..., Any]


def test_a_template_that_leaves_the_system_text_out(train: Train, settings: Settings, base: Path) -> None:
    """It says nothing and drops it: the text goes into the first question."""
    chat_template(base, "{% set messages = messages | selectattr('role', 'ne', 'system') | list %}" + CHAT_TEMPLATE)
    train("a", f"base=local:{base}", "stages.0.budget.epochs=1")
    report = json.loads((settings.runs / "a" / "stages" / "00-chat" / "data.json").read_text(encoding="utf8"))
    assert (report["chats"]["system_merged"], report["chats"]["dropped"]) == (4, {})
    train("b", "stages.0.budget.epochs=1")
    whole = json.loads((settings.runs / "b" / "stages" / "00-chat" / "data.json").read_text(encoding="utf8"))
    assert whole["chats"]["characters"] == report["chats"]["characters"], "nothing is lost"


def test_a_stage_without_a_token_to_learn(
    train: Train, settings: Settings, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat_template(
        base, "{% if messages[0]['content'] != 'آب چیست؟' %}{{ raise_exception('no') }}{% endif %}" + CHAT_TEMPLATE
    )
    with pytest.raises(StudioError) as caught:
        train("a", f"base=local:{base}", "stages.0.data.0.dataset=pairs")
    assert caught.value.code == "training.template_refuses"
    check_sentences(caught.value)
    monkeypatch.setattr("studio.training.batches.mask_answers", lambda ids, offsets, answers: [-100] * len(ids))
    with pytest.raises(StudioError) as caught:
        train("b")
    assert caught.value.code == "training.no_trained_token"
    check_sentences(caught.value)
    for run in ("a", "b"):
        assert not list((settings.runs / run).glob("stages/*/checkpoints/*"))
