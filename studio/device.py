"""What this machine offers, found without torch: processor or GPU, driver, memory, disk, 4-bit support."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import psutil

from studio.settings import cards_shown


@dataclass(frozen=True, slots=True)
class Device:
    """The device that trains here. Sizes are bytes; `driver` and `bitsandbytes` are versions, None when absent.

    `idle_gpu` names a GPU that cannot be used, because the installed torch was built without CUDA. `fast_bf16` says
    whether the processor has instructions for bf16, `bf16` whether models are held in it here. Of several `cards` the
    sizes are those of the first.
    """

    kind: Literal["cuda", "cpu"]
    name: str
    cores: int
    memory: int
    memory_free: int
    driver: str | None
    bitsandbytes: str | None
    torch: str | None
    disk_free: int
    idle_gpu: str | None
    fast_bf16: bool
    bf16: bool = True
    cards: int = 1


def find_device(folder: Path) -> Device:
    """Look at this machine; disk is that of `folder`."""
    torch_version = _version("torch")
    gpu = _gpu()
    usable = gpu is not None and torch_version is not None and "+cpu" not in torch_version
    host = psutil.virtual_memory()
    flags = _cpu_field("flags")
    return Device(
        kind="cuda" if usable else "cpu",
        name=gpu.name if gpu is not None and usable else _cpu_field("model name") or "CPU",
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory=gpu.memory if gpu is not None and usable else host.total,
        memory_free=gpu.memory_free if gpu is not None and usable else host.available,
        driver=None if gpu is None else gpu.driver,
        bitsandbytes=_version("bitsandbytes"),
        torch=torch_version,
        disk_free=shutil.disk_usage(folder).free,
        idle_gpu=gpu.name if gpu is not None and not usable else None,
        fast_bf16="avx512_bf16" in flags or "amx_bf16" in flags,
        bf16=gpu.bf16 if gpu is not None and usable else _multiplies_bf16(flags),
        cards=gpu.count if gpu is not None and usable else 1,
    )


@dataclass(frozen=True, slots=True)
class _Gpu:
    name: str
    driver: str
    memory: int
    memory_free: int
    bf16: bool
    count: int


def _gpu() -> _Gpu | None:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None  # no NVIDIA driver here
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        return _Gpu(
            name=str(pynvml.nvmlDeviceGetName(handle)),
            driver=str(pynvml.nvmlSystemGetDriverVersion()),
            memory=int(memory.total),
            memory_free=int(memory.free),
            bf16=pynvml.nvmlDeviceGetCudaComputeCapability(handle)[0] >= 8,
            count=max(1, cards_shown(int(pynvml.nvmlDeviceGetCount()))),
        )
    except pynvml.NVMLError:
        return None  # a driver without a card
    finally:
        pynvml.nvmlShutdown()


def _multiplies_bf16(flags: str) -> bool:
    """Whether torch multiplies bf16 on this processor: what its oneDNN asks for, told without torch."""
    if not flags:  # ARM, and systems that do not say
        return platform.machine() in ("arm64", "aarch64")
    return all(flag in flags for flag in ("avx512bw", "avx512vl", "avx512dq"))


def _cpu_field(name: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf8").splitlines()
    except OSError:
        return ""  # not Linux
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
