"""Energy of a run in joules: counted by the graphics card or the processor, estimated where codecarbon is installed.

Where nothing can tell, there is no figure. A processor's counter (RAPL) is that of its whole package, other programs
included; a card's is that of the card alone.
"""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import Any, Literal, Protocol

POWERCAP = Path("/sys/class/powercap")
ESTIMATE_SECONDS = 15.0  # between two questions to codecarbon, which looks at the whole machine each time
_JOULES_PER_KWH = 3.6e6

Source = Literal["nvml", "rapl", "codecarbon"]


class Meter(Protocol):
    """Counts from the moment it is made; `source` tells how."""

    source: Source

    def taken(self) -> float | None:
        """Joules since the last call, or since the beginning; None once it cannot be told any more."""
        ...


def open_meter(*, card: str | None, powercap: Path = POWERCAP) -> Meter | None:
    """What can tell the energy here; None if nothing can.

    Args:
        card: UUID of the CUDA card that trains, as NVML writes it (``GPU-…``); None for a processor.
        powercap: Folder of the kernel's RAPL counters.
    """
    measured: Meter | None = _nvml_meter(card) if card is not None else _rapl_meter(powercap)
    if measured is None and importlib.util.find_spec("codecarbon") is not None:
        return EstimateMeter()
    return measured


def _nvml_meter(card: str) -> Meter | None:
    import pynvml

    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(card)
    except pynvml.NVMLError:
        return None  # no driver's library, or a slice of a card that it does not tell about
    for kind in (CounterMeter, PowerMeter):
        try:
            return kind(pynvml, handle)
        except pynvml.NVMLError:  # NotSupported: cards before Volta have no counter, some tell no power either
            continue
    return None


class CounterMeter:
    """The card's own counter, in millijoules since its driver was loaded."""

    source: Source = "nvml"

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle
        self._last = self._read()

    def taken(self) -> float | None:
        """Joules since the last call; None for a card that is lost, or whose driver was loaded anew."""
        try:
            now = self._read()
        except self._nvml.NVMLError:
            return None
        joules, self._last = now - self._last, now
        return joules if joules >= 0 else None

    def _read(self) -> float:
        return int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1000


class PowerMeter:
    """The card's power, in milliwatts, taken as a straight line between two calls."""

    source: Source = "nvml"

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle
        self._watts, self._at = self._read(), time.monotonic()

    def taken(self) -> float | None:
        """Joules since the last call; None for a card that is lost."""
        try:
            watts, at = self._read(), time.monotonic()
        except self._nvml.NVMLError:
            return None
        joules = (watts + self._watts) / 2 * (at - self._at)
        self._watts, self._at = watts, at
        return joules

    def _read(self) -> float:
        return int(self._nvml.nvmlDeviceGetPowerUsage(self._handle)) / 1000


def _rapl_meter(powercap: Path) -> Meter | None:
    zones = rapl_zones(powercap)
    try:
        return RaplMeter(zones) if zones else None
    except (OSError, ValueError):
        return None  # since 2020 kernels show these counters to root alone


def rapl_zones(powercap: Path) -> list[Path]:
    """The counters to add up: every package, and memory where it is counted beside its package.

    ``core`` and ``uncore`` are parts of their package, ``psys`` is the whole board with the packages in it, and
    ``intel-rapl-mmio`` counts the package a second time.
    """
    zones = []
    for zone in sorted(powercap.glob("intel-rapl:*")):
        try:
            name = (zone / "name").read_text(encoding="utf8").strip()
        except OSError:
            continue
        if name.startswith("package") or name == "dram":
            zones.append(zone)
    return zones


class RaplMeter:
    """The processor's counters in microjoules, which begin again at their ``max_energy_range_uj``."""

    source: Source = "rapl"

    def __init__(self, zones: list[Path]) -> None:
        self._ranges = {zone: int((zone / "max_energy_range_uj").read_text()) for zone in zones}
        self._last = {zone: _microjoules(zone) for zone in zones}

    def taken(self) -> float | None:
        """Joules since the last call, right as long as no counter went all the way round, which takes many minutes.

        None once a counter cannot be read.
        """
        total = 0
        for zone, last in self._last.items():
            try:
                now = _microjoules(zone)
            except (OSError, ValueError):
                return None
            total += now - last if now >= last else now - last + self._ranges[zone]
            self._last[zone] = now
        return total / 1e6


def _microjoules(zone: Path) -> int:
    return int((zone / "energy_uj").read_text())


class EstimateMeter:
    """codecarbon's estimate: what the processor's make usually draws, by how busy this process keeps it."""

    source: Source = "codecarbon"

    def __init__(self) -> None:
        from codecarbon import OfflineEmissionsTracker

        # The offline one: the other asks a web service where this machine stands. The country only decides about
        # carbon, which is not shown.
        self._tracker = OfflineEmissionsTracker(
            country_iso_code="IRN",
            save_to_file=False,
            allow_multiple_runs=True,
            tracking_mode="process",
            log_level="error",
        )
        self._tracker.start_task()
        self._at = time.monotonic()

    def taken(self) -> float | None:
        """Joules since the last call that was `ESTIMATE_SECONDS` after the one before; 0 for calls in between."""
        if time.monotonic() - self._at < ESTIMATE_SECONDS:
            return 0.0
        done = self._tracker.stop_task()
        self._tracker.start_task()
        self._at = time.monotonic()
        return float(done.energy_consumed) * _JOULES_PER_KWH
