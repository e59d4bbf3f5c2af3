"""Publishing on a strict Hub on this machine by the library's own client: what arrives, and what is sent again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file

from studio.publish.record import write_record
from tests.hub_server import Blob, HubServer
from tests.unit.publish.uploading import CARD, REPO, refused, send, shards
from tests.unit.publish.uploading import folder as folder
from tests.unit.publish.uploading import hub as hub


def test_first_revision_is_private_whole_and_read_back(hub: HubServer, folder: Path) -> None:
    seen: list[tuple[float, str]] = []
    told = send(folder, progress=lambda share, note: seen.append((share, note)))
    repository = hub.repositories[REPO]
    assert repository.private
    assert told["private"]
    assert told["created"]
    assert (told["revision"], told["kind"], told["run"]) == (repository.head.oid, "merged", "run:first-1")
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {"export.json"}
    assert set(repository.head.files) == names | {".gitattributes"}
    assert {each["name"] for each in told["files"]} == names
    assert {each["change"] for each in told["files"]} == {"new"}
    for name in names - {"README.md"}:
        assert repository.head.files[name].content == (folder / name).read_bytes()
        assert repository.head.files[name].large == name.endswith(".safetensors")
    assert told["checks"] == {"files": len(names), "sha256": 2, "git_sha1": len(names) - 2}
    assert told["bytes"] == sum(len(repository.head.files[name].content) for name in names)
    assert told["sent"] == sum(path.stat().st_size for path in shards(folder)) == hub.received.total()
    assert [share for share, _ in seen] == sorted(share for share, _ in seen)
    assert seen[-1] == (1.0, "progress.publish.done")
    assert len({share for share, note in seen if note == "progress.publish.upload"}) >= len(shards(folder))


def test_card_on_the_hub_loads_from_the_hub_and_names_its_siblings(hub: HubServer, folder: Path) -> None:
    send(folder, links={"gguf": "sara/persian-tiny-gguf"})
    card = hub.repositories[REPO].head.files["README.md"].content.decode()
    assert f'folder = "{REPO}"' in card
    assert "[sara/persian-tiny-gguf](https://huggingface.co/sara/persian-tiny-gguf)" in card
    assert (folder / "README.md").read_text() == CARD, "the copy on the disk stays its owner's"
    assert "/home/sara" not in "".join(
        blob.content.decode(errors="ignore") for blob in hub.repositories[REPO].head.files.values()
    )


def test_plain_transformers_loads_it_back_in_a_fresh_process(hub: HubServer, folder: Path, tmp_path: Path) -> None:
    send(folder, private=False)
    program = f"""
from transformers import AutoModelForCausalLM, AutoTokenizer
for place in ({REPO!r}, {str(folder)!r}):
    ids = AutoTokenizer.from_pretrained(place)("سلام", return_tensors="pt").input_ids
    print(AutoModelForCausalLM.from_pretrained(place)(ids).logits.float().sum().item())
"""
    variables = {**os.environ, "HF_HOME": str(tmp_path / "cache"), "HF_ENDPOINT": hub.address}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=variables, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    from_hub, from_disk = done.stdout.split()
    assert from_hub == from_disk


def test_next_revision_sends_only_what_is_new_and_removes_stale_shards(hub: HubServer, folder: Path) -> None:
    first = send(folder)
    hub.repositories[REPO].head.files["picture.png"] = Blob(b"png", large=False)
    before = hub.received.total()
    weights = {name: tensor for path in shards(folder) for name, tensor in load_file(path).items()}
    for path in [*shards(folder), folder / "model.safetensors.index.json"]:
        path.unlink()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    write_record(folder, "merged", "run:first-1", "hub:a/b", {})
    told = send(folder, message="یک فایل به جای دو فایل")
    head = hub.repositories[REPO].head
    assert head.message == "یک فایل به جای دو فایل"
    assert told["revision"] == head.oid != first["revision"]
    changes = {each["name"]: each["change"] for each in told["files"]}
    assert changes["model.safetensors"] == "new"
    assert changes["config.json"] == "same"
    assert changes["model-00001-of-00002.safetensors"] == changes["model.safetensors.index.json"] == "removed"
    assert "model-00001-of-00002.safetensors" not in head.files
    assert "picture.png" in head.files, "what its owner put there stays"
    assert hub.received.total() - before == (folder / "model.safetensors").stat().st_size == told["sent"]


def test_same_files_again_make_no_new_revision(hub: HubServer, folder: Path) -> None:
    first = send(folder)
    again = send(folder)
    assert (again["revision"], again["sent"]) == (first["revision"], 0)
    assert len(hub.repositories[REPO].commits) == 2


def test_private_becomes_public_when_asked_and_never_the_other_way(hub: HubServer, folder: Path) -> None:
    send(folder)
    send(folder, private=False)
    assert not hub.repositories[REPO].private
    refused("hub.is_public", lambda: send(folder))
    assert not hub.repositories[REPO].private
