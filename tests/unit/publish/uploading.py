"""An export and a Hub to publish it on, for the tests of publishing."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.errors import StudioError
from studio.publish import remote
from studio.publish.hub import publish
from studio.publish.record import write_record
from tests.hub_server import HubServer, Person

TOKEN, READER, GUEST = "hf_writerwriter", "hf_readerreader", "hf_guestguestgu"
REPO = "sara/persian-tiny"
CARD = '---\nlicense: mit\n---\n\n# model\n\n[فارسی](#fa)\n\n```python\nfolder = "model"\n```\n'


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    server = HubServer()
    server.people = {
        TOKEN: Person("sara", orgs=(("lab", "write"), ("club", "read"))),
        READER: Person("sara", role="read"),
        GUEST: Person("reza"),
    }
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    monkeypatch.setattr(remote, "PATIENCE", 4.0)
    monkeypatch.setattr(remote, "FIRST_WAIT", 0.1)
    yield server
    server.close()


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    """An export of two shards, so that a cut can fall after the first."""
    made = tmp_path / "model"
    shutil.copytree(tiny_model, made)
    weights = load_file(made / "model.safetensors")
    (made / "model.safetensors").unlink()
    write_shards(made, weights)
    (made / "extra").mkdir()
    (made / "extra" / "note.txt").write_text("یادداشت", encoding="utf8")
    (made / "README.md").write_text(CARD, encoding="utf8")
    write_record(made, "merged", "run:first-1", "local:/home/sara/secret/base", {"tensors": len(weights)})
    return made


def write_shards(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    import json

    names, half = sorted(weights), len(weights) // 2
    files = {f"model-0000{at}-of-00002.safetensors": part for at, part in enumerate((names[:half], names[half:]), 1)}
    for file, part in files.items():
        save_file({name: weights[name] for name in part}, folder / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, part in files.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf8")


def send(folder: Path, repo: str = REPO, **named: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"token": TOKEN, "progress": lambda share, note: None, "stopping": lambda: False}
    return publish(folder, repo, **(told | named))


def refused(code: str, ask: Callable[[], object]) -> StudioError:
    with pytest.raises(StudioError) as caught:
        ask()
    assert caught.value.code == code
    assert "hf_" not in str(caught.value)
    return caught.value


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's own retries without their seconds of waiting."""
    from huggingface_hub.utils import _http

    monkeypatch.setattr(_http.time, "sleep", lambda seconds: None)
