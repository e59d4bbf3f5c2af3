"""A Hub of a few small datasets on this machine: as much of its protocol as reading a dataset asks for."""

from __future__ import annotations

import io
import json
import random
import re
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from .files import spell

ROWS = [{"text": f"سلام {number}"} for number in range(300)]
MAIN, COPY = "a" * 40, "b" * 40
CARD = b"""---
license: cc-by-4.0
configs:
- config_name: default
  data_files:
  - split: train
    path: data.jsonl
- config_name: other
  data_files: data.jsonl
---
"""
GROUPS, GROUP_ROWS = 60, 250


def _many_groups() -> bytes:
    """A Parquet file of about 25 MB whose row groups do not compress away."""
    noise = random.Random(1)
    texts = ["سلام " + noise.randbytes(1_600).hex() for _ in range(GROUPS * GROUP_ROWS)]
    out = io.BytesIO()
    pq.write_table(pa.table({"text": texts}), out, row_group_size=GROUP_ROWS, compression="zstd")
    return out.getvalue()


# Repository → commit → path → content.
REPOSITORIES = {
    "good": {MAIN: {"README.md": CARD, "data.jsonl": spell("jsonl", ROWS)}},
    "script": {
        MAIN: {"README.md": b"", "script.py": b""},
        COPY: {"README.md": b"", "default/train/0000.parquet": spell("parquet", ROWS)},
    },
    "lonely": {MAIN: {"README.md": b"", "lonely.py": b""}},
    "versions": {
        MAIN: {"README.md": b"", "versions.py": b""},
        COPY: {
            "fa/train/0000.parquet": spell("parquet", ROWS[:200]),
            "fa/train/0001.parquet": spell("parquet", ROWS[200:]),
            "en/partial-train/0000.parquet": spell("parquet", [{"text": "an English text"}] * 70),
        },
    },
    "large": {MAIN: {"README.md": b"---\nlicense: cc-by-nc-4.0\n---\n", "train.parquet": _many_groups()}},
    "moderated": {MAIN: {"README.md": b""}},
}
LICENCES = {"large": "cc-by-nc-4.0", "lonely": None, "moderated": None}
SERVED = Counter[str]()
"""Bytes of answers' bodies, by repository."""
BRANCHES = {"main": MAIN, "refs/convert/parquet": COPY}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    _repository = ""

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = re.match(r"/(?:api/)?datasets/org/(\w+)(?:/(\w[\w-]*)/([^/?]+))?/?([^?]*)", self.path)
        if not found:
            self._answer(200 if self.path == "/" else 404)
            return
        name, verb, revision, path = (unquote(part or "") for part in found.groups())
        self._repository = name
        if name == "closed":
            self._answer(403, **{"X-Error-Code": "GatedRepo", "X-Error-Message": "restricted"})
            return
        if name == "moderated" and self.path.endswith("/auth-check"):
            self._answer(403, **{"X-Error-Code": "GatedRepo", "X-Error-Message": "restricted"})
            return
        if name not in REPOSITORIES:
            self._answer(401, **{"X-Error-Code": "RepoNotFound"})
            return
        commit = BRANCHES.get(revision or "main", revision)
        files = REPOSITORIES[name].get(commit)
        if files is None:
            self._answer(404, **{"X-Error-Code": "RevisionNotFound"})
        elif verb == "resolve":
            self._file(files, path, commit)
        else:
            self._json(verb, files, path, commit, body)

    do_HEAD = do_POST = do_GET

    def _file(self, files: dict[str, bytes], path: str, commit: str) -> None:
        if path not in files:
            self._answer(404, **{"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
            return
        data, wanted = files[path], re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        headers = {"ETag": f'"{len(data)}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if wanted is None:
            self._answer(200, data, **headers)
            return
        first, last = int(wanted[1]), min(int(wanted[2] or len(data)), len(data) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        self._answer(206, data[first : last + 1], **headers)

    def _json(self, verb: str, files: dict[str, bytes], path: str, commit: str, body: bytes) -> None:
        if verb == "tree":
            inside = {name: data for name, data in files.items() if name.startswith(path)}
            entries = [_entry("file", name, len(data)) for name, data in inside.items()]
            folders = {name.rsplit("/", depth)[0] for name in inside for depth in range(1, name.count("/") + 1)}
            answer: object = entries + [_entry("directory", name, 0) for name in sorted(folders) if name != path]
        elif verb == "paths-info":
            paths = json.loads(body)["paths"]
            answer = [_entry("file", name, len(files[name])) for name in paths if name in files]
            answer += [_entry("directory", name, 0) for name in paths if any(f.startswith(name + "/") for f in files)]
        else:
            siblings = [{"rfilename": name} for name in files]
            licence = LICENCES.get(self._repository, "cc-by-4.0")
            answer = {"id": "org/x", "sha": commit, "siblings": siblings, "cardData": {"license": licence}}
            answer["gated"] = "manual" if self._repository == "moderated" else False
        self._answer(200, json.dumps(answer).encode(), **{"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            SERVED[self._repository] += len(body)
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test's output quiet."""


def _entry(kind: str, path: str, size: int) -> dict[str, object]:
    return {"type": kind, "path": path, "size": size, "oid": "c" * 40}


def serve() -> ThreadingHTTPServer:
    """The server, bound to a free port of this machine; the caller runs and closes it."""
    return ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
