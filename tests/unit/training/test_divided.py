"""Two processes that hold the layers of the base in parts come to what one comes to that holds them whole."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from studio.jobs.database import Database
from studio.jobs.events import MetricRow
from studio.jobs.held_out import HeldOutStore
from studio.models.files import locate
from studio.models.load import load_base
from studio.recipes import Lora, override, parse_recipe
from studio.settings import Settings
from studio.training import several
from studio.training.adapter import add_adapter
from studio.training.divided import Loaded, load_divided
from studio.training.journal import open_journal
from studio.training.prompts import answer
from studio.training.ranks import join
from studio.training.several import TrainResult
from tests.unit.training.test_stages import ALIGN, PRETRAIN
from tests.unit.training.tiny_families import FAMILIES, build_family

# So many batches that the longest is tried before the first step.
INSTRUCT = (
    "{name: chat, kind: instruct, data: [{dataset: chats}], budget: {steps: 60}, rates: {lora: 2.0e-3}, batch: 1, "
    "accumulation: 2, length: 256, rows: frozen}"
)
Divided = Callable[..., tuple[TrainResult, list[MetricRow]]]


@pytest.fixture
def start(settings: Settings, tiny_model: Path) -> Divided:
    """Train ``runs/<name>`` in `count` processes, with a journal, up to Stop after `stop_after` rows."""

    def run(
        name: str, stages: str, count: int, *, divide: bool | None = None, stop_after: int | None = None
    ) -> tuple[TrainResult, list[MetricRow]]:
        stage = {"name": "x", "kind": "pretrain", "data": [{"dataset": "texts"}], "budget": {"steps": 1}}
        whole = {"name": "small", "base": f"local:{tiny_model}", "lora": {"dropout": 0.0}, "stages": [stage]}
        recipe = override(parse_recipe(whole), [f"stages=[{stages}]"])
        rows: list[MetricRow] = []
        result = several.train(
            settings.runs / name,
            recipe,
            locate(recipe.base, settings),
            replace(settings, processes=count, divide=divide),
            record=rows.append,
            progress=lambda fraction, note: None,
            stopping=lambda: stop_after is not None and len(rows) >= stop_after,
            dtype=torch.float32,
            journal=open_journal(Database(settings.database), name),
            answer_tokens=6,
        )
        return result, rows

    return run


def samples(settings: Settings, run: str) -> list[tuple[Any, ...]]:
    lines = (settings.runs / run / "samples.jsonl").read_text(encoding="utf8").splitlines()
    return [tuple(json.loads(line)[key] for key in ("stage", "step", "prompt", "answer")) for line in lines]


def test_losses_figures_and_answers_are_those_of_a_whole_base(
    start: Divided, settings: Settings, words: Callable[[str], Path]
) -> None:
    """Stopped in the middle and taken up by one process that holds all of it."""
    stages = f"{ALIGN}, {PRETRAIN}, {INSTRUCT}"
    for name in ("whole", "parted"):
        words(name)
    _, alone = start("whole", stages, 1)
    stopped, parted = start("parted", stages, 2, divide=True, stop_after=59)
    assert stopped.state == "stopped"
    tried = json.loads((settings.runs / "parted" / "stages" / "02-chat" / "dry_run.json").read_text("utf8"))
    assert tried["needed_bytes"] > 0, "the longest batch was tried, by all of them"
    done, rest = start("parted", stages, 1)
    assert done.state == "done"
    parted += rest
    assert [(row.stage, row.step, row.tokens) for row in parted] == [
        (row.stage, row.step, row.tokens) for row in alone
    ]
    for row, expected in zip(parted, alone, strict=True):
        assert row.loss == pytest.approx(expected.loss, rel=1e-4)
    store = HeldOutStore(Database(settings.database))
    figures = {
        name: {(row.stage, row.language): row.bits_per_byte for row in store.rows(name) if row.stage <= 0}
        for name in ("whole", "parted")
    }
    assert figures["parted"] == pytest.approx(figures["whole"], rel=1e-4)
    assert len(figures["whole"]) == 4, "the base and the model that began, in both languages"
    shared = set(samples(settings, "parted")) & set(samples(settings, "whole"))
    assert {(stage, step) for stage, step, *_ in shared} >= {(0, 0), (0, 3), (1, 2), (1, 4), (2, 20), (2, 40), (2, 60)}
    ours, theirs = (
        load_file(settings.runs / name / "stages" / "02-chat" / "adapter_model.safetensors")
        for name in ("parted", "whole")
    )
    for key in theirs:
        torch.testing.assert_close(ours[key], theirs[key], rtol=1e-2, atol=1e-4)


def test_layers_in_four_bits_are_held_whole(settings: Settings, tiny_model: Path) -> None:
    stage = {"name": "x", "kind": "pretrain", "data": [{"dataset": "texts"}], "budget": {"steps": 1}}
    recipe = parse_recipe({"name": "a", "base": f"local:{tiny_model}", "stages": [stage], "quantisation": "nf4"})
    base, divide = locate(recipe.base, settings), replace(settings, divide=True)
    assert not several.is_divided(settings.runs / "a", recipe, base, divide, 2)
    assert several.is_divided(settings.runs / "a", override(recipe, ["quantisation=none"]), base, divide, 2)


def test_every_family_is_divided_and_computes_as_before(settings: Settings, tmp_path: Path) -> None:
    """Each process holds its part of the layers and all of the rest."""
    folders = {name: build_family(name, tmp_path / name) for name in FAMILIES}
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    meeting = str(tmp_path / "meeting")
    processes = [context.Process(target=tell, args=(number, meeting, folders, settings, theirs)) for number in (0, 1)]
    for process in processes:
        process.start()
    theirs.close()
    told = [ours.recv(), ours.recv()]
    for process in processes:
        process.join(60)
    for name, folder in folders.items():
        first, second = (found[name] for found in told)
        model, *_ = loaded = load(folder, settings, "cpu")
        alone = look(*loaded[:2])
        layers = alone.pop("layers")
        assert first.pop("layers") + second.pop("layers") == layers, name
        assert first == second, name
        assert {key: first[key] for key in ("rest", "learn", "answers")} == {
            key: alone[key] for key in ("rest", "learn", "answers")
        }, name
        assert first["loss"] == pytest.approx(alone["loss"], rel=1e-5), name
        assert first["gradient"] == pytest.approx(alone["gradient"], rel=1e-4), name
        assert alone["gradient"] > 0, model


def tell(number: int, meeting: str, folders: dict[str, Path], settings: Settings, line: Connection) -> None:
    ranks = join(number, 2, meeting, divided=True)
    found = {}
    for name, folder in folders.items():
        model, tokenizer, _ = load_divided(ranks, "cpu", partial(load, folder, settings))
        found[name] = look(model, tokenizer, together=True)
    line.send(found)
    ranks.meet()


def look(model: Any, tokenizer: Any, *, together: bool = False) -> dict[str, Any]:
    """Weights that this process holds, what it answers, and the loss and gradient of a text."""
    found: dict[str, Any] = {"layers": 0, "rest": 0, "learn": 0}
    layers = {id(weight) for weight in model.get_base_model().get_decoder().layers.parameters()}
    for name, weight in model.named_parameters():
        kind = "learn" if "lora_" in name else "layers" if id(weight) in layers else "rest"
        held = weight.to_local() if hasattr(weight, "to_local") else weight
        found[kind] += held.numel()
    found["answers"] = answer(model, tokenizer, ["سلام", "Good day"], 3, together=together)
    body = model.get_base_model().get_decoder()
    loss = body(input_ids=torch.arange(20)[None], use_cache=False).last_hidden_state.square().mean()
    loss.backward()
    norms = [float(weight.grad.norm()) for weight in model.parameters() if weight.grad is not None]
    return {**found, "loss": float(loss), "gradient": sum(norms)}


def load(base: Path, settings: Settings, device: str) -> Loaded:
    model, tokenizer = load_base(locate(f"local:{base}", settings), device=device, dtype=torch.float32)
    return add_adapter(model, Lora(rank=4), "x", 0), tokenizer, None
