"""A model from a hub: a short probe that says what is wrong, then a download in a process that can be ended."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.models.files import TOKENIZER
from studio.models.reference import ModelReference
from studio.models.source import Origin, Source, write_source
from studio.models.weights import INDEX, SINGLE
from studio.settings import hub_endpoint

Found = TypeVar("Found")

PROBE_SECONDS = 5
_POLL_SECONDS = 0.3
_SUFFIXES = (".safetensors", ".json", ".model", ".jinja")
_NAMES = ("tokenizer", "vocab", "merges", "LICENSE", "LICENCE", "NOTICE", "USE_POLICY")
_DOWNLOAD_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Remote:
    """What a hub says of a model: the commit, its licence, and the files we want with their sizes in bytes."""

    name: str
    commit: str
    licence: str | None
    files: dict[str, int]

    @property
    def bytes(self) -> int:
        return sum(self.files.values())


def probe(reference: ModelReference, token: str | None) -> Remote:
    """Ask the hub for a model; gives up after five seconds.

    Raises:
        StudioError: ``hub.no_network``, ``hub.unknown``, ``hub.unknown_revision``, ``hub.gated``,
            ``hub.no_safetensors`` or ``hub.failed``.
    """
    from huggingface_hub import HfApi

    api = HfApi(endpoint=hub_endpoint(), token=token)  # None: the existing login, if any

    def ask() -> Any:
        found = api.model_info(reference.name, revision=reference.revision, timeout=PROBE_SECONDS, files_metadata=True)
        if found.gated:  # anybody may read about such a model, but not fetch it
            api.auth_check(reference.name)
        return found

    info = _asking(reference.name, reference.revision, ask)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
    files = wanted(sizes)
    if not any(name.endswith(".safetensors") for name in files):
        raise StudioError("hub.no_safetensors", repo=reference.name)
    licence = info.card_data.get("license") if info.card_data else None
    return Remote(reference.name, info.sha or "main", str(licence) if licence else None, files)


def wanted(sizes: dict[str, int]) -> dict[str, int]:
    """The files of a repository that make a model: top level only, safetensors, no code and no pickles."""
    files = {
        name: size
        for name, size in sizes.items()
        if "/" not in name and (PurePosixPath(name).suffix in _SUFFIXES or name.startswith(_NAMES))
    }
    if INDEX in files or SINGLE in files:  # some repositories repeat the weights in their maker's own layout
        files = {name: size for name, size in files.items() if not name.startswith("consolidated")}
    return {name: size for name, size in files.items() if not name.endswith((".py", ".bin"))}


def build_hub(
    reference: ModelReference,
    remote: Remote,
    incoming: Path,
    *,
    token: str | None,
    progress: Progress,
    stopping: Stopping,
) -> Path:
    """Download `remote` below `incoming`.

    Returns:
        The finished folder, sealed with its `source.json`.

    Raises:
        StudioError: As :func:`probe`, or ``disk.full``, ``model.no_tokenizer``, ``job.stopped``.
    """
    folder = incoming / "model"
    folder.mkdir(parents=True)
    _download_apart(remote, folder, token, progress, stopping)
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    progress(_DOWNLOAD_SHARE, "progress.fetch.tokenizer")
    _ensure_tokenizer(folder)
    origin = Origin(name=remote.name, version=remote.commit)
    write_source(
        folder,
        reference=str(reference),
        original=remote.name,
        licence=remote.licence,
        note=None,
        origins=[origin],
    )
    progress(1.0, "progress.fetch.done")
    return folder


def bring_code(source: Source, folder: Path, token: str | None) -> None:
    """Put the Python files of a fetched model's own commit beside its weights. Nothing runs them by that.

    Raises:
        StudioError: As :func:`probe`, or ``disk.full``.
    """
    from huggingface_hub import snapshot_download

    origin = source.origins[0]
    with tempfile.TemporaryDirectory(prefix=".incoming-code-", dir=folder.parent) as aside:
        _asking(
            origin.name,
            origin.version,
            lambda: snapshot_download(
                origin.name,
                revision=origin.version,
                local_dir=aside,
                allow_patterns=["*.py"],
                endpoint=hub_endpoint(),
                token=token,
            ),
        )
        for path in sorted(Path(aside).glob("*.py")):
            path.replace(folder / path.name)


def _download_apart(remote: Remote, folder: Path, token: str | None, progress: Progress, stopping: Stopping) -> None:
    """Download in a child process, which can be ended in the midst of a file."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    # The token travels through the pipe that starts the child: neither its arguments nor its environment show it.
    child = context.Process(target=_download, args=(theirs, remote, folder, hub_endpoint(), token), daemon=True)
    child.start()
    theirs.close()
    try:
        answer = _wait(ours, child, folder, remote.bytes, progress, stopping)
    finally:
        child.kill()
        child.join()
        ours.close()
    if answer is not None:
        raise StudioError(answer[0], **answer[1])


