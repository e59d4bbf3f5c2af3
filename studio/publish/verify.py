"""Proof that a merged folder is the model it claims to be, by code that shares nothing with the code that wrote it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping

RELOAD_SECONDS = 1800  # a 7B model read from a slow disk takes minutes; more than this is a machine that swaps


@dataclass(frozen=True, slots=True)
class Checked:
    """Tensors compared: all of them, those the adapter changed, and those it must not have touched."""

    tensors: int
    adapted: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What plain transformers saw: class, rows of the embedding, tokens of the tokenizer, five tokens of an answer."""

    architecture: str
    rows: int
    vocabulary: int
    tied: bool
    template: bool
    text: str


class _Weights:
    """All tensors of a folder by name, read one at a time."""

    def __init__(self, stack: ExitStack, files: list[Path]) -> None:
        self._files: dict[str, Any] = {}
        for path in files:
            opened = stack.enter_context(safe_open(path, framework="pt"))
            self._files |= dict.fromkeys(opened.keys(), opened)

    def __getitem__(self, name: str) -> torch.Tensor:
        tensor: torch.Tensor = self._files[name].get_tensor(name)
        return tensor

    @property
    def names(self) -> set[str]:
        return set(self._files)


def check_tensors(
    base: Path,
    adapter: Path,
    merged: Path,
    *,
    dtype: str = "bfloat16",
    progress: Progress = lambda share, note: None,
    stopping: Stopping = lambda: False,
) -> Checked:
    """Hold every tensor of `merged` bit for bit against its own computation from `base` and `adapter`.

    An adapted weight must be ``(W.float() + scale * (B.float() @ A.float())).to(dtype)``; any other must have the
    bytes of the base, after one cast where the base has another floating-point type. Torch computes on one thread;
    with up to 32 it gave the same bits for every matrix at least 64 wide.

    Raises:
        StudioError: ``publish.verify_failed`` with the `check` (``readable``, ``missing``, ``extra``, ``dtype``,
            ``shape``, ``adapted``, ``unchanged`` or ``adapter``) and the `tensor`; ``job.stopped``.
    """
    with ExitStack() as stack:
        # Back to as many threads as before; with one, no sum depends on how many cores this machine has.
        stack.callback(torch.set_num_threads, torch.get_num_threads())
        torch.set_num_threads(1)
        old, new = (stack.enter_context(_open(folder, "model")) for folder in (base, merged))
        lora = stack.enter_context(_open(adapter, "adapter_model"))
        pairs = _pairs(lora.names)
        scales = _scales(json.loads((adapter / "adapter_config.json").read_text(encoding="utf8")), lora, pairs)
        _same_names(old.names, new.names, pairs)
        target = getattr(torch, dtype)
        for number, name in enumerate(sorted(new.names)):
            if stopping():
                raise StudioError("job.stopped")
            progress(number / len(new.names), "progress.merge.check_tensors")
            if name in pairs:
                _check_adapted(name, old[name], new[name], lora, pairs[name], scales[name], target)
            else:
                wanted = old[name].to(target) if old[name].is_floating_point() else old[name]
                _check_bits(name, "unchanged", wanted, new[name])
        return Checked(len(new.names), len(pairs), len(new.names) - len(pairs))


@contextmanager
def _open(folder: Path, stem: str) -> Iterator[_Weights]:
    index = folder / f"{stem}.safetensors.index.json"
    with ExitStack() as stack:
        try:
            single = {f"{stem}.safetensors"}
            names = set(json.loads(index.read_bytes())["weight_map"].values()) if index.exists() else single
            weights = _Weights(stack, [folder / name for name in sorted(names)])
        except (SafetensorError, OSError, ValueError) as error:
            raise StudioError("publish.verify_failed", check="readable", tensor=folder.name) from error
        yield weights


def _pairs(keys: set[str]) -> dict[str, tuple[str, str]]:
    """Tensor of the base → keys of A and B; PEFT writes ``base_model.model.`` before the module's name."""
    pairs = {}
    for key in sorted(keys):
        if key.endswith(".lora_A.weight"):
            module = key.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            pairs[module + ".weight"] = (key, key.replace(".lora_A.", ".lora_B."))
    known = {key for pair in pairs.values() for key in pair}
    if known != keys:
        raise StudioError("publish.verify_failed", check="adapter", tensor=min(known ^ keys))
    return pairs


