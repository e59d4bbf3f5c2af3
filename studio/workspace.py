"""The folder a studio works in: made when missing, checked for writing, and held by one app at a time."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType

from studio.errors import StudioError
from studio.settings import Settings


def prepare(settings: Settings) -> None:
    """Make the workspace and its folders.

    Raises:
        StudioError: ``workspace.not_writable`` or ``disk.full``.
    """
    folders = [
        settings.workspace,
        settings.datasets,
        settings.vocabularies,
        settings.models,
        settings.runs,
        settings.evaluations,
        settings.suites,
        settings.exports,
        settings.uploads,
        settings.logs,
    ]
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        probe = settings.workspace / f".probe-{os.getpid()}"
        probe.write_bytes(b"ok")
        probe.unlink()
    except OSError as error:
        raise disk_error(error, settings.workspace) from error


def is_kept(settings: Settings) -> bool:
    """Whether the workspace outlives a restart: always on one's own machine, in a Space on a mounted volume only."""
    if settings.space is None:
        return True
    place = settings.workspace.resolve()
    while not place.is_mount():
        place = place.parent
    return place != Path("/")


def remove(folder: Path) -> None:
    """Remove a folder of the workspace. It leaves its place at once, by a rename: cut short, no half of it is seen.

    Raises:
        StudioError: ``workspace.not_writable``.
    """
    try:
        grave = Path(tempfile.mkdtemp(prefix=".incoming-deleted-", dir=folder.parent))
        folder.rename(grave / folder.name)
        shutil.rmtree(grave)
    except OSError as error:
        raise disk_error(error, folder.parent) from error


def write_new(out: Path, content: bytes) -> int:
    """Write a file that must not be there yet.

    Raises:
        StudioError: ``file.exists``, ``workspace.not_writable`` or ``disk.full``.
    """
    try:
        with out.open("xb") as file:
            return file.write(content)
    except FileExistsError as error:
        raise StudioError("file.exists", file=str(out)) from error
    except OSError as error:
        raise disk_error(error, out.parent) from error


def disk_error(error: OSError, folder: Path) -> StudioError:
    """The user's sentence for an `OSError` met while writing below `folder`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StudioError("disk.full", folder=str(folder))
    return StudioError("workspace.not_writable", folder=str(folder), reason=error.strerror or str(error))


class WorkspaceLock:
    """Keeps a second app away from one workspace; the kernel lets go when the holder dies, however it dies."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.workspace / "app.lock"
        self._address = settings.address
        self._descriptor = -1

    def __enter__(self) -> WorkspaceLock:
        """Take the lock.

        Raises:
            StudioError: ``workspace.in_use`` with the address of the app that holds it.
        """
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(self._descriptor, 500)
            os.close(self._descriptor)
            address = json.loads(holder).get("address", "?") if holder else "?"
            raise StudioError("workspace.in_use", folder=str(self._path.parent), address=address) from error
        os.truncate(self._descriptor, 0)
        os.write(self._descriptor, json.dumps({"pid": os.getpid(), "address": self._address}).encode())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