def _wait(
    ours: Connection, child: Any, folder: Path, total: int, progress: Progress, stopping: Stopping
) -> tuple[str, dict[str, Any]] | None:
    while not ours.poll():
        if stopping():
            raise StudioError("job.stopped")
        if not child.is_alive() and not ours.poll():
            raise StudioError("hub.failed", repo=folder.parent.name, reason=f"exit {child.exitcode}")
        # Half a file lies under another name in the hub library's own folder, so every byte below counts.
        done = sum(path.stat().st_size for path in list(folder.rglob("*")) if path.is_file())
        progress(_DOWNLOAD_SHARE * min(1.0, done / max(total, 1)), "progress.fetch.download")
        time.sleep(_POLL_SECONDS)
    answer: tuple[str, dict[str, Any]] | None = ours.recv()
    return answer


def _download(parent: Connection, remote: Remote, folder: Path, endpoint: str, token: str | None) -> None:
    """Body of the child: download, then tell the parent None or the error's code and details."""
    from huggingface_hub import snapshot_download

    def follow() -> None:
        try:
            parent.recv()
        except EOFError:
            os._exit(1)  # the parent was killed: nobody waits for these files

    threading.Thread(target=follow, daemon=True).start()
    try:
        _asking(
            remote.name,
            remote.commit,
            lambda: snapshot_download(
                remote.name,
                revision=remote.commit,
                local_dir=folder,
                allow_patterns=list(remote.files),
                endpoint=endpoint,
                token=token,
            ),
        )
        parent.send(None)
    except StudioError as error:
        parent.send((error.code, error.details))


def _asking(name: str, revision: str | None, ask: Callable[[], Found]) -> Found:
    """The answer of `ask`, or what went wrong in the words of the studio."""
    try:
        return ask()
    except StudioError:
        raise
    except Exception as error:  # the hub library wraps some faults in others: the innermost known one decides
        chain: list[BaseException] = [error]
        while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
            chain.append(cause)
        known = [found for found in (_explain(fault, name, revision) for fault in reversed(chain)) if found]
        if not known:
            raise
        raise known[0] from error


def _explain(fault: BaseException, name: str, revision: str | None) -> StudioError | None:
    import httpx2
    from huggingface_hub import errors

    match fault:
        case errors.GatedRepoError():
            return StudioError("hub.gated", repo=name)
        case errors.RepositoryNotFoundError():
            return StudioError("hub.unknown", repo=name)
        case errors.RevisionNotFoundError():
            return StudioError("hub.unknown_revision", repo=name, revision=revision or "main")
        case httpx2.TransportError() | errors.OfflineModeIsEnabled():
            return StudioError("hub.no_network", repo=name)
        case errors.HfHubHTTPError() | errors.HFValidationError():
            return StudioError("hub.failed", repo=name, reason=str(fault).strip().splitlines()[0])
        case OSError(errno=code) if code in (errno.ENOSPC, errno.EDQUOT):
            return StudioError("disk.full", folder=name)
    return None


def _ensure_tokenizer(folder: Path) -> None:
    """Old repositories hold only ``tokenizer.model`` or ``vocab.json``: pages need ``tokenizer.json``."""
    if (folder / TOKENIZER).is_file():
        return
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        tokenizer.backend_tokenizer.save(str(folder / TOKENIZER))
    except (OSError, ValueError, AttributeError, ImportError) as error:
        raise StudioError("model.no_tokenizer", folder=folder.name) from error
