"""The studio as a Space: login at the Hub, back to the page, and who is owner there."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPSHandler, build_opener

import pytest
from huggingface_hub import SpaceCard
from packaging.requirements import Requirement

from studio import settings
from studio.i18n import LOCALES, say
from studio.settings import ROOT, Settings, Space
from studio.workspace import is_kept
from tests.hub_login import SECRET, HubLogin
from tests.live import LiveStudio, Stay

SPACE, HOST = "sara/studio", "sara-studio.hf.space"
PARTS = ("app.py", "studio", "presets", "assets", "README.md", "requirements.txt")
"""What a Space needs of the repository; it has nothing else in this test."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubLogin]:
    login = HubLogin(tmp_path_factory.mktemp("hub"), f"https://{HOST}/login/callback").start()
    yield login
    login.close()


@pytest.fixture(scope="module")
def live(hub: HubLogin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStudio]:
    folder = tmp_path_factory.mktemp("space")
    (folder / "app").mkdir()
    for part in PARTS:
        source = ROOT / part
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / "app" / part)
    studio = LiveStudio(folder / "workspace", folder / "app", **hub.variables(SPACE, HOST)).start()
    yield studio
    studio.close()


class Browser:
    """Follows a login as a browser does that knows the Space by its public name; keeps its cookies."""

    def __init__(self, live: LiveStudio, hub: HubLogin) -> None:
        self._port, self._hub, self.cookies = live.port, hub, SimpleCookie()

    def get(self, path: str, body: bytes | None = None) -> tuple[int, str, bytes]:
        """Status, where it sends on to, body; with a `body` of JSON it is a POST."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        sent = "; ".join(f"{name}={each.value}" for name, each in self.cookies.items())
        headers = {"host": HOST, "cookie": sent, "x-forwarded-proto": "https", "content-type": "application/json"}
        connection.request("GET" if body is None else "POST", path, body, headers)
        answer = connection.getresponse()
        for value in answer.headers.get_all("set-cookie") or []:
            self.cookies.load(value)
        found = answer.status, answer.headers.get("location", ""), answer.read()
        connection.close()
        return found

    def log_in(self) -> str:
        """The way through the Hub and back; answers the path that it ends at."""
        status, where, _ = self.get("/login/huggingface?_target_url=/fa/")
        assert status == 302
        assert where.startswith(self._hub.address)
        back = self._agree(where)
        assert urlsplit(back).netloc == HOST
        status, where, _ = self.get(back.removeprefix(f"https://{HOST}"))
        assert status in (302, 303, 307)
        return where

    def _agree(self, where: str) -> str:
        context = ssl.create_default_context(cafile=str(self._hub.certificate))
        with pytest.raises(HTTPError) as sent:
            build_opener(Stay, HTTPSHandler(context=context)).open(where, timeout=20)
        assert sent.value.code == 302, sent.value.read()
        return str(sent.value.headers["location"])

    def handlers(self) -> int:
        config: dict[str, Any] = json.loads(self.get("/fa/config")[2])
        return len([each for each in config["dependencies"] if each["backend_fn"]])


@pytest.mark.parametrize(
    ("person", "owner"),
    [
        ({"sub": "1", "name": "Sara", "preferred_username": "sara"}, True),
        ({"sub": "2", "name": "Reza", "preferred_username": "reza"}, False),
        (
            {"sub": "3", "preferred_username": "mina", "orgs": [{"preferred_username": "sara", "roleInOrg": "admin"}]},
            True,
        ),
    ],
    ids=["owner", "somebody", "organisation"],
)
def test_login_at_the_hub_and_back(live: LiveStudio, hub: HubLogin, person: dict[str, Any], owner: bool) -> None:
    browser = Browser(live, hub)
    assert browser.handlers() < 10, "a visitor before the login"
    hub.person = person
    assert browser.log_in() == "/fa/"
    assert browser.get("/fa/")[0] == 200
    assert (browser.handlers() > 40) is owner
    browser.get("/logout")
    assert browser.handlers() < 10
    assert hub.refusals == []


def test_an_owner_who_is_logged_in_can_publish(live: LiveStudio, hub: HubLogin) -> None:
    browser = Browser(live, hub)
    hub.person = {"sub": "1", "name": "Sara", "preferred_username": "sara"}
    browser.log_in()
    browser.get("/fa/")
    status, _, told = browser.get("/fa/gradio_api/run/token", b'{"data": []}')
    assert status == 200
    assert say("fa", "settings.token_kept") in json.loads(told)["data"][0]
    assert b"hf_oauth" not in told
    assert "contribute-repos" in SpaceCard.load(ROOT / "README.md").data.to_dict()["hf_oauth_scopes"]


def test_a_login_that_another_began_is_not_taken(live: LiveStudio, hub: HubLogin) -> None:
    hub.person = {"sub": "1", "preferred_username": "sara"}
    began, other = Browser(live, hub), Browser(live, hub)
    back = began._agree(began.get("/login/huggingface?_target_url=/fa/")[1])
    other.get(back.removeprefix(f"https://{HOST}"))
    assert other.handlers() < 10, "the code came without the state of this browser"


def test_a_forged_session_is_not_taken(live: LiveStudio, hub: HubLogin) -> None:
    browser = Browser(live, hub)
    claims = {"oauth_info": {"userinfo": {"preferred_username": "sara"}}}
    browser.cookies["session"] = base64.b64encode(json.dumps(claims).encode()).decode() + ".e30.forged"
    assert browser.handlers() < 10


def test_the_secret_of_the_login_stays_in_memory(live: LiveStudio, hub: HubLogin) -> None:
    for path in (*live.workspace.rglob("*"), live.workspace.parent / "app.log"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


def test_a_space_without_login_does_not_start(tmp_path: Path) -> None:
    environment = {**os.environ, "SYSTEM": "spaces", "SPACE_ID": SPACE, "LANG": "en_US.UTF-8"}
    call = [sys.executable, "app.py"]
    environment |= {"WORKSPACE": str(tmp_path / "workspace")}
    done = subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "hf_oauth: true" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_readme_makes_a_space_of_the_repository() -> None:
    card = SpaceCard.load(ROOT / "README.md")
    facts = card.data.to_dict()
    assert (facts["sdk"], facts["app_file"], facts["python_version"]) == ("gradio", "app.py", "3.12")
    assert facts["hf_oauth"] is True
    assert facts["license"] == "apache-2.0"
    assert len(facts["short_description"]) <= 60
    wanted = next(line for line in (ROOT / "requirements.txt").read_text().splitlines() if line.startswith("gradio"))
    assert Requirement(wanted.partition("#")[0].strip()).specifier.contains(facts["sdk_version"])


def test_what_a_space_would_lose_is_said_at_once(live: LiveStudio, hub: HubLogin) -> None:
    browser = Browser(live, hub)
    hub.person = {"sub": "1", "preferred_username": "sara"}
    browser.log_in()
    for locale in LOCALES:
        config = browser.get(f"/{locale}/config")[2].decode()
        assert json.dumps(say(locale, "space.not_kept"))[1:-1] in config or say(locale, "space.not_kept") in config


def test_a_mounted_volume_keeps_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = {tmp_path / "data"}
    monkeypatch.setattr(Path, "is_mount", lambda path: path in mounts or path == Path("/"))
    (tmp_path / "data" / "workspace").mkdir(parents=True)
    space = Space(SPACE, login=True)
    assert is_kept(Settings(tmp_path / "data" / "workspace", space=space))
    assert not is_kept(Settings(tmp_path / "elsewhere", space=space))
    assert is_kept(Settings(tmp_path / "elsewhere")), "a machine of one's own keeps what it has"
    monkeypatch.setattr(settings, "SPACE_STORAGE", tmp_path / "data")
    monkeypatch.setenv("SPACE_ID", SPACE)
    monkeypatch.delenv("WORKSPACE", raising=False)
    found = settings.load_settings()
    assert found.workspace == tmp_path / "data" / "workspace"
    assert found.host == "0.0.0.0"
