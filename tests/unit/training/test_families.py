"""Every family we name, trained for real and held to plain transformers and peft: loss, gradients, layers, files."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

from studio.errors import StudioError
from studio.jobs.events import MetricRow
from studio.models.new_rows import place_rows, read_rows
from studio.settings import Settings
from studio.training import milestones, stages
from studio.training.attention import document_attention
from studio.training.base import softcap
from studio.training.curriculum import TrainResult
from studio.training.prompts import answer
from studio.training.trainer import StageTrainer
from studio.training.words import Words
from tests.unit.tokenizer.expansion import learn_for
from tests.unit.training.tiny_families import FAMILIES, WINDOW, Family, build_family

Train = Callable[..., tuple[TrainResult, list[MetricRow]]]

SEED = 3407
PRETRAIN = (
    "{name: pretrain, kind: pretrain, data: [{dataset: texts}], budget: {steps: 2}, schedule: constant, warmup: 0, "
    "rates: {lora: 5.0e-3, rows: 1.0e-2}, batch: 2, accumulation: 2, length: 64}"
)
ALIGN = (
    "{name: align, kind: align, data: [{dataset: texts}, {dataset: pairs, direction: fa-en}], budget: {steps: 1}, "
    "schedule: constant, warmup: 0, rates: {rows: 1.0e-2}, batch: 2, accumulation: 2, length: 64}"
)
CHAT = (
    "{name: chat, kind: instruct, data: [{dataset: chats}], budget: {steps: 1}, schedule: constant, warmup: 0, "
    "rates: {lora: 5.0e-3, rows: 1.0e-2}, batch: 2, accumulation: 1, length: 512}"
)
EXPANDING = [name for name, family in FAMILIES.items() if family.expands]


@dataclass(slots=True)
class Seen:
    """What a stage was really trained with: the documents of its first step, and its model as it stands now."""

    model: Any
    words: Words | None
    documents: list[dict[str, list[int]]] = field(default_factory=list)


@pytest.fixture(autouse=True, scope="module")
def frozen() -> Iterator[None]:
    """accelerate collects garbage at every stage; over torch's and transformers' own objects that is half the time."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Seen]:
    """One entry for each stage trained in the test; sample answers are cut to two tokens."""
    found: list[Seen] = []

    class Watched(StageTrainer):
        def __init__(self, model: Any, tokenizer: Any, rows: Any, plan: Any, args: Any, *rest: Any) -> None:
            first = [row for batch in plan.batches[: args.gradient_accumulation_steps] for row in batch]
            found.append(Seen(model, rest[-2], [rows[row] for row in first]))
            super().__init__(model, tokenizer, rows, plan, args, *rest)

    monkeypatch.setattr(stages, "StageTrainer", Watched)
    monkeypatch.setattr(milestones, "answer", lambda *given, **_: answer(*given[:3], new_tokens=2))
    return found


def plain_base(folder: Path, kind: Any = AutoModelForCausalLM) -> Any:
    return kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def plain_peft(model: Any, family: Family, **options: bool) -> Any:
    """peft told each layer by its full name: those of the language model that the family lists."""
    tower = re.compile("vision|audio")
    layers = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and name.rsplit(".", 1)[-1] in family.targets and not tower.search(name)
    ]
    torch.manual_seed(SEED)
    return get_peft_model(
        model, LoraConfig(r=4, lora_alpha=8, target_modules=layers, task_type="CAUSAL_LM", **options)
    )


def plain_loss(model: Any, documents: list[dict[str, list[int]]]) -> torch.Tensor:
    """Each document alone through the whole model; the mean over all labelled tokens."""
    losses, items = [], 0
    for row in documents:
        logits = model(input_ids=torch.tensor([row["input_ids"]]), use_cache=False).logits[0]
        labels = torch.tensor(row["labels"][1:])
        losses.append(functional.cross_entropy(logits[:-1], labels, ignore_index=-100, reduction="sum"))
        items += int((labels != -100).sum())
    return torch.stack(losses).sum() / items


def norm_of(gradients: Iterator[torch.Tensor]) -> float:
    return float(torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt())


@torch.no_grad()
def our_logits(stage: Seen, ids: list[int]) -> torch.Tensor:
    """Logits of the model that was trained, by the path that training takes."""
    causal = stage.model.get_base_model()
    body, head = causal.get_decoder(), causal.get_output_embeddings().weight.clone()
    if stage.words is not None:
        rows = stage.words.trained
        head[rows.first : rows.first + len(rows.head)] = rows.head
    with document_attention(body.config):
        hidden = body(
            input_ids=torch.tensor([ids]), position_ids=torch.arange(len(ids))[None], use_cache=False,
            document_lengths=[len(ids)],
        ).last_hidden_state[0]  # fmt: skip
    logits = hidden @ head.t()
    bound = softcap(causal)
    return logits if bound is None else bound * torch.tanh(logits / bound)


