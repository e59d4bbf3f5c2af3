"""Every service says who may use it, and refuses everybody else before it does anything."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import studio.services
from studio.auth import least_role
from studio.errors import StudioError
from studio.jobs.database import Database
from studio.services import chat, sharing, visiting
from studio.services.studio import Studio, open_studio
from studio.services.visiting import QUESTIONS, Pace
from studio.settings import ROOT, Settings

FOR_VISITORS = {"models", "base_of", "talk", "stop", "shared_reports", "report"}


def services() -> dict[str, Callable[..., Any]]:
    """All public functions whose first argument is the studio."""
    found = {}
    for info in pkgutil.iter_modules(studio.services.__path__):
        module = importlib.import_module(f"studio.services.{info.name}")
        for name, function in vars(module).items():
            if name.startswith("_") or not inspect.isfunction(function) or function.__module__ != module.__name__:
                continue
            if next(iter(inspect.signature(function).parameters), "") == "studio":
                found[f"{info.name}.{name}"] = function
    return found


@pytest.fixture
def opened(tmp_path: Path) -> Studio:
    return open_studio(Settings(tmp_path))


def test_every_service_says_who_may_use_it() -> None:
    found = services()
    assert len(found) > 100
    assert {name for name, service in found.items() if least_role(service) is None} == set()
    visitors = {name for name, service in found.items() if least_role(service) == "visitor"}
    assert visitors == {f"visiting.{name}" for name in FOR_VISITORS}


@pytest.mark.parametrize("name", [name for name, one in services().items() if least_role(one) == "owner"])
def test_a_visitor_is_refused_before_anything_is_read(
    name: str, opened: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: Any) -> Any:
        raise AssertionError("the database was opened for a visitor")

    service, asked = services()[name], list(inspect.signature(services()[name]).parameters.values())[1:]
    given = [None for one in asked if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD]
    named = {one.name: None for one in asked if one.default is one.empty and one.kind is one.KEYWORD_ONLY}
    before = sorted(path for path in opened.settings.workspace.rglob("*"))
    monkeypatch.setattr(Database, "reading", closed)
    monkeypatch.setattr(Database, "writing", closed)
    with pytest.raises(StudioError) as refused:
        service(opened.for_visitors(), *given, **named)
    assert refused.value.code == "auth.owner_only"
    assert sorted(path for path in opened.settings.workspace.rglob("*")) == before


def test_only_what_is_there_can_be_shared(opened: Studio) -> None:
    with pytest.raises(StudioError, match=r"share\.unknown"):
        sharing.share(opened, ["run:nothing-1"], [])
    with pytest.raises(StudioError, match=r"share\.unknown"):
        sharing.share(opened, [], ["nothing-1"])
    assert sharing.shared(opened) == sharing.Shared([], [])


def test_the_command_line_shares_and_takes_back(opened: Studio) -> None:
    def share(*words: str) -> dict[str, Any]:
        call = [
            sys.executable,
            "-m",
            "studio",
            "share",
            *words,
            "--json",
            "--workspace",
            str(opened.settings.workspace),
        ]
        done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    opened.shares.put("model", ["local:/gone"])
    assert share() == {"models": [], "reports": []}, "what is gone is not shared"
    assert share("--model", "run:nothing-1")["error"] == "share.unknown"
    assert share("--nothing") == {"models": [], "reports": []}
    assert opened.shares.names("model") == []


def test_a_visitor_reaches_shared_models_only(opened: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "bases", lambda studio: ["local:/a", "local:/b"])
    sharing.share(opened, ["local:/a"], [])
    visitor = opened.for_visitors()
    assert visiting.models(visitor) == ["local:/a"]
    assert visiting.base_of(visitor, "local:/a") == "local:/a"
    for refused in (
        lambda: visiting.base_of(visitor, "local:/b"),
        lambda: ask(visitor, Pace(), "local:/b"),
        lambda: visiting.report(visitor, "secret-1"),
    ):
        with pytest.raises(StudioError, match=r"visit\.not_shared"):
            refused()
    sharing.share(opened, [], [])
    assert visiting.models(visitor) == []


def ask(studio: Studio, pace: Pace, reference: str, text: str = "سلام", visitor: str = "someone") -> None:
    from studio.chat.requests import Sampling

    for _ in visiting.talk(studio, pace, visitor, [chat.Column(reference)], text, Sampling(), name="x"):
        pass


def test_a_visitor_asks_at_a_pace_and_not_without_end(opened: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def talk(studio: Studio, columns: Any, prompt: str, sampling: Any, **_: Any) -> Any:
        asked.append(sampling.max_new_tokens)
        return iter(())

    monkeypatch.setattr(chat, "bases", lambda studio: ["local:/a"])
    monkeypatch.setattr(chat, "talk", talk)
    sharing.share(opened, ["local:/a"], [])
    visitor, pace = opened.for_visitors(), Pace()
    with pytest.raises(StudioError, match=r"visit\.too_long"):
        ask(visitor, pace, "local:/a", "ب" * 8_001)
    for _ in range(QUESTIONS):
        ask(visitor, pace, "local:/a")
    with pytest.raises(StudioError, match=r"visit\.too_fast") as refused:
        ask(visitor, pace, "local:/a")
    assert 290 < refused.value.details["seconds"] <= 301
    ask(visitor, pace, "local:/a", visitor="another")
    assert asked == [256] * (QUESTIONS + 1)
