"""A studio that others can reach: what they get without login, as visitors, and what the owner gets."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from studio import password
from studio.i18n import LOCALES
from studio.jobs.store import NewJob
from studio.recipes import dump_recipe, preset_recipe
from studio.services.studio import open_studio
from studio.settings import Settings
from studio.ui.journey import build_owners
from tests.live import LiveStudio, Stay

PASSWORD = "یک گذرواژهٔ بلند"
VISITORS = {"chat", "chat_stop", "chat_clear_stop", "chat_choices", "report", "reports"}
GIVEN = {"{path:path}": "/etc/passwd", "{path_or_url:path}": "/etc/passwd", "{name}": "board", "{name:path}": "board"}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStudio]:
    workspace = tmp_path_factory.mktemp("open") / "workspace"
    password.set_password(open_studio(Settings(workspace)).settings, PASSWORD)
    studio = LiveStudio(workspace, HOST="0.0.0.0").start()
    (workspace / "uploads" / "secret.txt").write_text("the owner's")
    yield studio
    studio.close()


@pytest.fixture(scope="module")
def cookie(live: LiveStudio) -> str:
    """The owner's login."""
    status, headers, _ = ask(live, "/enter", urllib.parse.urlencode({"password": PASSWORD}).encode())
    assert status == 303
    return str(headers["set-cookie"]).split(";")[0]


def ask(live: LiveStudio, path: str, body: bytes | None = None, method: str | None = None, **headers: str) -> Any:
    """Status, headers and body of one request."""
    request = urllib.request.Request(live.address + path, body, headers, method=method)
    try:
        with urllib.request.build_opener(Stay).open(request, timeout=20) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()
    except http.client.IncompleteRead as cut:
        return 200, {}, cut.partial  # Gradio breaks off the stream of an event that does not exist


def names(live: LiveStudio, locale: str, **headers: str) -> set[str]:
    config = json.loads(ask(live, f"/{locale}/config", **headers)[2])
    return {each["api_name"] for each in config["dependencies"] if each["backend_fn"]}


@pytest.mark.parametrize("locale", LOCALES)
def test_each_gets_the_pages_of_their_own(live: LiveStudio, cookie: str, locale: str) -> None:
    assert names(live, locale) == VISITORS
    assert names(live, locale, cookie="studio_login=guessed") == VISITORS
    assert len(names(live, locale, cookie=cookie)) > 40


def routes(folder: Path) -> list[tuple[str, str]]:
    """Method and path of every route that the owner's site has, Gradio's own included."""
    found: list[tuple[str, str]] = []

    def walk(all_: Any, before: str) -> None:
        for route in all_:
            inner = getattr(route, "original_router", route)  # FastAPI keeps an included router as one route
            path = before + (getattr(route, "path", None) or "")
            for name, value in GIVEN.items():
                path = path.replace(name, value)
            if getattr(inner, "routes", None):
                walk(inner.routes, path)
            else:
                found.extend((method, path) for method in sorted(getattr(route, "methods", None) or {"GET"}))

    walk(build_owners(open_studio(Settings(folder))).routes, "")
    return found


def test_no_endpoint_gives_a_visitor_what_is_the_owners(live: LiveStudio, tmp_path: Path) -> None:
    """All routes of the owner's site, asked without login and with a wrong one."""
    asked = routes(tmp_path)
    paths = {path for _, path in asked}
    assert any("upload" in path for path in paths)
    assert any("file=" in path for path in paths)
    assert len(paths) > 60
    for method, path in asked:
        if "{" in path and "/heartbeat/" in path:
            continue  # it streams as long as the page is open
        for headers in ({}, {"cookie": "studio_login=guessed"}):
            status, _, body = ask(live, path.replace("{", "").replace("}", ""), method=method, **headers)
            assert b"root:" not in body, path
            assert b"the owner's" not in body, path
            open_ = path.startswith(("/assets/", "/fa", "/en")) or path == "/"
            assert status in (401, 403, 404, 405, 422) or open_, (method, path, status)


