"""Align, pretrain, instruct: over one adapter and one set of new rows, each learning only what it is meant to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from studio.errors import StudioError
from studio.jobs.events import MetricRow
from studio.models.files import locate
from studio.models.load import load_adapted
from studio.publish.pipeline import merge_run
from studio.recipes import Stage
from studio.settings import Settings
from studio.training.curriculum import TrainResult
from studio.training.plan import make_plan
from tests.tiny import SENTENCES

Train = Callable[..., tuple[TrainResult, list[MetricRow]]]

ALIGN = (
    "{name: align, kind: align, data: [{dataset: texts}, {dataset: pairs, direction: fa-en}], budget: {steps: 3}, "
    "rates: {rows: 1.0e-2}, batch: 2, accumulation: 1, length: 64}"
)
PRETRAIN = (
    "{name: pretrain, kind: pretrain, data: [{dataset: texts}], budget: {steps: 4}, "
    "rates: {lora: 2.0e-3, rows: 1.0e-3}, batch: 2, accumulation: 2, length: 64}"
)
INSTRUCT = (
    "{name: chat, kind: instruct, data: [{dataset: chats}], budget: {steps: 2}, rates: {lora: 2.0e-3}, batch: 2, "
    "accumulation: 1, length: 256, rows: frozen}"
)


def kept(settings: Settings, run: str) -> list[dict[str, dict[str, torch.Tensor]]]:
    """Adapter and rows of each finished stage, in order."""
    stages = sorted((settings.runs / run / "stages").iterdir())
    return [
        {name: load_file(stage / f"{name}.safetensors") for name in ("adapter_model", "new_rows")} for stage in stages
    ]


def test_each_stage_learns_what_it_is_meant_to(train: Train, settings: Settings, words: Callable[[str], Path]) -> None:
    folder = words("a")
    start = load_file(folder / "new_rows.safetensors")["input"]
    result, recorded = train("a", f"stages=[{ALIGN}, {PRETRAIN}, {INSTRUCT}]")
    assert (result.state, result.steps) == ("done", 9)
    align, pretrain, chat = kept(settings, "a")
    ups = [name for name in align["adapter_model"] if "lora_B" in name]
    assert all(not align["adapter_model"][name].any() for name in ups), "the layers stand still while rows align"
    assert (align["new_rows"]["input"] - start).abs().max() > 1e-3
    assert any(pretrain["adapter_model"][name].any() for name in ups)
    assert not torch.equal(pretrain["new_rows"]["input"], align["new_rows"]["input"])
    assert torch.equal(chat["new_rows"]["input"], pretrain["new_rows"]["input"]), "rows: frozen"
    assert any(not torch.equal(chat["adapter_model"][name], pretrain["adapter_model"][name]) for name in ups)
    norms = [(row.stage, row.grad_norm is not None, row.grad_norm_new is not None) for row in recorded]
    assert norms[0] == (0, True, True)
    assert norms[3] == (1, True, True)
    assert norms[-1] == (2, True, False)
    assert recorded[2].loss < recorded[0].loss


def test_a_run_is_the_same_model_wherever_it_is_loaded(
    train: Train, settings: Settings, words: Callable[[str], Path], tiny_model: Path
) -> None:
    from transformers import AutoModelForCausalLM

    folder = words("a")
    train("a", f"stages=[{ALIGN}, {PRETRAIN}]")
    (settings.runs / "a" / "recipe.yaml").write_text(
        f"name: a\nbase: local:{tiny_model}\nstages: [{PRETRAIN}]\n", encoding="utf8"
    )
    files = locate("run:a", settings)
    assert files.rows == settings.runs / "a" / "stages" / "01-pretrain" / "new_rows.safetensors"
    assert files.tokenizer_folder == folder
    model, tokenizer = load_adapted(files, dtype=torch.float32)
    ids = tokenizer(SENTENCES[2], add_special_tokens=False)["input_ids"]
    old = len(AutoModelForCausalLM.from_pretrained(tiny_model).get_input_embeddings().weight)
    base_tokens = 512
    assert max(ids) >= base_tokens or old > base_tokens, "the sentence is spelt with new tokens"
    learnt = load_file(files.rows)
    table = model.get_input_embeddings().weight
    assert torch.equal(table[learnt["ids"]], learnt["input"])


def test_a_run_with_a_vocabulary_is_merged_and_proved(
    train: Train, settings: Settings, words: Callable[[str], Path], tiny_model: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    words("a")
    train("a", f"stages=[{ALIGN}, {PRETRAIN}]")
    recipe = f"name: a\nbase: local:{tiny_model}\nstages: [{PRETRAIN}]\n"
    (settings.runs / "a" / "recipe.yaml").write_text(recipe, encoding="utf8")
    files = locate("run:a", settings)
    out = tmp_path / "merged"
    done = merge_run(
        files, out, SENTENCES[:4], settings=settings, progress=lambda share, note: None, stopping=lambda: False
    )
    assert done["bits_per_byte_after"] == pytest.approx(done["bits_per_byte_before"], rel=0.005)
    assert files.rows is not None
    learnt = load_file(files.rows)
    merged, tokenizer = AutoModelForCausalLM.from_pretrained(out), AutoTokenizer.from_pretrained(out)
    table = merged.get_input_embeddings().weight
    assert torch.equal(table[learnt["ids"]], learnt["input"].to(table.dtype))
    assert len(tokenizer) == int(learnt["ids"][-1]) + 1 <= len(table)
    assert [path.name for path in tmp_path.glob(".incoming-*")] == []


def test_a_stage_with_rows_goes_on_exactly(train: Train, settings: Settings, words: Callable[[str], Path]) -> None:
    words("whole")
    words("parted")
    _, whole = train("whole", f"stages=[{ALIGN}, {PRETRAIN}]")
    seen: list[MetricRow] = []
    result, first = train(
        "parted", f"stages=[{ALIGN}, {PRETRAIN}]", record=seen.append, stopping=lambda: len(seen) >= 5
    )
    assert (result.state, len(first)) == ("stopped", 5)
    _, rest = train("parted", f"stages=[{ALIGN}, {PRETRAIN}]")
    assert [row.loss for row in [*first, *rest]] == [row.loss for row in whole]
    for ours, theirs in zip(kept(settings, "parted"), kept(settings, "whole"), strict=True):
        assert torch.equal(ours["new_rows"]["input"], theirs["new_rows"]["input"])


def test_papers_way_trains_whole_tables(train: Train, settings: Settings, words: Callable[[str], Path]) -> None:
    folder = words("a")
    align = ALIGN.replace("length: 64", "length: 64, rows: all")
    train("a", f"stages=[{align}, {PRETRAIN}]")
    first, second = kept(settings, "a")
    learnt = first["new_rows"]
    assert int(learnt["ids"][0]) == 0
    new = load_file(folder / "new_rows.safetensors")["ids"]
    old = int(new[0])
    before = second["new_rows"]["input"][:old]
    assert torch.equal(before, learnt["input"][:old]), "rows: new holds the old ones again"
    assert not torch.equal(second["new_rows"]["input"][new], learnt["input"][new])


def test_another_vocabulary_is_not_taken_for_the_runs_own(
    train: Train, settings: Settings, words: Callable[[str], Path]
) -> None:
    folder = words("a")
    train("a", f"stages=[{ALIGN}]")
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text(encoding="utf8") + "\n", encoding="utf8")
    with pytest.raises(StudioError) as caught:
        train("a", f"stages=[{ALIGN}, {PRETRAIN}]")
    assert caught.value.code == "training.vocabulary_changed"


def test_texts_are_packed_whole_and_shares_are_of_tokens() -> None:
    stage = Stage.model_validate(
        {"name": "a", "kind": "pretrain", "data": [{"dataset": "d"}, {"dataset": "e"}], "budget": {"epochs": 1},
         "batch": 2, "accumulation": 1, "length": 50}
    )  # fmt: skip
    tokens = [10, 50, 7, 33, 21, 5] * 10
    one = make_plan(stage, [0] * 60, tokens, [1.0, 1.0], 0)
    assert sorted([row for batch in one.batches for row in batch][:60]) == list(range(60)), "an epoch has every row"
    assert all(sum(tokens[row] for row in batch) <= 100 for batch in one.batches)
    assert sum(sum(tokens[row] for row in batch) for batch in one.batches) / (100 * len(one.batches)) > 0.8
    mixed = make_plan(stage, [0] * 30 + [1] * 30, [40] * 30 + [5] * 30, [3.0, 1.0], 0)
    spent = [0, 0]
    for batch in mixed.batches:
        for row in batch:
            spent[row >= 30] += 40 if row < 30 else 5
    assert 0.7 < spent[0] / sum(spent) < 0.8
