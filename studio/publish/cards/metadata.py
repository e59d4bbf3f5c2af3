"""A card's front matter in the words of the Hub, and whether an edited one can still be read there."""

from __future__ import annotations

import re
from typing import Any

import yaml

from studio.errors import StudioError
from studio.evaluation.suites import CORPUS_METRICS
from studio.publish.cards.citations import followed
from studio.publish.cards.facts import CardFacts, EvaluationFacts, TaskFacts

# Licences that the Hub knows by these names; any other is told as «other» with its own name.
# fmt: off
HUB_LICENCES = frozenset((
    "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0",
    "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-4.0", "gpl-3.0", "agpl-3.0", "lgpl-3.0",
    "mpl-2.0", "openrail", "gemma", "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4",
    "odc-by", "odbl",
))
# fmt: on
LIBRARIES = {"merged": "transformers", "adapter": "peft", "gguf": "gguf"}
_TAGS = {"merged": ["lora", "merged"], "adapter": ["lora", "adapter"], "gguf": ["gguf", "llama.cpp", "ollama"]}
_METRICS = {"acc": "accuracy", "acc_norm": "accuracy", "answer": "exact_match", "rougeL": "rouge"}
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
FRONT = re.compile(r"---\n(.*?)\n---[ \t]*(?:\n|$)", re.DOTALL)


def metadata(facts: CardFacts) -> dict[str, Any]:
    """The card's front matter; what is not known is left out rather than guessed."""
    front: dict[str, Any] = {
        "language": ["fa", "en"],
        "library_name": LIBRARIES[facts.kind],
        "pipeline_tag": "text-generation",
        "tags": ["persian", "farsi", *_TAGS[facts.kind], *_papers(facts)],
        **_licence(facts),
        **_base(facts),
    }
    if datasets := sorted({each for data in facts.data for each in data.repositories}):
        front["datasets"] = datasets
    if facts.energy is not None:
        front["co2_eq_emissions"] = _emissions(facts)
    return front | _model_index(facts)


def _papers(facts: CardFacts) -> list[str]:
    paper = followed(facts.recipe.name) if facts.recipe is not None else None
    return [f"arxiv:{paper.arxiv}"] if paper is not None and paper.arxiv else []


def _licence(facts: CardFacts) -> dict[str, str]:
    licence = facts.base.licence
    if not licence:
        return {}
    known = licence.lower()
    if known in HUB_LICENCES:
        return {"license": known}
    named = {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", known).strip("-")}
    return named | ({"license_link": facts.licence_file} if facts.licence_file else {})


def _base(facts: CardFacts) -> dict[str, str]:
    """A GGUF file is a quantised form of the merged model; while that one has no repository, it is told as a finetune
    of the base: nobody shall take adapted weights for the base's own in another format."""
    merged = facts.siblings.get("merged", "")
    if facts.kind == "gguf" and _REPOSITORY.fullmatch(merged):
        return {"base_model": merged, "base_model_relation": "quantized"}
    relation = "adapter" if facts.kind == "adapter" else "finetune"
    return {"base_model": facts.base.repository, "base_model_relation": relation} if facts.base.repository else {}


def _emissions(facts: CardFacts) -> dict[str, Any]:
    assert facts.energy is not None
    energy = facts.energy
    source = f"estimate: {energy.kwh:.3g} kWh at {energy.intensity:g} g CO2 per kWh"
    found = {"emissions": float(f"{energy.grams:.3g}"), "source": source, "training_type": "fine-tuning"}
    return found | ({"hardware_used": facts.device} if facts.device else {})


def _model_index(facts: CardFacts) -> dict[str, Any]:
    results = [_result(suite, task) for suite in facts.evaluations for task in suite.tasks]
    if not results or facts.kind == "gguf":  # the figures are the unquantised model's
        return {}
    from huggingface_hub import ModelCardData

    data = ModelCardData(model_name=facts.name, eval_results=results)
    return {"model-index": data.to_dict()["model-index"]}  # type: ignore[no-untyped-call]


def _result(suite: EvaluationFacts, task: TaskFacts) -> Any:
    from huggingface_hub import EvalResult

    share = task.metric not in CORPUS_METRICS
    scale, digits = (100, 2) if share else (1, 2)
    low, high = (f"{scale * value:.{digits}f}" for value in (task.figure.low, task.figure.high))
    shown = f"{task.metric}, 95% interval {low} to {high}, {task.figure.items} questions"
    return EvalResult(
        task_type="text-generation",
        task_name=task.task,
        dataset_type=task.task,
        dataset_name=f"{task.task} ({suite.suite})" if task.source is None else f"{task.task}: {task.source}",
        metric_type=_METRICS.get(task.metric, task.metric),
        metric_name=shown,
        metric_value=round(scale * task.figure.value, digits),
        verified=False,
    )


def front_matter(text: str) -> dict[str, Any]:
    """The front matter of a card, as the Hub's own library reads it.

    Raises:
        StudioError: ``card.bad_metadata`` with the `reason`: no front matter, no YAML, no licence, or values that
            `huggingface_hub` refuses.
    """
    found = FRONT.match(text.replace("\r\n", "\n"))
    if found is None:
        raise StudioError("card.bad_metadata", reason="---")
    try:
        front = yaml.safe_load(found[1])
    except yaml.YAMLError as error:
        raise StudioError("card.bad_metadata", reason=" ".join(str(error).split())) from error
    if not isinstance(front, dict):
        raise StudioError("card.bad_metadata", reason="key: value")
    _check(front)
    return front


def _check(front: dict[str, Any]) -> None:
    from huggingface_hub import ModelCardData
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    licence = front.get("license")
    if licence is not None and (not licence or not isinstance(licence, str | list)):
        raise StudioError("card.bad_metadata", reason="license: ?")
    if licence == "other" and not front.get("license_name"):
        raise StudioError("card.bad_metadata", reason="license: other, license_name: ?")
    for key in ("language", "tags"):
        _texts(front, key)
    try:
        ModelCardData(**front)
        for name in (*_texts(front, "base_model"), *_texts(front, "datasets")):
            validate_repo_id(name)
    except (HFValidationError, ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise StudioError("card.bad_metadata", reason=" ".join(str(error).split())) from error


def _texts(front: dict[str, Any], key: str) -> list[str]:
    """One text or several, as the Hub takes both."""
    value = front.get(key) or []
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise StudioError("card.bad_metadata", reason=f"{key}: {value}")
    return found
