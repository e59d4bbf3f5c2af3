"""The service of publishing with real workers, against a strict Hub on this machine."""

from __future__ import annotations

import time

import pytest

from studio.jobs.store import NewJob
from studio.services import account, jobs, publishing
from tests.hub_server import Blob, Repository
from tests.unit.publish.desk import TOKEN, Desk, refusal, seal
from tests.unit.publish.desk import desk as desk


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
    assert "(https://huggingface.co/sara/first-1)" in cards["sara/first-1-adapter"]
    assert "(https://huggingface.co/sara/first-1-adapter)" in cards["sara/first-1"]
    assert cards["sara/first-1"].count("<!-- persian-adaptation-studio -->") == 1
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
