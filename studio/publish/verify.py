"""Proof that a merged folder is the model it claims to be, by code that shares nothing with the code that wrote it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.publish import reload
from studio.publish.recomputed import open_weights, recomputing

READ = ("embed_tokens.weight", "wte.weight", "embed_in.weight")  # the names that families give the embedding
RELOAD_SECONDS = 1800  # a 7B model read from a slow disk takes minutes; more than this is a machine that swaps


@dataclass(frozen=True, slots=True)
class Checked:
    """Tensors compared: all, those the adapter changed, those that stay as they were, and tables with new rows."""

    tensors: int
    adapted: int
    unchanged: int
    tables: int


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What plain transformers saw: class, rows of the embedding, tokens of the tokenizer, five tokens of an answer.

    `compared` names what was held against the base and the run's tokenizer.
    """

    architecture: str
    rows: int
    vocabulary: int
    tied: bool
    template: bool
    text: str
    compared: tuple[str, ...] = ()


def check_tensors(
    base: Path,
    adapter: Path,
    merged: Path,
    *,
    rows: Path | None = None,
    dtype: str = "bfloat16",
    towards_base: float = 0.0,
    progress: Progress = lambda share, note: None,
    stopping: Stopping = lambda: False,
) -> Checked:
    """Hold every tensor of `merged` bit for bit against its own computation from `base`, `adapter` and `rows`.

    An adapted weight must be what `studio.publish.merge` says it is; a table must hold the base's rows and the new
    ones by id, and the mean of the old where no token is; any other tensor must have the bytes of the base, after one
    cast where the base has another floating-point type. Torch computes on one thread; with up to 32 it gave the same
    bits for every matrix at least 64 wide.

    Raises:
        StudioError: ``publish.verify_failed`` with the `check` (``readable``, ``missing``, ``extra``, ``dtype``,
            ``shape``, ``finite``, ``adapted``, ``unchanged``, ``rows`` or ``adapter``) and the `tensor`;
            ``job.stopped``.
    """
    with (
        recomputing(base, adapter, rows=rows, towards_base=towards_base) as wanted,
        open_weights(merged, "model") as new,
    ):
        for check, names in (("missing", wanted.names - new.names), ("extra", new.names - wanted.names)):
            if names:
                raise StudioError("publish.verify_failed", check=check, tensor=min(names))
        target = getattr(torch, dtype)
        for number, name in enumerate(sorted(new.names)):
            if stopping():
                raise StudioError("job.stopped")
            progress(number / len(new.names), "progress.merge.check_tensors")
            if name in wanted.tables:
                _check_table(name, *wanted.table(name, target), new[name])
                continue
            expected = wanted[name]
            if expected.is_floating_point():
                expected = expected.to(target)
            _check_bits(name, "adapted" if name in wanted.changes else "unchanged", expected, new[name])
        changed = len(wanted.changes)
        tables = len(wanted.tables)
        return Checked(len(new.names), changed, len(new.names) - changed - tables, tables)


def _check_table(name: str, wanted: torch.Tensor, idle: torch.Tensor, found: torch.Tensor) -> None:
    # The mean of many rows moves in its last bits with the order of the sum, and no text asks for these rows.
    if found.shape == wanted.shape and torch.allclose(found[idle].float(), wanted[idle].float(), 1e-2, 1e-3):
        wanted[idle] = found[idle].to(wanted.dtype)
    _check_bits(name, "rows", wanted, found)


def _check_bits(name: str, check: str, wanted: torch.Tensor, found: torch.Tensor) -> None:
    if wanted.dtype != found.dtype:
        raise StudioError("publish.verify_failed", check="dtype", tensor=name)
    if wanted.shape != found.shape:
        raise StudioError("publish.verify_failed", check="shape", tensor=name)
    if found.is_floating_point() and not bool(found.isfinite().all()):
        raise StudioError("publish.verify_failed", check="finite", tensor=name)
    # As bytes: a NaN equals itself and -0.0 differs from 0.0.
    if not torch.equal(*(each.contiguous().reshape(-1).view(torch.uint8) for each in (wanted, found))):
        raise StudioError("publish.verify_failed", check=check, tensor=name)


def check_reload(merged: Path, expected: Mapping[str, Any] | None = None) -> Reloaded:
    """Open `merged` with plain transformers in a fresh process that does not know this studio.

    There the tokenizer cuts text as ``tokenizer.json`` says and fits the embedding, every id of config and generation
    config exists, head and embedding are tied exactly if the config says so, no weight is missing or left over, the
    template renders, and five tokens come out.

    Args:
        merged: Folder of a model.
        expected: What it must also agree with, as :func:`expectations` tells it of the base and the run's tokenizer.

    Raises:
        StudioError: ``publish.reload_failed`` with the `check` and the `reason`.
    """
    script = Path(__file__).with_name("reload.py")
    # -I: neither this project nor the user's own site-packages are on the path of the new process.
    command = [sys.executable, "-I", str(script), str(merged.absolute())]
    try:
        ended = subprocess.run(
            command, input=json.dumps(expected or {}), capture_output=True, text=True, encoding="utf8", check=False,
            timeout=RELOAD_SECONDS,
        )  # fmt: skip
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


def expectations(base: Path, tokenizer: Path, rows: Path | None = None) -> dict[str, Any]:
    """What a merged folder must agree with: config and generation config of `base`, and the `tokenizer` of the run."""
    from transformers import PreTrainedTokenizerFast

    with open_weights(base, "model") as weights:
        length = max((len(weights[name]) for name in weights.names if name.endswith(READ)), default=None)
    if rows is not None and length is not None:
        with open_weights(rows.parent, rows.stem) as new:
            length = max(length, (int(new["ids"].max()) // 64 + 1) * 64)
    found = reload.described(base, PreTrainedTokenizerFast.from_pretrained(tokenizer, local_files_only=True))
    # The fresh process knows only what JSON carries: numbers as keys and tuples are compared as they arrive there.
    plain: dict[str, Any] = json.loads(json.dumps({**found, "rows": length}, default=str))
    return plain


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
