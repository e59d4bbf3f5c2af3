"""The site around the tabs: languages, policy, assets, panels, and errors said in the page's language."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from starlette.testclient import TestClient

from studio.errors import StudioError
from studio.i18n import say
from studio.jobs.curves import curve_payload, unchanged
from studio.settings import Settings
from studio.ui import parts
from studio.ui.handlers import guarded
from studio.ui.page import preferred_locale, rewrite
from studio.ui.shell import build_site
from studio.ui.widgets import html_block, live_panel, pulse

ROW = (7, 0, 1, 2.5, 1.0, None, 2e-4, 500.0, 900.0)


def _start(locale: str, services: Any) -> None:
    html_block(parts.heading("title"))
    live_panel("echo", "nobody")


def _train(locale: str, services: Any) -> None:
    box = gr.Textbox(label="box")
    pulse().tick(guarded(locale, lambda: services), outputs=box, queue=False, api_name="beat")


def _curves(run: str, after: int | None) -> dict[str, Any]:
    if run == "unknown":
        raise StudioError("job.unknown", job=run)
    return unchanged(7) if after == 7 else curve_payload([ROW])


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    site = build_site(
        "collaborator",
        Settings(tmp_path_factory.mktemp("workspace")),
        tabs=[("start", _start), ("train", _train)],
        panels={"echo": lambda locale, subject: parts.paragraph(f"{locale} {subject}")},
        curves=_curves,
    )
    with TestClient(site, base_url="http://127.0.0.1") as opened:
        yield opened


@pytest.mark.parametrize(("locale", "direction"), [("fa", "rtl"), ("en", "ltr")])
def test_each_language_has_its_page(client: TestClient, locale: str, direction: str) -> None:
    page = client.get(f"/{locale}/")
    assert page.status_code == 200
    assert say(locale, "app.name") in page.text
    assert re.search(f'<html lang="{locale}" dir="{direction}"', page.text)
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert not re.search(r'(?:src|href|content)="https?://', page.text)


@pytest.mark.parametrize(
    ("cookie", "asked", "expected"),
    [
        ("", "fa-IR,en;q=0.5", "fa"),
        ("", "de,en;q=0.5,fa;q=0.2", "en"),
        ("", "", "en"),
        ("language=fa", "en", "fa"),
        ("language=../x", "fa", "fa"),
    ],
)
def test_first_visit(client: TestClient, cookie: str, asked: str, expected: str) -> None:
    assert preferred_locale(cookie, asked) == expected
    client.cookies.clear()
    answer = client.get("/", headers={"cookie": cookie, "accept-language": asked}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, f"{expected}/")


def test_assets_are_a_closed_list(client: TestClient) -> None:
    for name in ("studio.css", "studio.js", "curves.js", "plotly.min.js", "fonts/vazirmatn-arabic-wght-normal.woff2"):
        answer = client.get(f"/assets/{name}")
        assert answer.status_code == 200, name
        assert "max-age" in answer.headers["cache-control"]
    for name in ("locales/fa.json", "../app.py", "..%2fapp.py", "fonts/../../app.py", "samples/LICENSE", "", "fonts"):
        assert client.get(f"/assets/{name}").status_code == 404, name


def test_panels_send_only_what_changed(client: TestClient) -> None:
    first = client.get("/live/echo", params={"locale": "fa", "subject": "<b>"}).json()
    assert first["html"] == '<p class="">fa &lt;b&gt;</p>'
    again = client.get("/live/echo", params={"locale": "fa", "subject": "<b>", "after": first["token"]})
    assert again.json() == {"token": first["token"], "unchanged": True}
    assert len(again.content) < 5_000
    assert client.get("/live/nothing").status_code == 404


def test_curves_are_asked_by_token(client: TestClient) -> None:
    first = client.get("/live/curves", params={"subject": "run-1"}).json()
    assert first["series"]["loss"] == {"x": [1], "y": [2.5]}
    assert client.get("/live/curves", params={"subject": "run-1", "after": "7"}).json()["unchanged"]
    told = client.get("/live/curves", params={"subject": "unknown", "locale": "en"}).json()
    assert told["error"]
    assert client.get("/live/curves", params={"subject": "run-1", "after": "x'; --"}).status_code == 200


def test_live_sources_are_endpoints_too(client: TestClient) -> None:
    answer = client.post("/fa/gradio_api/run/curves", json={"data": ["run-1", None]})
    assert answer.json()["data"][0]["token"] == 7
    answer = client.post("/en/gradio_api/run/echo", json={"data": ["me", ""]})
    assert answer.json()["data"][0]["html"] == '<p class="">en me</p>'


def test_services_reach_the_handlers(client: TestClient) -> None:
    assert client.post("/en/gradio_api/run/beat", json={"data": []}).json()["data"] == ["collaborator"]


def test_a_changed_template_is_noticed() -> None:
    with pytest.raises(ValueError, match="no module script"):
        rewrite("<html lang='en'></html>", "fa")


def test_an_error_is_said_and_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise StudioError("no.such.code", file="<img src=x>")

    with pytest.raises(gr.Error) as caught:
        guarded("fa", fails)()
    assert "<img" not in caught.value.message
    assert "&lt;img" in caught.value.message


def test_our_own_mistake_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    def steps() -> Iterator[int]:
        yield 1
        raise RuntimeError("a secret path")

    stream = guarded("en", steps)()
    assert next(stream) == 1
    with pytest.raises(gr.Error) as caught:
        next(stream)
    assert caught.value.message == say("en", "toast.unexpected")
    assert "a secret path" in caplog.text


def test_pages_import_nothing_heavy() -> None:
    script = (
        "import sys, studio.ui.shell, studio.ui.plots;"
        "print([name for name in ('torch', 'transformers', 'plotly', 'datasets', 'peft') if name in sys.modules])"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
