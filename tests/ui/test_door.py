"""Who is let in, and to which site: the rules by themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from studio import password
from studio.settings import Settings, Space
from studio.ui.door import Gate, build_door, is_foreign, is_visitors, owns
from studio.ui.named_files import BODY_LIMIT
from studio.vault import Vault

PASSWORD = "یک گذرواژهٔ بلند"


def scope(host: str, client: str = "127.0.0.1", **headers: str) -> dict[str, Any]:
    given = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    pairs = [(name.encode(), value.encode()) for name, value in given.items()]
    return {"type": "http", "method": "GET", "path": "/", "headers": pairs, "client": (client, 1)}


@pytest.mark.parametrize(
    ("asked", "local"),
    [
        (scope("127.0.0.1:7860"), True),
        (scope("localhost:8000"), True),
        (scope("[::1]:7860", "::1"), True),
        (scope("evil.example"), False),  # DNS rebinding: another site's name for 127.0.0.1
        (scope("localhost.evil.example"), False),
        (scope(""), False),
        (scope("127.0.0.1:7860", "10.0.0.7"), False),
        (scope("127.0.0.1:7860", x_forwarded_for="10.0.0.7"), False),  # a proxy on this machine opens it to others
        (scope("127.0.0.1:7860", via="1.1 proxy"), False),
    ],
)
def test_only_who_sits_here_is_owner_without_a_password(tmp_path: Path, asked: dict[str, Any], local: bool) -> None:
    assert Gate(Settings(tmp_path)).is_local(asked) is local
    assert Gate(Settings(tmp_path)).role(asked) == ("owner" if local else "visitor")
    assert not Gate(Settings(tmp_path, host="0.0.0.0")).is_local(asked), "a public bind has no one sitting here"


@pytest.mark.parametrize(
    ("profile", "owner"),
    [
        ({"preferred_username": "Sara"}, True),
        ({"preferred_username": "reza"}, False),
        ({}, False),
        ({"preferred_username": "reza", "orgs": [{"preferred_username": "sara", "roleInOrg": "admin"}]}, True),
        ({"preferred_username": "reza", "orgs": [{"preferred_username": "sara", "roleInOrg": "write"}]}, True),
        ({"preferred_username": "reza", "orgs": [{"preferred_username": "sara", "roleInOrg": "read"}]}, False),
        ({"preferred_username": "reza", "orgs": [{"preferred_username": "sara"}]}, False),
        ({"name": "sara", "preferred_username": "reza", "orgs": [{"name": "sara", "roleInOrg": "admin"}]}, False),
    ],
)
def test_who_owns_a_space(profile: dict[str, Any], owner: bool) -> None:
    assert owns("sara", profile) is owner


@pytest.mark.parametrize(
    ("method", "headers", "foreign"),
    [
        ("GET", {}, False),
        ("POST", {}, False),  # gradio_client and curl
        ("POST", {"origin": "http://127.0.0.1:7860"}, False),
        ("POST", {"origin": "http://evil.example"}, True),
        ("POST", {"origin": "null"}, True),
        ("POST", {"origin": "http://127.0.0.1:9999"}, True),
        ("GET", {"origin": "http://evil.example"}, True),
        ("POST", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, True),  # a form of another page
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, False),  # a link to us
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, True),  # an <img> of another page
        ("POST", {"origin": "https://sara-studio.hf.space"}, False),
    ],
)
def test_another_sites_page_can_do_nothing(method: str, headers: dict[str, str], foreign: bool) -> None:
    given = Headers({"host": "127.0.0.1:7860", **headers})
    assert is_foreign(method, given, ("sara-studio.hf.space",)) is foreign


@pytest.mark.parametrize(
    ("path", "open_"),
    [
        ("/", True),
        ("/fa/", True),
        ("/en/config", True),
        ("/fa/gradio_api/queue/join", True),
        ("/assets/studio.css", True),
        ("/fa/gradio_api/upload", False),
        ("/fa/gradio_api/upload_progress", False),
        ("/fa/gradio_api/file=/etc/passwd", False),
        ("/fa/gradio_api/file/x", False),
        ("/fa/file=x", False),
        ("/fa/gradio_api/proxy=http://127.0.0.1/", False),
        ("/fa/gradio_api/component_server", False),
        ("/fa/gradio_api/stream/a/b/c", False),
        ("/fa/monitoring", False),
        ("/gradio_api/upload", False),
        ("//fa/gradio_api/upload", False),
        ("/de/config", False),
    ],
)
def test_what_a_visitors_page_is_made_of(path: str, open_: bool) -> None:
    assert is_visitors(path) is open_


def site(name: str) -> FastAPI:
    made = FastAPI()

    @made.get("/{path:path}")
    async def answer(path: str, request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{name} {request.url.path}", headers={"access-control-allow-origin": "*"})

    @made.post("/{path:path}")
    async def weigh(path: str, request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{name} {len(await request.body())}")

    return made


def door(settings: Settings) -> TestClient:
    gate = Gate(settings)
    return TestClient(build_door(settings, site("owner"), site("visitor"), gate), base_url="http://studio.example")


def test_the_password_leads_from_one_site_to_the_other(tmp_path: Path) -> None:
    settings = Settings(tmp_path, host="0.0.0.0")
    password.set_password(settings, PASSWORD)
    client = door(settings)
    assert client.get("/fa/").text == "visitor /fa/"
    assert client.get("/fa/gradio_api/upload").status_code == 404
    wrong = client.post("/enter", data={"password": "nearly"}, headers={"accept-language": "fa"})
    assert wrong.status_code == 403
    assert "این گذرواژهٔ صاحب نیست" in wrong.text
    assert client.post("/enter", content=b"password=" + b"x" * 9_000).status_code == 403
    entered = client.post("/enter", data={"password": PASSWORD}, follow_redirects=False)
    assert entered.status_code == 303
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    assert client.get("/fa/").text == "owner /fa/"
    refused = client.post("/fa/", headers={"origin": "http://evil.example"})
    assert refused.status_code == 403
    client.get("/leave")
    assert client.get("/fa/").text == "visitor /fa/"


def test_no_answer_may_be_read_by_other_sites(tmp_path: Path) -> None:
    answer = door(Settings(tmp_path)).get("/fa/")
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_owners_pages_get_uploads_and_no_other_file(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "workspace", host="0.0.0.0")
    settings.uploads.mkdir(parents=True)
    password.set_password(settings, PASSWORD)
    (settings.uploads / "a.txt").write_text("mine")
    (settings.uploads / "link.txt").symlink_to(settings.workspace / "owner.json")
    client = door(settings)
    client.post("/enter", data={"password": PASSWORD})

    def status(path: Path | str) -> int:
        return client.get(f"/fa/gradio_api/file={path}").status_code

    assert status(settings.uploads / "a.txt") == 200
    for path in (
        settings.workspace / "owner.json", settings.uploads / "link.txt", settings.uploads, "/etc/passwd",
        f"{settings.uploads}/../owner.json", f"{settings.uploads}/%2e%2e/owner.json", "/dev/zero", "~/.ssh/id_rsa",
        "http://127.0.0.1/", "%00",
    ):  # fmt: skip
        assert status(path) == 404, path


def test_a_call_names_uploads_and_no_other_file(tmp_path: Path) -> None:
    """Gradio would open and copy what is named, whatever the event makes of it."""
    settings = Settings(tmp_path / "workspace", host="0.0.0.0")
    settings.uploads.mkdir(parents=True)
    password.set_password(settings, PASSWORD)
    (settings.uploads / "a.txt").write_text("mine")
    (settings.uploads / "link.txt").symlink_to(settings.database)
    client = door(settings)

    def status(path: object, **more: Any) -> int:
        file = {"path": str(path), "meta": {"_type": "gradio.FileData"}, **more}
        body = json.dumps({"data": ["x", [{"deep": file}]]}).replace("gradio", "\\u0067radio")
        return client.post("/fa/gradio_api/call/talk", content=body).status_code

    assert status(settings.uploads / "a.txt") == 400, "a visitor has uploaded nothing"
    client.post("/enter", data={"password": PASSWORD})
    assert status(settings.uploads / "a.txt") == 200
    for path in (
        settings.database, settings.uploads / "link.txt", f"{settings.uploads}/../studio.db", "studio.db",
        "/etc/passwd", "http://127.0.0.1:9/a", "\0", "a" * 5000,
    ):  # fmt: skip
        assert status(path) == 400, path
    for body in (b"", b"{", b"[1, 2]", b"\xff", b"[" * 100_000, json.dumps({"path": "/etc/passwd"}).encode()):
        assert client.post("/fa/x", content=body).status_code == 200, "no file is named in Gradio's way"
    long = "ا" * (BODY_LIMIT // 2 + 1)
    assert client.post("/fa/x", content=long.encode()).status_code == 413
    assert client.post("/fa/x", content=long[1:].encode()).text == f"owner {BODY_LIMIT}", "and the body arrives whole"


def test_without_a_password_others_are_told_why_nothing_opens(tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    client = TestClient(build_door(settings, site("owner"), None, Gate(settings)), base_url="http://evil.example")
    answer = client.get("/fa/", headers={"accept-language": "fa"})
    assert answer.status_code == 403
    assert "localhost" in answer.text


def test_visitors_are_told_apart(tmp_path: Path) -> None:
    space = Settings(tmp_path, host="0.0.0.0", space=Space("sara/studio", login=True))
    asked = scope("x", "10.0.0.1", x_forwarded_for="6.6.6.6, 7.7.7.7")
    assert Gate(space).visitor(asked) == "7.7.7.7", "a visitor may have written the first one"
    assert Gate(Settings(tmp_path)).visitor(asked) == "10.0.0.1", "no proxy is known here"
    asked["session"] = {"oauth_info": {"userinfo": {"preferred_username": "reza"}}}
    assert Gate(space).visitor(asked) == "@reza"


def test_only_an_owners_login_lends_its_token(tmp_path: Path) -> None:
    space, vault = Settings(tmp_path, host="0.0.0.0", space=Space("sara/studio", login=True)), Vault()
    asked = scope("x", "10.0.0.1")
    for person, lent in (("reza", None), ("sara", "hf_of_sara")):
        asked["session"] = {
            "oauth_info": {"access_token": f"hf_of_{person}", "userinfo": {"preferred_username": person}}
        }
        Gate(space, vault=vault).role(asked)
        assert vault.token == lent
