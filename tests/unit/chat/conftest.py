"""Two adapters over the tiny model, laid out as runs in a workspace."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from studio.chat.requests import Message, Request, Sampling
from studio.models.files import ModelFiles
from studio.settings import Settings

GREEDY = Sampling(greedy=True, max_new_tokens=24)
QUESTION = (Message(role="user", content="گربه کجا خوابیده بود؟"),)


def make_adapter(base: Path, folder: Path, seed: int) -> Path:
    """Save a LoRA adapter whose random matrices change every answer."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = LoraConfig(r=4, lora_alpha=32, target_modules="all-linear", init_lora_weights=False)
        get_peft_model(model, config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def adapters(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of two adapters, by name."""
    root = tmp_path_factory.mktemp("adapters")
    return {name: make_adapter(tiny_model, root / name, seed) for seed, name in enumerate(("first", "second"))}


@pytest.fixture(scope="session")
def files(tiny_model: Path, adapters: dict[str, Path]) -> dict[str, ModelFiles]:
    """What `locate` finds: the base and a side for each adapter."""

    def side(reference: str, adapter: Path | None) -> ModelFiles:
        return ModelFiles(reference, "local:base", tiny_model, tiny_model, adapter)

    return {"base": side("base", None), **{name: side(name, folder) for name, folder in adapters.items()}}


@pytest.fixture
def copy_model(tiny_model: Path) -> Callable[[Path], Path]:
    """Copies the tiny model, to stand for another base."""

    def copy(folder: Path) -> Path:
        shutil.copytree(tiny_model, folder)
        return folder

    return copy


@pytest.fixture
def workspace(tmp_path: Path) -> Settings:
    """An empty workspace."""
    return Settings(workspace=tmp_path / "w")


def ask(side: str, sampling: Sampling = GREEDY, text: str = QUESTION[0].content) -> Request:
    return Request(side=side, messages=(Message(role="user", content=text),), sampling=sampling)
