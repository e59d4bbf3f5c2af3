"""What may go wrong while publishing: said in one sentence, and nothing half-published."""

from __future__ import annotations

import time
from pathlib import Path

import httpx2
import pytest
import torch
from safetensors.torch import save_file

from studio.publish import remote
from studio.publish.record import write_record
from tests.hub_server import SIGNATURE, Blob, HubServer, Refusal, Repository
from tests.unit.publish.uploading import CARD, READER, REPO, TOKEN, digest, impatient, refused, send, shards
from tests.unit.publish.uploading import folder as folder
from tests.unit.publish.uploading import hub as hub


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


def test_hours_of_sending_do_not_use_up_the_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PATIENCE", 0.5)
    monkeypatch.setattr(remote, "FIRST_WAIT", 0.1)
    attempts: list[int] = []

    def ask() -> str:
        attempts.append(1)
        if len(attempts) == 1:
            time.sleep(0.7)
            raise httpx2.ReadError("cut")
        return "sent"

    assert remote.patiently(ask, lambda: False) == "sent"


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
