"""``publish`` in a terminal and its service, with real workers, against a strict Hub on this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from studio.errors import StudioError
from studio.jobs.store import NewJob
from studio.models.source import Origin, write_source
from studio.publish.record import write_record
from studio.recipes import dump_recipe
from studio.services import account, jobs, publishing
from studio.services.studio import Studio, open_studio
from studio.settings import ROOT, Settings
from tests.hub_server import SIGNATURE, Blob, HubServer, Person, Refusal, Repository
from tests.live import command, plain
from tests.unit.publish.test_card import RECIPE

TOKEN = "hf_Kq7ZxSecretOfSara"
CARD = "---\nlicense: mit\n---\n\n# first-1\n"
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
    (folder / "manifest.json").write_text(json.dumps({"rows": 7, "licence": licence, "source": "upload"}))


def log_in(desk: Desk) -> None:
    """As ``hf auth login`` leaves it."""
    home = Path(os.environ["HF_HOME"])
    home.mkdir(exist_ok=True)
    (home / "token").write_text(TOKEN)


def test_dry_run_shows_what_publishing_then_does(desk: Desk) -> None:
    folder = desk.export()
    log_in(desk)
    dry = command(desk.workspace, "publish", "first-1", "--to", "sara/fa", "--dry-run")
    assert set(dry) >= TOLD
    assert (dry["exists"], dry["revision"], dry["problems"], dry["licences"]) == (False, None, [], [])
    assert {each["name"] for each in dry["files"]} == {"model.safetensors", "config.json", "README.md"}
    assert desk.hub.repositories == {}
    told = command(desk.workspace, "publish", "first-1", "--to", "sara/fa", "--message", "نخستین")
    assert set(told) >= TOLD
    assert told["state"] == "done"
    assert told["files"] == dry["files"]
    assert told["bytes"] == dry["bytes"]
    assert told["checks"] == {"files": 3, "sha256": 1, "git_sha1": 2}
    head = desk.hub.repositories["sara/fa"].head
    assert (told["revision"], head.message, told["private"]) == (head.oid, "نخستین", True)
    assert head.files["model.safetensors"].content == (folder / "model.safetensors").read_bytes()
    said = plain(desk.workspace, "publish", "run:first-1", "--to", "sara/fa", "--dry-run", "--language", "fa")
    assert "= model.safetensors" in said.stdout
    assert "فرستاده نشد" in said.stdout


def test_refusals_of_the_command_are_sentences(desk: Desk) -> None:
    missing = command(desk.workspace, "publish", "first-1", "--to", "sara/fa", "--what", "gguf", status=1)
    assert missing["error"] == "publish.not_made"
    assert "studio export run:first-1 --gguf" in missing["message"]
    desk.export()
    bad = command(desk.workspace, "publish", "first-1", "--to", "sara/نام", status=1)
    assert bad["error"] == "hub.bad_repo"
    nobody = command(desk.workspace, "publish", "first-1", "--to", "sara/fa", status=1)
    assert nobody["error"] == "hub.no_login"
    other = command(desk.workspace, "publish", "run:first-1/chat", "--to", "sara/fa", status=1)
    assert other["error"] == "publish.other_run"
    assert desk.hub.repositories == {}


def test_licences_are_told_and_must_be_accepted(desk: Desk) -> None:
    desk.export()
    data(desk.workspace, "poems", "cc-by-nc-4.0")
    log_in(desk)
    refused = command(desk.workspace, "publish", "first-1", "--to", "sara/fa", status=1)
    assert (refused["error"], refused["details"]) == ("publish.licence_asks", {"subjects": "poems (cc-by-nc-4.0)"})
    said = plain(desk.workspace, "publish", "first-1", "--to", "sara/fa", "--dry-run", LC_ALL="en_US.UTF-8")
    assert "poems (cc-by-nc-4.0) is for non-commercial use only" in said.stderr
    told = command(desk.workspace, "publish", "first-1", "--to", "sara/fa", "--accept-licence")
    assert told["licences"] == ["non_commercial"]


def test_token_is_in_memory_only(desk: Desk) -> None:
    """While a worker uploads and afterwards: no file, log, row, command line or environment holds it."""
    desk.export(size=400_000)
    desk.hub.seconds_per_piece = 0.12
    desk.hub.refusals = [
        Refusal("PUT /lfs/", 503, 1),
        Refusal("POST .*/commit/", 503, 1),
    ]  # which logs like to tell of
    log_in(desk)
    words = [
        sys.executable,
        "-m",
        "studio",
        "publish",
        "first-1",
        "--to",
        "sara/fa",
        "--workspace",
        str(desk.workspace),
    ]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        give_up = time.monotonic() + 60
        while desk.hub.received.total() == 0 and time.monotonic() < give_up:
            time.sleep(0.05)
        (Path(os.environ["HF_HOME"]) / "token").unlink()  # the login's own file is not ours to hide
        workers = [pid for pid in processes() if str(desk.workspace).encode() in pid.joinpath("cmdline").read_bytes()]
        assert len(workers) >= 2, "the command and its worker"
        during = holders(desk.workspace)
        assert desk.hub.received.total() < 1_600_000, "it was looked at while it ran"
        out, err = running.communicate(timeout=120)
    assert running.returncode == 0, err
    assert during == holders(desk.workspace) == []
    assert TOKEN.encode() not in out + err
    assert desk.hub.repositories["sara/fa"].head.files["model.safetensors"].large


def processes() -> list[Path]:
    return [each for each in Path("/proc").iterdir() if each.name.isdecimal() and readable(each / "environ")]


def readable(path: Path) -> bool:
    try:
        return bool(path.read_bytes()) or True
    except OSError:
        return False


def holders(workspace: Path) -> list[str]:
    """Files below the workspace and entries of the process list with a token or a signed address in them."""
    places = [path for path in workspace.rglob("*") if path.is_file()]
    places += [each / name for each in processes() for name in ("cmdline", "environ")]
    found = []
    for place in places:
        try:
            if any(secret.encode() in place.read_bytes() for secret in (TOKEN, SIGNATURE)):
                found.append(str(place))
        except OSError:  # it ended meanwhile
            continue
    return found


def test_without_a_token_the_job_waits_for_a_login_and_then_runs(desk: Desk) -> None:
    desk.export()
    studio = desk.studio
    job = publishing.start_publish(studio, "first-1", "sara/fa")
    assert job.state == "needs_login"
    assert refusal(lambda: publishing.start_publish(studio, "first-1", "sara/fa")).code == "publish.under_way"
    account.set_token(studio, TOKEN)
    ended = jobs.wait(studio, job.id)
    assert (ended.state, ended.error) == ("done", None)
    shown = publishing.published(studio)
    assert [(each.repo, each.kind, each.run, each.private) for each in shown] == [
        ("sara/fa", "merged", "run:first-1", True)
    ]
    assert shown[0].revision == desk.hub.repositories["sara/fa"].head.oid
    assert shown[0].url == f"{desk.hub.address}/sara/fa"


def test_forms_of_one_run_name_each_other(desk: Desk) -> None:
    studio = desk.studio
    account.set_token(studio, TOKEN)
    for kind in ("merged", "adapter"):
        desk.export(kind)
        name = f"first-1{publishing.ENDINGS[kind]}"
        assert jobs.wait(studio, publishing.start_publish(studio, name, f"sara/{name}").id).state == "done"
    cards = {name: repository.head.files["README.md"].content.decode() for name, repository in
             desk.hub.repositories.items()}  # fmt: skip
    assert "(" + desk.hub.address + "/sara/first-1)" in cards["sara/first-1-adapter"]
    assert "(" + desk.hub.address + "/sara/first-1-adapter)" in cards["sara/first-1"]
    assert cards["sara/first-1"].count("<!-- siblings -->") == 1
    desk.export("gguf")
    planned = publishing.plan(studio, "first-1-gguf", "sara/open", private=False)
    assert planned.siblings == {}, "a public card names no private repository"
    assert publishing.plan(studio, "first-1-gguf", "sara/first-1-gguf").siblings == {
        "merged": "sara/first-1", "adapter": "sara/first-1-adapter"
    }  # fmt: skip


def test_a_stopped_upload_says_what_it_left(desk: Desk) -> None:
    desk.export(size=400_000)
    desk.hub.seconds_per_piece = 0.3
    studio = desk.studio
    account.set_token(studio, TOKEN)
    job = publishing.start_publish(studio, "first-1", "sara/fa")
    while desk.hub.received.total() == 0:
        time.sleep(0.05)
    jobs.stop(studio, job.id)
    ended = jobs.wait(studio, job.id)
    assert ended.state == "stopped"
    assert ended.result is not None
    assert (ended.result["created"], ended.result["revision"]) == (True, None)
    assert list(desk.hub.repositories["sara/fa"].head.files) == [".gitattributes"]
    assert publishing.published(studio) == ()
    desk.hub.seconds_per_piece = 0.0
    jobs.resume(studio, job.id)
    assert jobs.wait(studio, job.id).state == "done"


def test_an_export_still_to_be_made_may_be_queued(desk: Desk) -> None:
    studio = desk.studio
    account.set_token(studio, TOKEN)
    first = studio.jobs.add(NewJob("merge", "first-1", {}, after=()))
    job = publishing.start_publish(studio, "first-1", "sara/fa", after=(first,))
    assert job.state == "waiting"


def test_a_plan_tells_problems_before_they_cost_anything(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.export()
    studio = desk.studio
    told = publishing.plan(studio, "first-1", "sara/fa")
    assert ([each.code for each in told.problems], told.exists) == (["hub.no_login"], None)
    account.set_token(studio, TOKEN)
    assert publishing.plan(studio, "first-1", "sara/fa").problems == ()
    theirs = Repository(private=False)
    theirs.add("by hand", {"model.safetensors": Blob(b"x", large=True)})
    desk.hub.repositories["sara/fa"] = theirs
    told = publishing.plan(studio, "first-1", "sara/fa")
    assert [each.code for each in told.problems] == ["hub.is_public", "hub.name_taken"]
    assert (told.exists, told.revision) == (True, theirs.head.oid)
    assert {each.name: each.change for each in told.files}["model.safetensors"] == "changed"
    assert [each.code for each in publishing.plan(studio, "first-1", "reza/fa").problems] == ["hub.not_yours"]
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    told = publishing.plan(studio, "first-1", "sara/fa")
    assert ([each.code for each in told.problems], told.exists) == (["hub.unreachable"], None)


def test_a_plan_does_not_wait_for_a_silent_hub(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.export()
    studio = desk.studio
    account.set_token(studio, TOKEN)
    monkeypatch.setattr(publishing, "ANSWER_SECONDS", 0.5)
    started = time.monotonic()
    with desk.hub.lock:  # nobody gets a listing meanwhile
        told = publishing.plan(studio, "first-1", "sara/fa")
    assert time.monotonic() - started < 5
    assert ([each.code for each in told.problems], told.exists) == (["hub.unreachable"], None)


def test_a_gated_base_asks_for_acceptance(desk: Desk) -> None:
    desk.export()
    base = Repository(private=False, gated=True)
    base.add("base", {"README.md": Blob(b"#", large=False)})
    desk.hub.repositories["a/tiny"] = base
    studio = desk.studio
    account.set_token(studio, TOKEN)
    assert [each.code for each in publishing.plan(studio, "first-1", "sara/fa").licences] == ["gated"]
    ended = jobs.wait(studio, publishing.start_publish(studio, "first-1", "sara/fa").id)
    assert ended.error == {"code": "publish.licence_asks", "details": {"subjects": "a/tiny (mit)"}}
    again = publishing.start_publish(studio, "first-1", "sara/fa", accept_licence=True)
    assert jobs.wait(studio, again.id).state == "done"


def test_exports_are_listed_with_what_is_known_of_them(desk: Desk) -> None:
    merged = desk.export()
    desk.export("adapter")
    (desk.workspace / "exports" / "by-hand").mkdir()
    (desk.workspace / "exports" / ".incoming-x").mkdir()
    seal_me = desk.workspace / "exports" / "expanded-base"
    seal_me.mkdir()
    seal(seal_me, "mit")
    found = {each.name: each for each in publishing.exports(desk.studio)}
    assert set(found) == {"first-1", "first-1-adapter", "by-hand"}
    assert found["by-hand"].record is None
    record = found["first-1"].record
    assert record is not None
    assert (record.kind, record.run) == ("merged", "run:first-1")
    assert found["first-1"].bytes == sum(path.stat().st_size for path in merged.iterdir())
    (merged / "config.json").write_text("{} ")
    assert refusal(lambda: publishing.plan(desk.studio, "first-1", "sara/fa")).code == "publish.changed_since"
    assert refusal(lambda: publishing.plan(desk.studio, "none", "sara/fa")).code == "publish.unknown_export"
    assert refusal(lambda: publishing.start_publish(desk.studio, "../x", "sara/fa")).code == "publish.bad_name"
    assert refusal(lambda: publishing.plan(desk.studio, "by-hand", "sara/fa")).code == "publish.not_checked"


def refusal(ask: Any) -> StudioError:
    with pytest.raises(StudioError) as caught:
        ask()
    return caught.value
