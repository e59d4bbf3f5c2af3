"""Publishing against a strict Hub on this machine, by the library's own client."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
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
from tests.hub_server import SIGNATURE, Blob, HubServer, Person, Refusal, Repository

TOKEN, READER, GUEST = "hf_writerwriter", "hf_readerreader", "hf_guestguestgu"
REPO = "sara/persian-tiny"
CARD = '---\nlicense: mit\n---\n\n# model\n\n```python\nfolder = "model"\n```\n'


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
    assert f"[sara/persian-tiny-gguf]({hub.address}/sara/persian-tiny-gguf)" in card
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


def test_a_cut_in_a_file_is_sent_again_by_itself(hub: HubServer, folder: Path) -> None:
    hub.cut_after = [70_000]
    told = send(folder)
    first, second = shards(folder)
    assert told["checks"]["sha256"] == 2
    assert hub.received[digest(first)] > first.stat().st_size
    assert hub.received[digest(second)] == second.stat().st_size


def test_a_file_cut_more_often_than_the_client_tries_is_sent_whole(
    hub: HubServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    hub.cut_after = [1000] * 8
    assert send(folder)["checks"]["sha256"] == 2


def test_after_a_long_cut_only_the_rest_is_sent(hub: HubServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = shards(folder)
    monkeypatch.setattr(remote, "PATIENCE", 0.0)
    impatient(monkeypatch)
    hub.refusals = [Refusal(f"PUT /lfs/.*{digest(second)}", 0, 99, after=False)]
    hub.refusals[0].status = 503
    refused("hub.busy", lambda: send(folder))
    assert hub.received[digest(first)] == first.stat().st_size
    assert list(hub.repositories[REPO].head.files) == [".gitattributes"], "nothing half-published"
    hub.refusals.clear()
    told = send(folder)
    assert hub.received[digest(first)] == first.stat().st_size, "the first shard was not sent twice"
    assert told["sent"] == second.stat().st_size
    assert told["checks"]["sha256"] == 2


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's own retries without their seconds of waiting."""
    from huggingface_hub.utils import _http

    monkeypatch.setattr(_http.time, "sleep", lambda seconds: None)