def test_files_and_uploads_are_not_there_for_visitors(live: LiveStudio, cookie: str) -> None:
    secret = live.workspace / "uploads" / "secret.txt"
    for locale in LOCALES:
        for prefix in ("gradio_api/file=", "file=", "gradio_api/file/", "gradio_api/proxy=", "gradio_api/../file="):
            for path in (secret, live.workspace / "studio.db", live.workspace / "owner.json", "/etc/passwd"):
                assert ask(live, f"/{locale}/{prefix}{path}")[0] == 404, (prefix, path)
        before = sorted(live.workspace.rglob("*"))
        form = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\nmine\r\n--x--\r\n'
        headers = {"content-type": "multipart/form-data; boundary=x"}
        assert ask(live, f"/{locale}/gradio_api/upload", form, **headers)[0] == 404
        assert sorted(live.workspace.rglob("*")) == before
    # The same pages hand the owner what was uploaded, and nothing else of the workspace.
    assert ask(live, f"/fa/gradio_api/file={live.workspace / 'owner.json'}", cookie=cookie)[0] == 404


def test_the_owners_handlers_cannot_be_called_by_name_or_number(live: LiveStudio, cookie: str) -> None:
    owners = names(live, "en", cookie=cookie) - VISITORS
    client = Client(f"{live.address}/en/", verbose=False)
    for name in sorted(owners):
        with pytest.raises((ValueError, AppError)):
            client.predict(api_name=f"/{name}")
        body = json.dumps({"data": []}).encode()
        for way in ("call", "run"):
            status, _, said = ask(live, f"/en/gradio_api/{way}/{name}", body, **{"content-type": "application/json"})
            assert status in (404, 405, 422, 500), (name, way, status, said[:200])
            assert b"event_id" not in said
    for number in range(len(VISITORS) + 4, 150):
        body = json.dumps({"data": [], "fn_index": number, "session_hash": "x"}).encode()
        status, _, said = ask(live, "/en/gradio_api/queue/join", body, **{"content-type": "application/json"})
        assert status != 200 or b"event_id" not in said, number
    assert open_studio(Settings(live.workspace)).jobs.listing() == []


def test_live_panels_are_the_owners(live: LiveStudio, cookie: str) -> None:
    for name in ("board", "all_jobs", "job", "ended", "curves", "health", "status", "answers", "report",
                 "evaluations"):  # fmt: skip
        assert ask(live, f"/live/{name}?locale=en")[0] == 404
        assert ask(live, f"/live/{name}?locale=en", cookie=cookie)[0] == 200


def test_logs_are_the_owners(live: LiveStudio, cookie: str) -> None:
    token = "hf_" + "a" * 30
    studio = open_studio(Settings(live.workspace))
    job = studio.jobs.add(NewJob("import", "one", {}))
    studio.jobs.finish(job, "done")
    file = studio.settings.logs / f"job-{job}.txt"
    file.write_text(f"سلام token={token}\n 1%|\r99%|\r\n" + "a long log\n" * 50_000, encoding="utf8")
    for headers in ({}, {"cookie": "studio_login=guessed"}):
        status, _, body = ask(live, f"/log/{job}", **headers)
        assert (status, b"long" in body) == (404, False)
    status, headers, body = ask(live, f"/log/{job}", cookie=cookie)
    lines = body.decode().splitlines()
    assert (status, len(lines), lines[:2], token in body.decode()) == (200, 50_002, ["سلام token=•••", "99%|"], False)
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["content-disposition"] == f'attachment; filename="job-{job}.txt"'
    assert headers["x-content-type-options"] == "nosniff"
    assert "content-length" not in headers, "it is streamed"
    for wrong in ("99999", "9" * 40, "-1", "1.0", f"{job}/..", "../owner.json", "%2e%2e%2fowner.json", ""):
        assert ask(live, f"/log/{wrong}", cookie=cookie)[0] == 404, wrong


def test_report_files_are_the_owners(live: LiveStudio, cookie: str) -> None:
    folder = open_studio(Settings(live.workspace)).settings.runs / "first_steps-9"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(dump_recipe(preset_recipe("first_steps")), encoding="utf8")
    assert ask(live, "/report/first_steps-9.html")[0] == 404
    status, headers, body = ask(live, "/report/first_steps-9.html", cookie=cookie)
    assert (status, b"first_steps-9" in body) == (200, True)
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["content-disposition"] == 'attachment; filename="first_steps-9.html"'
    for wrong in ("nothing-1", "../owner.json", "%2e%2e%2fowner.json", ""):
        assert ask(live, f"/report/{wrong}.html", cookie=cookie)[0] == 404, wrong


def test_visitors_meet_refusals_in_their_language(live: LiveStudio) -> None:
    client = Client(f"{live.address}/fa/", verbose=False)
    with pytest.raises(AppError, match="هم‌رسانی نکرده"):
        client.predict("run:secret-1", [], [], "سلام", 0, api_name="/chat")
    with pytest.raises(AppError, match="هم‌رسانی نشده"):
        client.predict("secret-1", api_name="/report")