def _scales(config: Mapping[str, Any], lora: _Weights, pairs: Mapping[str, tuple[str, str]]) -> dict[str, float]:
    # The rank is that of the matrices themselves. A pattern, a regular expression, ends at the module's last part and
    # starts at one of its parts; the first that fits decides.
    alphas: dict[str, float] = config.get("alpha_pattern") or {}
    scales = {}
    for name, (down, _) in pairs.items():
        module = name.removesuffix(".weight")
        fitting = (value for key, value in alphas.items() if re.fullmatch(f"(?:.+[.])?(?:{key})", module))
        alpha = next(fitting, config["lora_alpha"])
        rank = lora[down].shape[0]
        scales[name] = alpha / (rank**0.5 if config.get("use_rslora") else rank)
    return scales


def _same_names(old: set[str], new: set[str], pairs: Mapping[str, object]) -> None:
    for check, names in (("missing", old - new), ("extra", new - old), ("adapter", set(pairs) - old)):
        if names:
            raise StudioError("publish.verify_failed", check=check, tensor=min(names))


def _check_adapted(
    name: str,
    old: torch.Tensor,
    new: torch.Tensor,
    lora: _Weights,
    pair: tuple[str, str],
    scale: float,
    target: torch.dtype,
) -> None:
    down, up = (lora[key].to(torch.float32) for key in pair)
    wanted = torch.matmul(up, down)
    if wanted.shape != old.shape:
        raise StudioError("publish.verify_failed", check="shape", tensor=name)
    wanted *= scale
    wanted += old.to(torch.float32)
    _check_bits(name, "adapted", wanted.to(target), new)


def _check_bits(name: str, check: str, wanted: torch.Tensor, found: torch.Tensor) -> None:
    if wanted.dtype != found.dtype:
        raise StudioError("publish.verify_failed", check="dtype", tensor=name)
    if wanted.shape != found.shape:
        raise StudioError("publish.verify_failed", check="shape", tensor=name)
    # As bytes: a NaN equals itself and -0.0 differs from 0.0.
    if not torch.equal(*(each.contiguous().reshape(-1).view(torch.uint8) for each in (wanted, found))):
        raise StudioError("publish.verify_failed", check=check, tensor=name)


def check_reload(merged: Path) -> Reloaded:
    """Open `merged` with plain transformers in a fresh process that does not know this studio.

    There the tokenizer cuts text as ``tokenizer.json`` says and fits the embedding, every id of config and generation
    config exists, head and embedding are tied exactly if the config says so, no weight is missing or left over, the
    template renders, and five tokens come out.

    Raises:
        StudioError: ``publish.reload_failed`` with the `check` and the `reason`.
    """
    script = Path(__file__).with_name("reload.py")
    # -I: neither this project nor the user's own site-packages are on the path of the new process.
    command = [sys.executable, "-I", str(script), str(merged.absolute())]
    try:
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=RELOAD_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise StudioError("publish.reload_failed", check="time", reason=f"{RELOAD_SECONDS} s") from error
    last = (ended.stdout.strip().splitlines() or [""])[-1]
    if ended.returncode != 0 or not last.startswith("{"):
        reason = (ended.stderr.strip().splitlines() or [f"exit {ended.returncode}"])[-1]
        raise StudioError("publish.reload_failed", check="open", reason=reason[:300])
    answer = json.loads(last)
    for check, reason in answer.pop("failed"):
        raise StudioError("publish.reload_failed", check=check, reason=reason)
    return Reloaded(**answer)


def check_bits(before: float, after: float, limit: float = 0.005) -> None:
    """Hold the bits per byte of the merged model against the unmerged; rounding to bf16 moves them far less.

    Args:
        before: Of base and adapter, as the chat loads them.
        after: Of the merged folder, on the same text.
        limit: Largest share by which they may differ, either way.

    Raises:
        StudioError: ``publish.bits_differ`` with both figures and the limit in percent.
    """
    # Written so that a NaN fails too.
    if not abs(after - before) <= limit * before:
        raise StudioError("publish.bits_differ", before=round(before, 4), after=round(after, 4), limit=100 * limit)
