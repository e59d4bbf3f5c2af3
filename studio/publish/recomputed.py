"""The tensors that a merge should have written, computed anew by code that shares nothing with the merge's."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from studio.errors import StudioError

_TABLES = re.compile(r"(?:.*[.])?(?:(?P<read>embed_tokens|wte|embed_in)|lm_head|embed_out)[.]weight")
_BODIES = Counter(("model", "language_model", "text_model", "transformer"))


@dataclass(frozen=True, slots=True)
class Change:
    """What an adapter does to one tensor: its module in the loaded model, keys of A, B and DoRA's lengths, scale."""

    module: str
    down: str
    up: str
    lengths: str | None
    scale: float


class Weights:
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


@contextmanager
def open_weights(folder: Path, stem: str) -> Iterator[Weights]:
    """The tensors of ``STEM.safetensors``, in one file or several.

    Raises:
        StudioError: ``publish.verify_failed`` (``readable``).
    """
    index = folder / f"{stem}.safetensors.index.json"
    with ExitStack() as stack:
        try:
            single = {f"{stem}.safetensors"}
            names = set(json.loads(index.read_bytes())["weight_map"].values()) if index.exists() else single
            weights = Weights(stack, [folder / name for name in sorted(names)])
        except (SafetensorError, OSError, ValueError) as error:
            raise StudioError("publish.verify_failed", check="readable", tensor=folder.name) from error
        yield weights


@contextmanager
def recomputing(
    base: Path, adapter: Path, *, rows: Path | None = None, towards_base: float = 0.0
) -> Iterator[Recomputed]:
    """Open base, adapter and rows; torch computes on one thread, so that no sum depends on this machine's cores."""
    with ExitStack() as stack:
        stack.callback(torch.set_num_threads, torch.get_num_threads())
        torch.set_num_threads(1)
        old = stack.enter_context(open_weights(base, "model"))
        lora = stack.enter_context(open_weights(adapter, "adapter_model"))
        config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf8"))
        new = None if rows is None else stack.enter_context(open_weights(rows.parent, rows.stem))
        yield Recomputed(old, lora, _changes(config, lora, old.names), new, 1.0 - towards_base)


class Recomputed:
    """What each tensor should be: in fp32 where the adapter changes it, else as the base has it."""

    def __init__(
        self, old: Weights, lora: Weights, changes: Mapping[str, Change], rows: Weights | None, added: float
    ) -> None:
        self._old, self._lora, self._rows, self._added = old, lora, rows, added
        self.changes = changes
        self.names = old.names
        self.tables = {name for name in old.names if rows is not None and _TABLES.fullmatch(name)}

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._changed(name) if name in self.changes else self._old[name]

    def table(self, name: str, target: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """A table with its new rows in `target`, and the numbers of rows that no token has: those are the old mean."""
        assert self._rows is not None
        match = _TABLES.fullmatch(name)
        assert match is not None, name
        old, ids = self._old[name], self._rows["ids"]
        own = "output" if match["read"] is None and "output" in self._rows.names else "input"
        length = max(len(old), (int(ids.max()) // 64 + 1) * 64)
        mean = old.to(target).to(torch.float32).mean(dim=0)
        table = torch.cat((old.to(target), mean.to(target).repeat(length - len(old), 1)))
        table[ids] = self._rows[own].to(target)
        idle = torch.ones(length, dtype=torch.bool)
        idle[: len(old)] = False
        idle[ids] = False
        return table, idle.nonzero().view(-1)

    def _changed(self, name: str) -> torch.Tensor:
        change, old = self.changes[name], self._old[name].to(torch.float32)
        down, up = (self._lora[key].to(torch.float32) for key in (change.down, change.up))
        if (up.shape[0], down.shape[1]) != old.shape:
            raise StudioError("publish.verify_failed", check="shape", tensor=name)
        if change.lengths is None:
            return torch.addmm(old, up * (change.scale * self._added), down)
        new = torch.matmul(up, down)
        new *= change.scale
        new += old
        new *= (self._lora[change.lengths].to(torch.float32) / torch.linalg.norm(new, dim=1))[:, None]
        if self._added < 1:
            new -= old
            new *= self._added
            new += old
        return new


def _changes(config: Mapping[str, Any], lora: Weights, names: set[str]) -> dict[str, Change]:
    """Tensor of the base → its change; PEFT writes ``base_model.model.`` before the module's name in the model."""
    found, known = {}, set()
    for key in sorted(lora.names):
        if not key.endswith(".lora_A.weight"):
            continue
        module = key.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
        up = key.replace(".lora_A.", ".lora_B.")
        lengths = key.replace(".lora_A.weight", ".lora_magnitude_vector") if config.get("use_dora") else None
        known |= {key, up} | ({lengths} if lengths else set())
        scale = _scale(config, module, lora[key].shape[0])
        found[_on_disk(module + ".weight", names)] = Change(module, key, up, lengths, scale)
    if known != lora.names:
        raise StudioError("publish.verify_failed", check="adapter", tensor=min(known ^ lora.names))
    for name in set(found) - names:
        raise StudioError("publish.verify_failed", check="adapter", tensor=name)
    return found


def _scale(config: Mapping[str, Any], module: str, rank: int) -> float:
    # The rank is that of the matrices themselves. A pattern, a regular expression, ends at the module's last part and
    # starts at one of its parts; the first that fits decides.
    alphas: dict[str, float] = config.get("alpha_pattern") or {}
    fitting = (value for key, value in alphas.items() if re.fullmatch(f"(?:.+[.])?(?:{key})", module))
    alpha: float = next(fitting, config["lora_alpha"])
    return alpha / (rank**0.5 if config.get("use_rslora") else rank)


def _on_disk(wanted: str, names: set[str]) -> str:
    """The name in the files for a name in the loaded model: other bodies around it, in another order, or fewer."""
    if wanted in names:
        return wanted
    last = wanted.rpartition(".layers.")[2]
    words = Counter(wanted.split("."))
    near = []
    for name in names:
        if name.endswith(last):
            own = Counter(name.split("."))
            if not ((words - own) + (own - words)) - _BODIES:
                near.append(name)
    return near[0] if len(near) == 1 else wanted
