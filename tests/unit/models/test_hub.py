from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from studio.errors import StudioError
from studio.models.fetch import Fetched, fetch
from studio.models.files import is_fetched, locate
from studio.models.hub import wanted
from studio.models.source import read_source
from studio.services import trust
from studio.services.studio import open_studio
from studio.settings import Settings

COMMIT = "a" * 40


class _Handler(BaseHTTPRequestHandler):
    """As much of a hub as fetching a model asks for."""

    protocol_version = "HTTP/1.1"
    server: Hub

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        self.server.asked.append(path)
        if found := re.fullmatch(r"/api/models/org/(\w+)(/.*)?", path):
            self._about(found[1], found[2] or "")
        elif found := re.fullmatch(r"/org/(\w+)/resolve/\w+/(.+)", path):
            self._file(self.server.repositories[found[1]][found[2]])
        else:
            self._answer(404)

    do_HEAD = do_GET

    def _about(self, name: str, verb: str) -> None:
        if verb == "/auth-check":
            self._answer(403, **{"X-Error-Code": "GatedRepo", "X-Error-Message": "restricted"})
            return
        if name not in self.server.repositories:
            self._answer(401, **{"X-Error-Code": "RepoNotFound"})
            return
        if verb.startswith("/revision/") and verb != f"/revision/{COMMIT}":
            self._answer(404, **{"X-Error-Code": "RevisionNotFound"})
            return
        files = self.server.repositories[name]
        if verb.startswith("/tree/"):
            answer: object = [
                {"type": "file", "path": path, "size": len(data), "oid": "c" * 40} for path, data in files.items()
            ]
        else:
            answer = {
                "id": f"org/{name}",
                "sha": COMMIT,
                "gated": "manual" if name == "closed" else False,
                "cardData": {"license": "mit"},
                "siblings": [{"rfilename": path, "size": len(data)} for path, data in files.items()],
            }
        self._answer(200, json.dumps(answer).encode(), **{"Content-Type": "application/json"})

    def _file(self, data: bytes) -> None:
        if self.command == "GET" and self.server.slow:
            time.sleep(30)
        self._answer(200, data, ETag=f'"{len(data)}"', **{"X-Repo-Commit": COMMIT})

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test's output quiet."""


class Hub(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, repositories: dict[str, dict[str, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories = repositories
        self.asked: list[str] = []
        self.slow = False


@pytest.fixture
def hub(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    files = {path.name: path.read_bytes() for path in tiny_model.iterdir()}
    extra = {"pytorch_model.bin": b"\x80", "code.py": b"", "original/model.safetensors": b"", "LICENSE": b"MIT"}
    server = Hub(
        {"good": files | extra, "closed": files, "pickled": {"pytorch_model.bin": b"\x80", "config.json": b"{}"}}
    )
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "workspace")


def get(reference: str, settings: Settings, stop: threading.Event | None = None) -> Fetched:
    stopping = stop.is_set if stop else lambda: False
    return fetch(reference, settings, progress=lambda share, note: None, stopping=stopping)


def test_a_hub_model_arrives_whole_and_once(hub: Hub, settings: Settings, tiny_model: Path) -> None:
    first = get("hub:org/good", settings)
    assert first.source == "hub"
    names = {path.name for path in first.path.iterdir()}
    assert names == {path.name for path in tiny_model.iterdir()} | {"LICENSE", "source.json"}
    assert (first.path / "model.safetensors").read_bytes() == (tiny_model / "model.safetensors").read_bytes()
    source = read_source(first.path)
    assert source is not None
    assert (source.reference, source.licence, source.origins[0].version) == ("hub:org/good", "mit", COMMIT)
    asked = len(hub.asked)
    again = get("hub:org/good", settings)
    assert (again.source, again.path, again.bytes) == ("disk", first.path, first.bytes)
    assert len(hub.asked) == asked
    assert locate("hub:org/good", settings).folder == first.path


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ("hub:org/nothing", "hub.unknown"),
        ("hub:org/closed", "hub.gated"),
        ("hub:org/pickled", "hub.no_safetensors"),
        ("hub:org/good@v9", "hub.unknown_revision"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_left(reference: str, code: str, hub: Hub, settings: Settings) -> None:
    with pytest.raises(StudioError) as error:
        get(reference, settings)
    assert error.value.code == code
    assert not [path for path in settings.models.iterdir() if path.is_dir()]


def test_no_network_is_said_within_seconds(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(StudioError) as error:
        get("hub:org/good", settings)
    assert error.value.code == "hub.no_network"
    assert time.monotonic() - started < 6


def test_stop_ends_a_slow_download_and_leaves_nothing(hub: Hub, settings: Settings) -> None:
    hub.slow = True
    stop = threading.Event()
    threading.Timer(4, stop.set).start()
    started = time.monotonic()
    with pytest.raises(StudioError) as error:
        get("hub:org/good", settings, stop)
    assert error.value.code == "job.stopped"
    assert time.monotonic() - started < 15
    assert not [path for path in settings.models.iterdir() if path.is_dir()]
    assert not is_fetched("hub:org/good", settings)


def test_two_at_once_fetch_once(hub: Hub, settings: Settings) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(get("hub:org/good", settings).source)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["disk", "hub"]
    assert len([path for path in hub.asked if path.endswith("/resolve/" + COMMIT + "/LICENSE")]) <= 2


def test_code_comes_when_it_is_looked_at_and_from_the_same_commit(hub: Hub, settings: Settings) -> None:
    config = json.loads(hub.repositories["good"]["config.json"]) | {"auto_map": {"AutoModelForCausalLM": "code.Own"}}
    hub.repositories["own"] = hub.repositories["good"] | {"config.json": json.dumps(config).encode(), "code.py": b"1"}
    folder = get("hub:org/own", settings).path
    assert not [*folder.glob("*.py")]
    studio = open_studio(settings)
    assert trust.candidates(studio) == ["hub:org/own"]
    found = trust.look(studio, "hub:org/own")
    assert ([*found.files], found.trusted) == (["code.py"], False)
    assert f"/org/own/resolve/{COMMIT}/code.py" in hub.asked
    assert trust.trust(studio, "hub:org/own").trusted
    assert locate("hub:org/own", settings).trusted
    assert not [*settings.models.glob(".incoming-code-*")]


def test_what_a_killed_fetch_left_is_cleared(hub: Hub, settings: Settings) -> None:
    left = settings.models / ".incoming-hub--org--good--main" / "model"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_bytes(b"half")
    assert get("hub:org/good", settings).source == "hub"
    assert not left.exists()


def test_a_full_disk_is_said_before_anything_is_fetched(hub: Hub, settings: Settings) -> None:
    hub.repositories["huge"] = {"model.safetensors": b""}
    hub.repositories["huge"]["model.safetensors"] = _Huge(b"x")
    with pytest.raises(StudioError) as error:
        get("hub:org/huge", settings)
    assert error.value.code == "disk.too_small"


class _Huge(bytes):
    def __len__(self) -> int:
        return 1 << 60


def test_only_what_makes_a_model_is_wanted() -> None:
    names = ["model.safetensors", "consolidated.safetensors", "config.json", "tokenizer.model", "merges.txt", "x.py",
             "chat_template.jinja", "onnx/model.json", "pytorch_model.bin", "README.md", "LICENSE.txt"]  # fmt: skip
    assert set(wanted(dict.fromkeys(names, 1))) == {
        "model.safetensors", "config.json", "tokenizer.model", "merges.txt", "chat_template.jinja", "LICENSE.txt"
    }  # fmt: skip
