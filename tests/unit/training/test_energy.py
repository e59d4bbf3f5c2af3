"""Meters against counters that behave, and refuse, as the kernel's and NVIDIA's do."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from studio.jobs.events import MetricRow
from studio.training import curriculum, energy
from studio.training.energy import CounterMeter, PowerMeter, RaplMeter, open_meter, rapl_zones

RANGE = 262_143_328_850  # µJ, of a real package


@pytest.fixture(autouse=True)
def no_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    """Two packages with a core and memory each, the board, and the first package a second time over MMIO."""
    names = {"intel-rapl:0": "package-0", "intel-rapl:0:0": "core", "intel-rapl:0:1": "dram",
             "intel-rapl:1": "package-1", "intel-rapl:2": "psys", "intel-rapl-mmio:0": "package-0"}  # fmt: skip
    for zone, name in names.items():
        (tmp_path / zone).mkdir()
        (tmp_path / zone / "name").write_text(f"{name}\n")
        (tmp_path / zone / "max_energy_range_uj").write_text(f"{RANGE}\n")
        spend(tmp_path / zone, 1_000_000)
    return tmp_path


def spend(zone: Path, microjoules: int) -> None:
    (zone / "energy_uj").write_text(f"{microjoules}\n")


def test_packages_and_memory_are_added_and_nothing_twice(powercap: Path) -> None:
    meter = open_meter(card=None, powercap=powercap)
    assert meter is not None
    assert meter.source == "rapl"
    for number, zone in enumerate(sorted(powercap.iterdir())):
        spend(zone, 1_000_000 + 10**number * 1_000_000)
    order = [zone.name for zone in sorted(powercap.iterdir())]
    counted = ("intel-rapl:0", "intel-rapl:0:1", "intel-rapl:1")
    assert meter.taken() == sum(10 ** order.index(name) for name in counted)
    assert meter.taken() == 0


def test_a_counter_that_begins_again_loses_nothing(powercap: Path) -> None:
    zone = powercap / "intel-rapl:0"
    spend(zone, RANGE - 2_000_000)
    meter = RaplMeter([zone])
    spend(zone, 3_000_000)
    assert meter.taken() == pytest.approx(5.0)


def test_counters_that_cannot_be_read_give_no_figure(powercap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meter = RaplMeter(rapl_zones(powercap))
    real = Path.read_text

    def refused(path: Path, *args: Any, **options: Any) -> str:
        if path.name == "energy_uj":  # 0400 since Linux 5.10, and root reads on in a test
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **options)

    monkeypatch.setattr(Path, "read_text", refused)
    assert meter.taken() is None
    assert open_meter(card=None, powercap=powercap) is None
    assert open_meter(card=None, powercap=powercap / "none") is None


class Card:
    """NVML with one card, `can` of it supported, in millijoules and milliwatts."""

    NVMLError = pynvml.NVMLError

    def __init__(self, *can: str) -> None:
        self.can, self.energy, self.power, self.lost = can, 5_000_000, 100_000, False

    def nvmlInit(self) -> None:
        if "driver" not in self.can:
            raise pynvml.NVMLError_LibraryNotFound

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        if uuid != "GPU-1":
            raise pynvml.NVMLError_NotFound
        return uuid

    def _tell(self, what: str) -> int:
        if self.lost:
            raise pynvml.NVMLError_GpuIsLost
        if what not in self.can:
            raise pynvml.NVMLError_NotSupported
        return int(getattr(self, what))

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:
        return self._tell("energy")

    def nvmlDeviceGetPowerUsage(self, handle: str) -> int:
        return self._tell("power")


@pytest.mark.parametrize(
    ("can", "kind"),
    [
        (("driver", "energy", "power"), CounterMeter),
        (("driver", "power"), PowerMeter),
        (("driver",), None),
        ((), None),
    ],
)
def test_a_card_is_asked_for_what_it_supports(
    monkeypatch: pytest.MonkeyPatch, can: tuple[str, ...], kind: type | None
) -> None:
    card = Card(*can)
    for name in ("nvmlInit", "nvmlDeviceGetHandleByUUID", "nvmlDeviceGetTotalEnergyConsumption",
                 "nvmlDeviceGetPowerUsage"):  # fmt: skip
        monkeypatch.setattr(pynvml, name, getattr(card, name))
    assert open_meter(card="GPU-other") is None
    found = open_meter(card="GPU-1")
    assert found is None if kind is None else isinstance(found, kind)


def test_a_card_counts_millijoules() -> None:
    card = Card("energy")
    meter = CounterMeter(card, "GPU-1")
    card.energy += 2_500
    assert meter.taken() == pytest.approx(2.5)
    card.energy = 10  # its driver was loaded anew
    assert meter.taken() is None
    card.lost = True
    assert meter.taken() is None


def test_power_is_a_line_between_two_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=10.0)
    monkeypatch.setattr(energy.time, "monotonic", lambda: clock.now)
    card = Card("power")
    meter = PowerMeter(card, "GPU-1")
    clock.now, card.power = 14.0, 200_000
    assert meter.taken() == pytest.approx(4 * 150)
    card.lost = True
    assert meter.taken() is None


class Ten:
    """Ten joules between two questions, but for one of them, `left` questions away, which it cannot answer."""

    source = "rapl"

    def __init__(self, left: int) -> None:
        self.left = left

    def taken(self) -> float | None:
        self.left -= 1
        return None if self.left == 0 else 10.0


class Killed(BaseException):
    """Ends a training the way a kill does."""


def test_a_resumed_run_goes_on_counting_and_a_lost_counter_ends_the_figure(
    train: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(row: MetricRow) -> None:
        if row.step == 4:
            raise Killed

    monkeypatch.setattr(curriculum, "open_meter", lambda card: Ten(99))
    with pytest.raises(Killed):
        train("a", record=kill)  # its last checkpoint is that of step 2
    monkeypatch.setattr(curriculum, "open_meter", lambda card: Ten(3))
    _, rows = train("a")
    assert [(row.step, row.energy) for row in rows] == [(3, 30.0), (4, 40.0), (5, None), (6, None)]
    monkeypatch.setattr(curriculum, "open_meter", lambda card: None)
    assert {row.energy for row in train("b")[1]} == {None}
