"""The requests that `tests.hub_server` answers."""

from __future__ import annotations

import json
import re
import socket
import time
from http.server import BaseHTTPRequestHandler
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

from tests.hub_server import SIGNATURE, Blob, Commit, HubServer, Person, Refused, Repository

PIECE = 1 << 16
PAGE = 4
"""Entries of a listing that one answer holds: whoever reads on only once sees too little."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else every answer waits 40 ms for an acknowledgement of its head

    def do_GET(self) -> None:
        self._answer_all()

    do_HEAD = do_POST = do_PUT = do_GET

    @property
    def hub(self) -> HubServer:
        return cast(HubServer, self.server)

    def _answer_all(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        # A body that comes in pieces or is to be cut is read by whom it concerns, any other at once.
        self._body = b"" if path.startswith("/lfs/") else self.rfile.read(int(self.headers["Content-Length"] or 0))
        planned = next((each for each in self.hub.refusals if each.times and self._fits(each.pattern, path)), None)
        try:
            if planned is not None:
                planned.times -= 1
                if planned.after:
                    self._route(path, silent=True)
                    self.close_connection = True
                    return
                self._read_rest(path)
                raise Refused(planned.status, "asked too much", **planned.headers)
            self._route(path)
        except Refused as refused:
            self._send(refused.status, json.dumps(refused.body).encode(), **refused.headers)

    def _fits(self, pattern: str, path: str) -> bool:
        return re.search(pattern, f"{self.command} {path}") is not None

    def _read_rest(self, path: str) -> None:
        if path.startswith("/lfs/"):
            self.rfile.read(int(self.headers["Content-Length"] or 0))

    def _route(self, path: str, *, silent: bool = False) -> None:
        self._silent = silent
        if path.startswith("/lfs/"):
            return self._take(path)  # like S3: the address is the permission
        person = self.hub.person(self.headers["Authorization"])
        if path == "/":
            return self._send(200, b"")
        if path == "/api/whoami-v2":
            return self._whoami(person)
        with self.hub.lock:
            if path == "/api/repos/create":
                return self._json(self.hub.create(json.loads(self._body), person))
            if path == "/api/validate-yaml":
                return self._validate(json.loads(self._body))
            if found := re.fullmatch(r"/lfs-verify/([^/]+/[^/]+)", path):
                return self._verify(self.hub.repository(found[1], person, write=True))
            if found := re.fullmatch(r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
                repository = self.hub.repository(found[1], person, write=True)
                return self._json(self.hub.batch(found[1], repository, json.loads(self._body)))
            if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                return self._resolve(self.hub.repository(found[1], person), found[2], found[3])
            if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(.+))?", path):
                return self._model(found[1], found[2] or "", person)
        raise Refused(404, f"no such address: {path}")

    def _whoami(self, person: Person | None) -> None:
        if person is None:
            raise Refused(401, "Invalid username or password.")
        orgs = [{"name": name, "roleInOrg": role} for name, role in person.orgs]
        token = {"displayName": "studio", "role": person.role}
        self._json({"type": "user", "name": person.name, "orgs": orgs, "auth": {"accessToken": token}})

    def _validate(self, asked: dict[str, Any]) -> None:
        if not asked["content"].startswith("---\n") or "\nlicense: [" in asked["content"]:
            error = {"errors": [{"message": '"license" is not valid'}], "warnings": []}
            return self._send(400, json.dumps(error).encode())
        return self._json({"errors": [], "warnings": []})

    def _verify(self, repository: Repository) -> None:
        asked = json.loads(self._body)
        if len(repository.objects.get(asked["oid"], b"")) != asked["size"]:
            raise Refused(404, "This object was not uploaded")
        self._json({})

    def _model(self, name: str, rest: str, person: Person | None) -> None:
        repository = self.hub.repository(name, person, write=rest.startswith(("preupload", "commit", "settings")))
        verb, _, revision = rest.partition("/")
        if verb == "preupload":
            return self._json(self.hub.preupload(repository, json.loads(self._body)))
        if verb == "commit":
            if self.headers["Content-Type"] != "application/x-ndjson":
                raise Refused(400, "a commit comes as application/x-ndjson")
            made = self.hub.commit(repository, [json.loads(line) for line in self._body.splitlines()])
            url = f"{self.hub.address}/{name}/commit/{made.oid}"
            return self._json({"success": True, "commitOid": made.oid, "commitUrl": url})
        if verb == "settings" and self.command == "PUT":
            repository.private = json.loads(self._body)["visibility"] == "private"
            return self._json({})
        if verb == "auth-check":
            if repository.gated:
                raise Refused(403, "Access to this model is restricted.", "GatedRepo")
            return self._json({})
        if verb == "tree":
            revision, _, below = revision.partition("/")
            return self._tree(self._commit(repository, revision), below)
        if verb in ("", "revision"):
            return self._info(name, repository, self._commit(repository, revision or "main"))
        raise Refused(404, f"no such address: {rest}")

    def _commit(self, repository: Repository, revision: str) -> Commit:
        if revision == "main":
            return repository.head
        for commit in repository.commits:
            if commit.oid == revision:
                return commit
        raise Refused(404, "Invalid rev id", "RevisionNotFound")

    def _info(self, name: str, repository: Repository, commit: Commit) -> None:
        siblings = [{"rfilename": path} for path in commit.files]
        facts = {"id": name, "modelId": name, "sha": commit.oid, "private": repository.private, "tags": [],
                 "gated": "manual" if repository.gated else False, "siblings": siblings, "downloads": 0}  # fmt: skip
        self._json(facts)

    def _tree(self, commit: Commit, below: str) -> None:
        """The entries below a folder, a page of them."""
        inside = {path: blob for path, blob in commit.files.items() if path.startswith(f"{below}/" if below else "")}
        if not inside:
            raise Refused(404, f"{below} does not exist", "EntryNotFound")
        entries = [_entry(path, blob) for path, blob in sorted(inside.items())]
        folders = {path.rpartition("/")[0] for path in inside} - {"", below}
        entries += [{"type": "directory", "path": path, "oid": "d" * 40, "size": 0} for path in sorted(folders)]
        parts = urlsplit(self.path)
        start = int(parse_qs(parts.query).get("cursor", ["0"])[0])
        more = start + PAGE < len(entries)
        following = f"{self.hub.address}{parts.path}?recursive=True&cursor={start + PAGE}"
        headers = {"Link": f'<{following}>; rel="next"'} if more else {}
        self._send(200, json.dumps(entries[start : start + PAGE]).encode(), **headers)

    def _resolve(self, repository: Repository, revision: str, path: str) -> None:
        commit = self._commit(repository, revision)
        blob = commit.files.get(path)
        if blob is None:
            raise Refused(404, "Entry not found", "EntryNotFound", **{"X-Repo-Commit": commit.oid})
        headers = {"ETag": f'"{blob.remote_oid}"', "X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes"}
        wanted = re.match(r"bytes=(\d+)-(\d*)", self.headers["Range"] or "")
        if wanted is None:
            return self._send(200, blob.content, **headers)
        first, last = int(wanted[1]), min(int(wanted[2] or len(blob.content)), len(blob.content) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(blob.content)}"
        return self._send(206, blob.content[first : last + 1], **headers)

    def _take(self, path: str) -> None:
        """A large file, whole or in parts."""
        found = re.fullmatch(r"/lfs/([^/]+/[^/]+)/([0-9a-f]{64})/(\d+)(?:/(\d+|whole))?", path)
        if found is None or urlsplit(self.path).query != SIGNATURE or self.headers["Authorization"]:
            raise Refused(400, "not an address that was given out, or a token where none belongs")
        name, oid, size, part = found[1], found[2], int(found[3]), found[4]
        content = self._read_pieces(oid)
        if content is None:
            return None
        with self.hub.lock:
            parts = self.hub.parts.setdefault((name, oid), {})
            if part is None:
                self.hub.store(name, oid, size, content)
            elif part == "whole":
                told = [each["partNumber"] for each in json.loads(content)["parts"]]
                if told != sorted(parts):
                    raise Refused(400, "parts are missing")
                self.hub.store(name, oid, size, b"".join(parts[number] for number in told))
            else:
                parts[int(part)] = content
        return self._send(200, b"", ETag=f'"{part}"')

    def _read_pieces(self, oid: str) -> bytes | None:
        """The body; None if the connection broke, by our doing or theirs."""
        left = int(self.headers["Content-Length"])
        cut = self.hub.cut_after.pop(0) if self.hub.cut_after and self.command == "PUT" else None
        content = bytearray()
        while left:
            piece = self.rfile.read1(min(PIECE, left))
            content += piece
            left -= len(piece)
            if self.command == "PUT":
                self.hub.received[oid] += len(piece)
            if not piece or (cut is not None and len(content) >= cut):
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return None
            time.sleep(self.hub.seconds_per_piece)
        return bytes(content)

    def _json(self, found: dict[str, Any]) -> None:
        self._send(200, json.dumps(found).encode(), **{"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        if getattr(self, "_silent", False):
            return
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test's output quiet."""


def _entry(path: str, blob: Blob) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(blob.content), "oid": blob.git}
    if blob.large:
        entry["lfs"] = {"oid": blob.sha256, "size": len(blob.content), "pointerSize": 135}
    return entry
