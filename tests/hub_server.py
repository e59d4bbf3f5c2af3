"""A Hub on this machine for publishing: as much of its protocol as `huggingface_hub` speaks, strict like the real one.

It knows people by their tokens and what each may write, keeps repositories as commits, takes large files by LFS (at
once or in parts) and checks size and SHA-256 of what arrives, and refuses a commit on a parent that is not the newest.
Faults are switched on per test. Xet is not spoken.
"""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any

NAME = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9](?:[\w.-]{0,94}[A-Za-z0-9_])?", re.ASCII)
LARGE = (".safetensors", ".gguf", ".bin", ".model", ".zst")
ATTRIBUTES = "".join(f"*{ending} filter=lfs diff=lfs merge=lfs -text\n" for ending in LARGE).encode()
REGULAR_LIMIT = 10 << 20  # bytes; the Hub asks for LFS above
SIGNATURE = "X-Amz-Signature=5f3c9asignedpermission"
"""What makes an address for a large file good; whoever has it may write there."""
QUOTA = "Private repository storage limit reached, please upgrade your plan to increase your private storage limit."


class Refused(Exception):
    """An answer that is no success: its status and the words of the Hub."""

    def __init__(
        self, status: int, message: str, code: str | None = None, url: str | None = None, **headers: str
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": message, **({"url": url} if url else {})}
        self.headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {}), **headers}


@dataclass(frozen=True)
class Person:
    """Who a token is of, what it may do, and the person's place in organisations."""

    name: str
    role: str = "write"  # of the token: read or write
    orgs: tuple[tuple[str, str], ...] = ()  # (organisation, role there)

    def writes(self, namespace: str) -> bool:
        places = {self.name: "admin", **dict(self.orgs)}
        return self.role == "write" and places.get(namespace) in ("admin", "write", "contributor")


@dataclass(frozen=True)
class Blob:
    """One file of a commit: its bytes, or the LFS object it points to."""

    content: bytes
    large: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def git(self) -> str:
        """Git's name of the file itself, of the pointer for a large one."""
        body = self.content
        if self.large:
            head = "version https://git-lfs.github.com/spec/v1"
            body = f"{head}\noid sha256:{self.sha256}\nsize {len(self.content)}\n".encode()
        return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()

    @property
    def remote_oid(self) -> str:
        return self.sha256 if self.large else self.git


@dataclass
class Commit:
    oid: str
    message: str
    files: dict[str, Blob]


@dataclass
class Repository:
    """Commits, oldest first, and the LFS objects that were uploaded, committed or not."""

    private: bool
    gated: bool = False
    commits: list[Commit] = field(default_factory=list)
    objects: dict[str, bytes] = field(default_factory=dict)

    @property
    def head(self) -> Commit:
        return self.commits[-1]

    def add(self, message: str, files: dict[str, Blob]) -> Commit:
        oid = hashlib.sha1(f"{len(self.commits)} {message} {sorted(files)}".encode()).hexdigest()
        self.commits.append(Commit(oid, message, files))
        return self.commits[-1]


@dataclass
class Refusal:
    """The next `times` requests that `pattern` fits («PUT /lfs/…») are answered so."""

    pattern: str
    status: int
    times: int
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False  # done all the same; only the answer is lost