def classes_of(folder: Path, family: Family) -> list[Any]:
    """What users load such a checkpoint with."""
    named = getattr(transformers, transformers.AutoConfig.from_pretrained(folder).architectures[0])
    return [AutoModelForCausalLM, named, *([] if family.towers is None else [AutoModelForImageTextToText])]


@pytest.mark.parametrize(
    ("name", "option"), [*((name, None) for name in FAMILIES), ("qwen3", "dora"), ("qwen3", "rslora")]
)
def test_lora_is_that_of_plain_peft(
    name: str, option: str | None, train: Train, settings: Settings, seen: list[Seen], tmp_path: Path
) -> None:
    family, folder = FAMILIES[name], build_family(name, tmp_path / name)
    lora = "rank: 4, alpha: 8" if option is None else f"rank: 4, alpha: 8, {option}: true"
    _, recorded = train("a", f"base=local:{folder}", f"stages=[{PRETRAIN}]", f"lora={{{lora}}}")
    [stage] = seen
    assert len(stage.documents) >= 4
    assert max(len(row["input_ids"]) for row in stage.documents) > 2 * WINDOW
    reference = plain_peft(plain_base(folder), family, **({} if option is None else {f"use_{option}": True}))
    loss = plain_loss(reference, stage.documents)
    loss.backward()
    learning = [(key, weight) for key, weight in reference.named_parameters() if weight.requires_grad]
    assert recorded[0].loss == pytest.approx(loss.item(), abs=1e-4)
    assert recorded[0].grad_norm == pytest.approx(norm_of(weight.grad for _, weight in learning), rel=1e-3)
    ours = {key for key, weight in stage.model.named_parameters() if weight.requires_grad}
    assert ours == {key for key, _ in learning}
    endings = {key.split(".lora_")[0].rsplit(".", 1)[-1] for key in ours}
    assert endings == family.targets
    assert not [key for key in ours if "vision" in key or "audio" in key]
    ids = max((row["input_ids"] for row in stage.documents), key=len)
    mine = our_logits(stage, ids)
    for kind in classes_of(folder, family):
        model = plain_base(folder, kind)
        with torch.no_grad():
            before = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
            model = PeftModel.from_pretrained(model, str(settings.runs / "a" / "stages" / "00-pretrain"))
            theirs = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
        assert float((mine - theirs).abs().max()) < 1e-4, kind
        assert float((mine - before).abs().max()) > 1e-2, "two steps moved something"


@pytest.mark.parametrize("name", EXPANDING)
def test_new_rows_are_those_of_whole_tables(
    name: str, train: Train, settings: Settings, words: Callable[..., Path], seen: list[Seen], tmp_path: Path
) -> None:
    folder = build_family(name, tmp_path / name)
    vocabulary = words("a", folder)
    _, recorded = train("a", f"base=local:{folder}", f"stages=[{ALIGN}, {CHAT}]", "lora={rank: 4, alpha: 8}")
    align, chat = seen
    new, _ = read_rows(vocabulary / "new_rows.safetensors")
    assert any(set(row["input_ids"]) & set(new.ids.tolist()) for row in align.documents), "new tokens are read"
    reference = plain_base(folder)
    place_rows(reference, new)
    tables = [reference.get_input_embeddings().weight]
    if new.output is not None:
        tables.append(reference.get_output_embeddings().weight)
    loss = plain_loss(reference, align.documents)
    loss.backward()
    assert recorded[0].loss == pytest.approx(loss.item(), abs=1e-4)
    assert recorded[0].grad_norm_new == pytest.approx(norm_of(table.grad[new.ids] for table in tables), rel=1e-3)
    for number, stage in enumerate(("00-align", "01-chat")):
        done = settings.runs / "a" / "stages" / stage
        model = plain_base(folder)
        place_rows(model, read_rows(done / "new_rows.safetensors")[0])
        model = PeftModel.from_pretrained(model, str(done))
        with torch.no_grad():
            if number == 0:  # what the next stage begins with is what this one left
                assert recorded[1].loss == pytest.approx(plain_loss(model, chat.documents).item(), abs=1e-4)
                continue
            ids = align.documents[0]["input_ids"]
            theirs = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
        mine = our_logits(chat, ids)[:, : theirs.shape[1]]
        used = [*range(int(new.ids[0])), *new.ids.tolist()]
        assert float((mine - theirs)[:, used].abs().max()) < 1e-4


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if not family.expands])
def test_tables_of_each_layer_refuse_new_words(name: str, tmp_path: Path) -> None:
    folder = build_family(name, tmp_path / name)
    with pytest.raises(StudioError) as caught:
        learn_for(folder, tmp_path / "words")
    assert caught.value.code == "vocabulary.per_layer_tables"
