"""The verbs of what ships with the studio: the catalogue of datasets, and the recipes."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.i18n import say
from studio.services import jobs
from studio.services.studio import open_studio
from studio.settings import ROOT, Settings
from tests.live import command, plain

BAD = """
name: tiny
base: starter:none
stages:
  - {name: chat, kind: instruct, data: [{dataset: chats}], budget: {steps: 3}}
"""


def test_the_catalogue_is_listed_and_checked_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    workspace = tmp_path / "workspace"
    listed = command(workspace, "data", "catalogue")["datasets"]
    assert {(each["name"], each["id"], each["state"]) for each in listed} >= {
        ("persian-gk", "mshojaei77/persian-gk", None),
        ("mizan", None, None),
    }
    told = command(workspace, "data", "catalogue", "--check")
    on_hub = sum(each["id"] is not None for each in listed)
    assert told["check"] == {"checked": 0, "states": {"unreachable": on_hub}}
    assert {each["state"] for each in told["datasets"] if each["id"]} == {"unreachable"}
    seen = plain(workspace, "data", "catalogue", "--language", "fa").stdout
    assert say("fa", "catalogue.state.unreachable") in seen
    assert say("fa", "catalogue.bring") in seen


def test_a_hub_id_is_imported_with_what_the_catalogue_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    workspace = tmp_path / "workspace"
    hub = "hub:facebook/belebele"
    refused = command(workspace, "data", "import", hub, "--name", "b", "--column", "text=question", status=1)
    assert refused["error"] == "hub.unreachable"
    (job,) = jobs.listing(open_studio(Settings(workspace)))
    asked = job.arguments
    assert {key: asked[key] for key in ("repo", "config", "split", "rows_limit", "entry", "roles")} == {
        "repo": "facebook/belebele",
        "config": "pes_Arab",
        "split": "test",
        "rows_limit": 10_000,
        "entry": "belebele",
        "roles": {"text": "question"},
    }
    loud = plain(workspace, "data", "import", hub, "--name", "b", "--language", "en").stderr
    assert loud.startswith(f"! {say('en', 'catalogue.warning.benchmark_only')}. ")
    for words, code in (
        ([hub, "--encoding", "utf-8"], "data.option_for_files"),
        ([hub, "x.txt"], "data.hub_alone"),
        (["x.txt", "--rows", "5"], "data.option_for_hub"),
        (["hub:belebele"], "hub.bad_id"),
    ):
        assert command(workspace, "data", "import", *words, "--name", "c", status=1)["error"] == code


def test_recipes_are_listed_shown_and_checked(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    listed = {each["name"]: each for each in command(workspace, "recipes", "list")["recipes"]}
    assert set(listed) == {
        "first_steps", "recommended", "persianmind", "persian_phi", "gemma3n_persian", "llama_persian",
        "llama_persian:english_translation", "llama_persian:no_lora", "llama_persian:few_100",
    }  # fmt: skip
    assert listed["recommended"]["stages"] == [
        {"name": kind, "kind": kind} for kind in ("align", "pretrain", "instruct")
    ]
    assert listed["recommended"]["base"] == "starter:smollm2-135m"
    assert all(set(each["description"]) == set(each["title"]) == {"fa", "en"} for each in listed.values())
    assert say("fa", "recipes.persian_phi") in plain(workspace, "recipes", "list", "--language", "fa").stdout

    file = ROOT / "presets" / "recipes" / "llama_persian.yaml"
    assert plain(workspace, "recipes", "show", "llama_persian").stdout == file.read_text(encoding="utf8")
    shown = command(workspace, "recipes", "show", "llama_persian:no_lora")
    assert (shown["name"], shown["path"]) == ("llama_persian-no_lora", str(file))
    assert [stage["lora"] for stage in shown["recipe"]["stages"]] == [None, None, False, False]

    checked = command(workspace, "recipes", "check")["recipes"]
    assert [(each["name"], each["ok"], each["problems"]) for each in checked] == [(name, True, []) for name in listed]
    bad = tmp_path / "bad.yaml"
    bad.write_text(BAD, encoding="utf8")
    misspelt = tmp_path / "misspelt.yaml"
    misspelt.write_text("nmae: x\n", encoding="utf8")
    told = command(workspace, "recipes", "check", "first_steps", str(bad), str(misspelt), status=1)["recipes"]
    assert [[fault["error"] for fault in each["problems"]] for each in told] == [
        [], ["model.no_such_starter"], ["recipe.invalid"]
    ]  # fmt: skip
    assert [each["ok"] for each in told] == [True, False, False]


def test_one_stage_of_a_recipe_must_exist(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    refused = command(workspace, "run", "recommended", "--smoke", "--stage", "chat", status=1)
    assert (refused["error"], refused["details"]["known"]) == ("recipe.no_such_stage", "align, pretrain, instruct")
    unknown = command(workspace, "run", "llama_persian:none", "--smoke", status=1)
    assert unknown["error"] == "recipe.no_such_variant"
    assert open_studio(Settings(workspace)).jobs.listing() == []
