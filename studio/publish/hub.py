"""Publishing: the files of a checked export become one commit on the Hub, which is then read back and compared.

Large files go first, one after another, over plain HTTPS rather than Xet: so every byte is counted as it leaves, an
upload can be stopped in the midst of a file, and files that arrived are not sent again. Only when all are there, one
commit makes them visible: a repository shows the last revision or the new one, never half of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.publish import remote
from studio.publish.parcel import Leaving, Parcel, differences, is_ours, make_parcel
from studio.publish.record import CARD, Kind, Record, check_record
from studio.settings import hub_endpoint

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, HfApi

Answer = TypeVar("Answer")

WEIGHTS = (".safetensors", ".gguf", ".bin")
_CHECKED, _SENT, _DONE = 0.1, 0.9, 0.97  # of the job, when the parts end


@dataclass(slots=True)
class _Upload:
    """One publication on its way."""

    api: HfApi
    repo: str
    stopping: Stopping
    progress: Progress
    sent: int = 0
    created: bool = False
    known: remote.Remote | None = field(default=None)

    def ask(self, ask: Callable[[], Answer]) -> Answer:
        """The answer of the Hub, faults that pass waited out, refusals in our words."""
        try:
            return remote.patiently(ask, self.stopping)
        except Exception as error:
            explained = remote.explain(error, self.repo)
            if explained is None or explained is error:
                raise
            raise explained from error


def publish(
    folder: Path,
    repo: str,
    *,
    token: str | None,
    private: bool = True,
    message: str = "",
    links: Mapping[Kind, str] | None = None,
    progress: Progress,
    stopping: Stopping,
) -> dict[str, Any]:
    """Publish an export as a new revision of `repo`, which is made if it is not there.

    Args:
        folder: The export; it must still be as its record says.
        repo: ``org/name``.
        token: A Hub token that may write there; None for the login of this machine.
        private: Whether others may not see it; a repository that is there is made public, never private.
        message: Of the commit.
        links: Sibling repositories for the card, kind to name.
        progress: Told the share of the whole job.
        stopping: Asked throughout, also in the midst of a file.

    Returns:
        ``repo, url, kind, run, private, created, revision, message, files, bytes, sent, checks``; with ``state``
        ``stopped`` and no revision if it was stopped before the commit.

    Raises:
        StudioError: ``publish.not_checked``, ``publish.changed_since``, ``publish.no_card``, ``publish.bad_card`` or
            ``hub.*``. Until the commit nobody sees anything of it; after it come only ``hub.differs``,
            ``hub.not_compared`` and ``hub.not_opened``, which say so.
    """
    repo = remote.check_name(repo)
    progress(0.0, "progress.publish.check")
    record = check_record(folder)
    upload = _Upload(remote.open_api(token), repo, stopping, progress)
    parts = make_parcel(folder, record, repo, links or {})
    try:
        known = _prepare(upload, private)
        revision = _send(upload, parts, known, message)
    except StudioError as error:
        if error.code != "job.stopped":
            raise
        return _told(upload, record, parts, private) | {"state": "stopped", "revision": None, "checks": {}}
    upload.stopping = lambda: False  # it is there now, and what is there is compared
    checks = _read_back(upload, parts, revision)
    if known.private and not private:
        _open_to_all(upload, revision)
    progress(1.0, "progress.publish.done")
    return _told(upload, record, parts, private) | {"revision": revision, "checks": checks}


def _told(upload: _Upload, record: Record, parts: Parcel, private: bool) -> dict[str, Any]:
    changes = differences(parts, upload.known)
    return {
        "repo": upload.repo,
        "url": f"{hub_endpoint()}/{upload.repo}",
        "kind": record.kind,
        "run": record.run,
        "private": private,
        "created": upload.created,
        "files": [{"name": each.name, "bytes": each.bytes, "change": each.change} for each in changes],
        "bytes": sum(parts.sizes.values()),
        "sent": upload.sent,
    }


def _prepare(upload: _Upload, private: bool) -> remote.Remote:
    """See that this login may write there and that nothing of somebody else's is overwritten; make the repository."""
    api, repo = upload.api, upload.repo
    upload.progress(_CHECKED, "progress.publish.connect")
    refuse_namespace(upload.ask(lambda: remote.read_login(api)), repo)
    known = upload.ask(lambda: remote.look(api, repo))
    if known is None:
        upload.ask(lambda: api.create_repo(repo, private=private, exist_ok=True))
        upload.created = True
        known = upload.ask(lambda: remote.look(api, repo))
        assert known is not None, repo
    else:
        upload.ask(lambda: refuse_strangers(api, repo, known))
    upload.known = known
    refuse_openness(known, repo, private)
    return known


def refuse_namespace(login: remote.Login, repo: str) -> None:
    """Refuse a name under which this login may not publish.

    Raises:
        StudioError: ``hub.read_only_token`` or ``hub.not_yours``.
    """
    if login.writes is False:
        raise StudioError("hub.read_only_token", name=login.name)
    namespace = repo.split("/")[0]
    if namespace not in login.namespaces:
        raise StudioError("hub.not_yours", repo=repo, namespace=namespace, name=login.name)