class HubServer(ThreadingHTTPServer):
    """Serves until `close`; `received` counts the bytes of LFS bodies by SHA-256, whatever became of them."""

    daemon_threads = True

    def __init__(self) -> None:
        from tests.hub_handler import Handler

        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.people: dict[str, Person] = {}
        self.repositories: dict[str, Repository] = {}
        self.received = Counter[str]()
        self.asked: list[str] = []
        self.refusals: list[Refusal] = []
        self.cut_after: list[int] = []  # each cuts one upload after so many bytes
        self.seconds_per_piece = 0.0
        self.quota: int | None = None
        self.part_bytes: int | None = None  # larger objects come in parts of so many bytes
        self.parts: dict[tuple[str, str], dict[int, bytes]] = {}
        self.lock = threading.RLock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self.shutdown()
        self.server_close()

    def person(self, authorization: str | None) -> Person | None:
        """Who asks; nobody without a token.

        Raises:
            Refused: 401 for a token that is nobody's.
        """
        if not authorization:
            return None
        found = self.people.get(authorization.removeprefix("Bearer "))
        if found is None:
            raise Refused(401, "Invalid credentials in Authorization header")
        return found

    def repository(self, name: str, person: Person | None, *, write: bool = False) -> Repository:
        """One that the person may see.

        Raises:
            Refused: 401 or 404 if there is none for this person, 403 if it may not be written to.
        """
        found = self.repositories.get(name)
        namespace = name.split("/")[0]
        member = person is not None and (namespace == person.name or namespace in dict(person.orgs))
        if found is None or (found.private and not member):
            raise Refused(404 if person else 401, "Repository not found", "RepoNotFound")
        if write and not (person and person.writes(namespace)):
            raise Refused(403, "Forbidden: you need a write token, and the right to write here")
        return found

    def create(self, asked: dict[str, Any], person: Person | None) -> dict[str, Any]:
        """Answer ``POST /api/repos/create``."""
        if person is None:
            raise Refused(401, "Unauthorized")
        owner, name = asked.get("organization") or person.name, asked["name"]
        if asked.get("type", "model") != "model" or not NAME.fullmatch(name) or name.endswith(".git"):
            raise Refused(400, f"Invalid repository name {name!r}")
        if person.role != "write":
            raise Refused(403, "Forbidden: you must use a write token to create a repository")
        if not person.writes(owner):
            raise Refused(403, f'You don\'t have the rights to create a model under the namespace "{owner}"')
        url = f"{self.address}/{owner}/{name}"
        if f"{owner}/{name}" in self.repositories:
            raise Refused(409, "You already created this model repo", url=url)
        repository = Repository(private=asked.get("visibility") == "private")
        repository.add("initial commit", {".gitattributes": Blob(ATTRIBUTES, large=False)})
        self.repositories[f"{owner}/{name}"] = repository
        return {"url": url, "name": f"{owner}/{name}"}

    def preupload(self, repository: Repository, asked: dict[str, Any]) -> dict[str, Any]:
        """How each file shall come, and what is there under its name already."""
        files = []
        for each in asked["files"]:
            sample = base64.b64decode(each["sample"], validate=True)
            if len(sample) != min(512, each["size"]):
                raise Refused(400, "sample is not the beginning of the file")
            known = repository.head.files.get(each["path"])
            files.append(
                {"path": each["path"], "uploadMode": "lfs" if is_large(each["path"], each["size"]) else "regular",
                 "shouldIgnore": False, **({"oid": known.remote_oid} if known else {})}
            )  # fmt: skip
        return {"files": files}

    def batch(self, name: str, repository: Repository, asked: dict[str, Any]) -> dict[str, Any]:
        """Where to send LFS objects; nothing to do for those that are here."""
        if asked["operation"] != "upload" or asked.get("hash_algo") != "sha256" or "basic" not in asked["transfers"]:
            raise Refused(400, "unknown operation, hash or transfer")
        new = sum(each["size"] for each in asked["objects"] if each["oid"] not in repository.objects)
        held = sum(len(content) for content in repository.objects.values())
        if self.quota is not None and held + new > self.quota:
            raise Refused(403, QUOTA)
        return {"transfer": "basic", "objects": [self._order(name, repository, each) for each in asked["objects"]]}

    def _order(self, name: str, repository: Repository, asked: dict[str, Any]) -> dict[str, Any]:
        oid, size = asked["oid"], asked["size"]
        if oid in repository.objects:
            return {"oid": oid, "size": size}
        place = f"{self.address}/lfs/{name}/{oid}/{size}"
        upload: dict[str, Any] = {"href": f"{place}?{SIGNATURE}"}
        if self.part_bytes and size > self.part_bytes:
            count = -(-size // self.part_bytes)
            parts = {f"{number:05}": f"{place}/{number}?{SIGNATURE}" for number in range(1, count + 1)}
            upload = {"href": f"{place}/whole?{SIGNATURE}", "header": {"chunk_size": str(self.part_bytes), **parts}}
        verify = {"href": f"{self.address}/lfs-verify/{name}"}
        return {"oid": oid, "size": size, "actions": {"upload": upload, "verify": verify}}

    def store(self, name: str, oid: str, size: int, content: bytes) -> None:
        """Take a whole LFS object, if it is what was announced."""
        if len(content) != size or hashlib.sha256(content).hexdigest() != oid:
            raise Refused(400, "The content has another size or hash than was announced")
        self.repositories[name].objects[oid] = content

    def commit(self, repository: Repository, lines: list[dict[str, Any]]) -> Commit:
        """Answer ``POST …/commit/main``."""
        first, *rest = lines
        if first["key"] != "header" or not first["value"]["summary"] or not rest:
            raise Refused(400, "A commit needs a summary and something to do")
        parent = first["value"].get("parentCommit")
        if parent is not None and parent != repository.head.oid:
            raise Refused(412, "A commit has happened since. Please refresh and try again.")
        files = dict(repository.head.files)
        for line in rest:
            value = line["value"]
            if line["key"] == "file":
                content = base64.b64decode(value["content"], validate=True)
                if is_large(value["path"], len(content)):
                    raise Refused(400, "Your push was rejected because it contains files larger than 10 MiB or binary")
                files[value["path"]] = Blob(content, large=False)
            elif line["key"] == "lfsFile":
                stored = repository.objects.get(value["oid"])
                if stored is None or len(stored) != value["size"]:
                    raise Refused(400, f"LFS pointer pointed to a file that does not exist: {value['path']}")
                files[value["path"]] = Blob(stored, large=True)
            elif line["key"] == "deletedFile" and value["path"] in files:
                del files[value["path"]]
            else:
                raise Refused(400, f"Cannot do {line['key']} {value['path']}")
        return repository.add(first["value"]["summary"], files)


def is_large(path: str, size: int) -> bool:
    """Whether the Hub wants a file by LFS; an empty one never."""
    return size > 0 and (path.endswith(LARGE) or size > REGULAR_LIMIT)
