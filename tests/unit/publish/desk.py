"""A workspace with exports and a Hub where its owner may publish, for the tests of command and service."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from studio.errors import StudioError
from studio.models.source import Origin, write_source
from studio.publish.record import write_record
from studio.recipes import dump_recipe
from studio.services import publishing
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from tests.hub_server import HubServer, Person
from tests.unit.publish.test_card import RECIPE
from tests.unit.publish.test_facts import manifest

TOKEN = "hf_Kq7ZxSecretOfSara"
CARD = "---\nlicense: mit\n---\n\n# first-1\n\n[فارسی](#fa)\n"
TOLD = {"repo", "files", "bytes", "private", "revision", "checks"}


@dataclass
class Desk:
    """A workspace with a run and exports of it, and a Hub where Sara may publish."""

    hub: HubServer
    workspace: Path

    @property
    def studio(self) -> Studio:
        return open_studio(Settings(self.workspace))

    def export(
        self, kind: Any = "merged", *, size: int = 1000, base: str = "hub:a/tiny", run: str = "first-1"
    ) -> Path:
        ending = publishing.ENDINGS[kind]
        folder = self.workspace / "exports" / f"{run}{ending}"
        folder.mkdir(parents=True)
        name = {"merged": "model.safetensors", "adapter": "adapter_model.safetensors", "gguf": "model.gguf"}[kind]
        save_file({"noise": torch.rand(size)}, folder / name, metadata={"format": "pt"})
        (folder / "config.json").write_text("{}")
        (folder / "README.md").write_text(CARD)
        write_record(folder, kind, f"run:{run}", base, {})
        return folder


@pytest.fixture
def desk(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    server = HubServer()
    server.people = {TOKEN: Person("sara")}
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    made = Desk(server, tmp_path / "workspace")
    models = made.workspace / "models" / "hub--a--tiny--main"
    shutil.copytree(tiny_model, models)
    seal(models, "mit")
    run = made.workspace / "runs" / "first-1"
    run.mkdir(parents=True)
    (run / "recipe.yaml").write_text(dump_recipe(RECIPE), encoding="utf8")
    for name in ("sample-chats", "poems"):
        data(made.workspace, name, "cc0-1.0")
    yield made
    server.close()


def seal(folder: Path, licence: str | None) -> None:
    write_source(
        folder, reference="hub:a/tiny", original="a/tiny", licence=licence, note=None,
        origins=[Origin(name="a/tiny", version="main")],
    )  # fmt: skip


def data(workspace: Path, name: str, licence: str | None) -> None:
    folder = workspace / "datasets" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(manifest(name, licence=licence).model_dump_json(), encoding="utf8")


def log_in(desk: Desk) -> None:
    """As ``hf auth login`` leaves it."""
    home = Path(os.environ["HF_HOME"])
    home.mkdir(exist_ok=True)
    (home / "token").write_text(TOKEN)


def refusal(ask: Any) -> StudioError:
    with pytest.raises(StudioError) as caught:
        ask()
    return caught.value