def refuse_openness(known: remote.Remote | None, repo: str, private: bool) -> None:
    """Refuse a public repository for what shall be private.

    Raises:
        StudioError: ``hub.is_public``.
    """
    if known is not None and private and not known.private:
        raise StudioError("hub.is_public", repo=repo)


def refuse_strangers(api: HfApi, repo: str, known: remote.Remote | None) -> None:
    """Refuse a repository that holds a model which this studio did not put there.

    Raises:
        StudioError: ``hub.name_taken``.
    """
    if known is None or not any(name.endswith(WEIGHTS) for name in known.files):
        return
    if CARD in known.files and is_ours(read_card(api, repo, known.commit)):
        return
    raise StudioError("hub.name_taken", repo=repo)


def read_card(api: HfApi, repo: str, revision: str) -> str:
    """The card of a repository as it is on the Hub."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as place:  # the library's cache would keep the cards of private models
        path = api.hf_hub_download(repo, CARD, revision=revision, local_dir=place)
        return Path(path).read_text(encoding="utf8", errors="replace")


def _send(upload: _Upload, parts: Parcel, known: remote.Remote, message: str) -> str:
    """Send the large files, then make the commit; returns the revision."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    api, repo = upload.api, upload.repo
    total, done = max(1, sum(parts.sizes.values())), 0
    operations: list[CommitOperationAdd | CommitOperationDelete] = [CommitOperationAdd(CARD, parts.card)]
    for name, path in parts.files.items():
        operations.append(_send_file(upload, parts, name, done, total))
        done += path.stat().st_size
    changes = differences(parts, known)
    operations += [CommitOperationDelete(each.name) for each in changes if each.change == "removed"]
    upload.progress(_SENT, "progress.publish.commit")
    if all(each.change == "same" for each in changes):
        return known.commit
    text = message.strip() or ("First revision" if upload.created else "New revision")
    return _commit(upload, parts, known.commit, lambda: api.create_commit(
        repo, operations, commit_message=text, parent_commit=known.commit
    ).oid)  # fmt: skip


def _send_file(upload: _Upload, parts: Parcel, name: str, done: int, total: int) -> CommitOperationAdd:
    """Send one file if it is a large one that the Hub does not have; returns its part of the commit."""
    from huggingface_hub import CommitOperationAdd

    path = parts.files[name]

    def tell(position: int) -> None:
        share = (done + position) / total
        upload.progress(_CHECKED + share * (_SENT - _CHECKED), "progress.publish.upload")

    operation = CommitOperationAdd(name, path)
    operation.upload_info.sha256 = bytes.fromhex(parts.hashes[name])  # known from the check: not read again
    with Leaving(path, tell, upload.stopping) as leaving:
        operation.path_or_fileobj = cast(BinaryIO, leaving)  # a stream goes by LFS; a path the library sends by Xet

        def send() -> None:
            leaving.seek(0)  # the attempt before may have ended in the midst
            upload.api.preupload_lfs_files(upload.repo, [operation], free_memory=False)

        try:
            upload.ask(send)
        finally:
            upload.sent += leaving.most
    operation.path_or_fileobj = str(path)  # small files are read when the commit is made
    return operation


def _commit(upload: _Upload, parts: Parcel, parent: str, make: Callable[[], str]) -> str:
    """Make the commit once, also when the Hub made it and its answer was lost."""

    def attempt() -> str:
        try:
            return make()
        except Exception as error:
            if remote.explain(error, upload.repo) is None:
                raise
            known = remote.look(upload.api, upload.repo)
            if known is None or known.commit == parent or parts.odd(known):
                raise
            return known.commit

    return upload.ask(attempt)


def _read_back(upload: _Upload, parts: Parcel, revision: str) -> dict[str, Any]:
    """Compare the listing of `revision` with the files here.

    Raises:
        StudioError: ``hub.differs`` naming the first `file`; ``hub.not_compared`` if the Hub does not tell.
    """
    upload.progress(_DONE, "progress.publish.read_back")
    try:
        known = upload.ask(lambda: remote.look(upload.api, upload.repo, revision))
    except StudioError as error:
        raise StudioError("hub.not_compared", repo=upload.repo, revision=revision) from error
    odd = ["?"] if known is None else parts.odd(known)
    if odd or known is None:
        raise StudioError("hub.differs", repo=upload.repo, file=odd[0], revision=revision)
    large = sum(known.files[name].sha256 is not None for name in parts.sizes)
    return {"files": len(parts.sizes), "sha256": large, "git_sha1": len(parts.sizes) - large}


def _open_to_all(upload: _Upload, revision: str) -> None:
    try:
        upload.ask(lambda: upload.api.update_repo_settings(upload.repo, private=False))
    except StudioError as error:
        raise StudioError("hub.not_opened", repo=upload.repo, revision=revision) from error