def test_a_hub_that_goes_away_is_said(hub: HubServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PATIENCE", 0.0)
    impatient(monkeypatch)
    hub.cut_after = [1] * 50
    error = refused("hub.cut", lambda: send(folder))
    assert error.details == {"repo": REPO}
    assert len(hub.repositories[REPO].commits) == 1


@pytest.mark.parametrize(
    "where", ["GET /api/whoami", "POST /api/repos/create", "GET .*/tree/", "POST .*/preupload/", "POST .*/batch",
              "PUT /lfs/", "POST .*/commit/", "POST /lfs-verify"],
)  # fmt: skip
@pytest.mark.parametrize(("status", "headers"), [(429, {"Retry-After": "0"}), (503, {})])
def test_a_busy_hub_is_waited_for(
    hub: HubServer, folder: Path, where: str, status: int, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    hub.refusals = [Refusal(where, status, 2, headers)]
    assert send(folder)["checks"]["sha256"] == 2
    assert hub.refusals[0].times == 0
    assert len(hub.repositories[REPO].commits) == 2


def test_what_was_done_and_its_answer_lost_is_not_done_twice(hub: HubServer, folder: Path) -> None:
    hub.refusals = [Refusal(where, 0, 1, after=True) for where in ("POST /api/repos/create", "POST .*/commit/")]
    told = send(folder)
    assert len(hub.repositories[REPO].commits) == 2
    assert told["revision"] == hub.repositories[REPO].head.oid


def test_large_files_go_in_parts_and_a_cut_costs_one_part(hub: HubServer, folder: Path) -> None:
    hub.part_bytes = 40_000
    hub.cut_after = [10_000]
    told = send(folder)
    total = sum(path.stat().st_size for path in shards(folder))
    assert told["checks"]["sha256"] == 2
    assert total < hub.received.total() <= total + 40_000


def test_stopped_in_the_midst_of_a_file_shows_nothing_and_says_so(hub: HubServer, folder: Path) -> None:
    hub.seconds_per_piece = 0.5
    big = folder / "model-00003.safetensors"
    save_file({"noise": torch.rand(1_500_000)}, big)
    write_record(folder, "merged", "run:first-1", "hub:a/b", {})
    name = digest(big)
    started = time.monotonic()
    told = send(folder, stopping=lambda: hub.received[name] > 0)
    assert time.monotonic() - started < 15
    assert (told["state"], told["revision"], told["checks"]) == ("stopped", None, {})
    assert told["created"], "an empty repository is left, and that is said"
    assert 0 < told["sent"] < told["bytes"]
    assert list(hub.repositories[REPO].head.files) == [".gitattributes"]


@pytest.mark.parametrize(
    ("repo", "token", "code"),
    [
        ("sara/مدل", TOKEN, "hub.bad_repo"),
        ("sara/a b", TOKEN, "hub.bad_repo"),
        ("sara", TOKEN, "hub.bad_repo"),
        ("sara/a--b", TOKEN, "hub.bad_repo"),
        ("sara/../b", TOKEN, "hub.bad_repo"),
        ("sara/x.git", TOKEN, "hub.bad_repo"),
        ("sara/" + "x" * 96, TOKEN, "hub.bad_repo"),
        (REPO, "hf_nobodyknowsit", "hub.token_refused"),
        (REPO, READER, "hub.read_only_token"),
        ("reza/persian-tiny", TOKEN, "hub.not_yours"),
        ("club/persian-tiny", TOKEN, "hub.not_yours"),
        ("lab/theirs", TOKEN, "hub.name_taken"),
    ],
)
def test_what_may_not_be_published_is_said_and_leaves_nothing(
    hub: HubServer, folder: Path, repo: str, token: str, code: str
) -> None:
    theirs = Repository(private=True)
    theirs.add("their model", {"model.safetensors": Blob(b"theirs", large=True), "README.md": Blob(b"#", large=False)})
    hub.repositories["lab/theirs"] = theirs
    refused(code, lambda: send(folder, repo, token=token))
    assert set(hub.repositories) == {"lab/theirs"}
    assert len(theirs.commits) == 1
    assert hub.received.total() == 0


def test_a_commit_of_somebody_else_meanwhile_is_not_overwritten(hub: HubServer, folder: Path) -> None:
    send(folder)
    repository = hub.repositories[REPO]
    (folder / "README.md").write_text(CARD + "more\n", encoding="utf8")

    def meddle(share: float, note: str) -> None:
        if note == "progress.publish.commit":
            repository.add("meanwhile", repository.head.files | {"README.md": Blob(b"by hand", large=False)})

    refused("hub.changed_meanwhile", lambda: send(folder, progress=meddle))
    assert repository.head.message == "meanwhile"


def test_no_room_left_is_said(hub: HubServer, folder: Path) -> None:
    hub.quota = shards(folder)[0].stat().st_size + 10
    refused("hub.quota", lambda: send(folder))
    assert list(hub.repositories[REPO].head.files) == [".gitattributes"]


@pytest.mark.parametrize("name", ["config.json", "model-00001-of-00002.safetensors", "README.md"])
def test_a_hub_that_keeps_something_else_is_found_out(hub: HubServer, folder: Path, name: str) -> None:
    def spoil(share: float, note: str) -> None:
        if note == "progress.publish.read_back":
            files = hub.repositories[REPO].head.files
            files[name] = Blob(bytes(len(files[name].content)), large=files[name].large)

    assert refused("hub.differs", lambda: send(folder, progress=spoil)).details["file"] == name


def test_what_fails_after_the_commit_says_that_the_revision_is_there(
    hub: HubServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PATIENCE", 0.0)

    def leave(share: float, note: str) -> None:
        if note == "progress.publish.read_back":
            hub.refusals = [Refusal("GET /api/models", 401, 9)]

    error = refused("hub.not_compared", lambda: send(folder, progress=leave))
    assert error.details["revision"] == hub.repositories[REPO].head.oid
    hub.refusals = [Refusal("PUT .*/settings", 403, 9)]
    refused("hub.not_opened", lambda: send(folder, private=False))


def test_stopping_after_the_commit_changes_nothing(hub: HubServer, folder: Path) -> None:
    seen: list[str] = []
    told = send(
        folder,
        progress=lambda share, note: seen.append(note),
        stopping=lambda: "progress.publish.read_back" in seen,
    )
    assert "state" not in told
    assert told["checks"]["sha256"] == 2


def test_words_of_the_hub_hold_no_address(hub: HubServer, folder: Path) -> None:
    hub.refusals = [Refusal("PUT /lfs/", 400, 9)]
    assert SIGNATURE not in refused("hub.refused", lambda: send(folder)).details["reason"]


def test_changed_unchecked_or_cardless_folder_is_refused_before_the_hub_is_asked(hub: HubServer, folder: Path) -> None:
    (folder / "README.md").rename(folder / "gone.md")
    refused("publish.changed_since", lambda: send(folder))
    (folder / "gone.md").unlink()
    refused("publish.no_card", lambda: send(folder))
    (folder / "README.md").write_text(CARD)
    (folder / "config.json").write_text("{}")
    refused("publish.changed_since", lambda: send(folder))
    (folder / "export.json").unlink()
    refused("publish.not_checked", lambda: send(folder))
    assert hub.asked == []


def test_a_card_that_the_hub_refuses_is_said_in_its_words(hub: HubServer, folder: Path) -> None:
    (folder / "README.md").write_text("---\nlicense: [mine\n---\n")
    assert '"license" is not valid' in refused("publish.bad_card", lambda: send(folder)).details["reason"]
    assert len(hub.repositories[REPO].commits) == 1
