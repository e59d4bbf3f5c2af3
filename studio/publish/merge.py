"""Merging: a base and its LoRA adapter become one ordinary model folder, a tensor at a time.

A merged weight is ``(W.float() + scale * (B.float() @ A.float())).to(dtype)``. The product is always taken over whole
matrices: in blocks, torch may sum in another order and move the last bit. Sum and cast round each value by itself, so
they run over blocks that stay in the processor's cache. At most, the process holds four bytes for each value of the
largest adapted matrix; the files are mapped, not read.
"""

from __future__ import annotations

import mmap
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.models.files import read_config
from studio.models.weights import INDEX, weight_files
from studio.publish.adapter import Adapter, Update, read_adapter
from studio.publish.companions import write_companions, write_json
from studio.publish.shards import (
    DTYPES,
    SIZES,
    Entry,
    Shard,
    bytes_of,
    map_file,
    read_shard,
    size_of,
    slices,
    tensor_in,
    write_shard,
)

Dtype = Literal["bfloat16", "float16", "float32"]
CODES: dict[Dtype, str] = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}

_BLOCK = 1 << 20  # values summed and cast at a time: 4 MB in fp32, which fits the cache of every recent processor


@dataclass(frozen=True, slots=True)
class MergeResult:
    """A merged folder: its files by name, their bytes together, and how many tensors they hold."""

    out: Path
    files: tuple[str, ...]
    bytes: int
    tensors: int


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a merge will do, known to be possible before the first byte is written."""

    shards: tuple[Shard, ...]
    adapter: Adapter
    dtype: Dtype
    config: Mapping[str, Any]


def merge(
    base: Path,
    adapter: Path,
    out: Path,
    *,
    dtype: Dtype = "bfloat16",
    tokenizer: Path | None = None,
    progress: Progress,
    stopping: Stopping,
) -> MergeResult:
    """Merge `adapter` into `base` and write the whole model to `out`, which appears only once it is complete.

    Args:
        base: Model folder with unquantised safetensors, in one file or several; the new one keeps their names.
        adapter: PEFT LoRA adapter trained on that base.
        out: New folder; may exist only if it is empty.
        dtype: Of all floating-point tensors that are written; others stay as they are.
        tokenizer: Folder with the tokenizer files, if they are not in `base`.
        progress: Told the share of bytes written.
        stopping: Asked before every tensor.

    Raises:
        StudioError: ``publish.out_exists``, ``disk.too_small`` (`needed`, `free` in bytes), ``job.stopped``; what
            :func:`studio.models.weights.weight_files` and :func:`studio.models.files.read_config` raise for the base;
            ``publish.base_quantised``, ``publish.no_adapter``, ``publish.adapter_broken``,
            ``publish.adapter_unsupported``, ``publish.adapter_of_another_base``.
    """
    with incoming(out) as folder:
        result = write_merged(
            base, adapter, folder, dtype=dtype, tokenizer=tokenizer, progress=progress, stopping=stopping
        )
    return MergeResult(out, result.files, result.bytes, result.tensors)


@contextmanager
def incoming(out: Path) -> Iterator[Path]:
    """A folder beside `out` that becomes `out` if the block succeeds, and is deleted if it does not.

    Raises:
        StudioError: ``publish.out_exists`` if `out` is a file or holds something.
    """
    out = out.absolute()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StudioError("publish.out_exists", out=str(out))
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = out.with_name(f".incoming-{out.name}")
    shutil.rmtree(folder, ignore_errors=True)  # what a killed merge left behind
    folder.mkdir()
    try:
        yield folder
        folder.rename(out)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def write_merged(
    base: Path,
    adapter: Path,
    folder: Path,
    *,
    dtype: Dtype = "bfloat16",
    tokenizer: Path | None = None,
    progress: Progress,
    stopping: Stopping,
) -> MergeResult:
    """Write the files of a merged model into the empty `folder`; arguments and errors as in :func:`merge`."""
    plan = _plan(base, adapter, dtype)
    total = sum(_bytes(shard, plan.dtype) for shard in plan.shards)
    check_space(folder, total)
    factors, product = map_file(plan.adapter.shard.path), _buffer(plan)
    done = 0
    with _one_thread():
        for shard in plan.shards:
            layout = _layout(shard, plan.dtype)
            blocks = _blocks(plan, shard, tuple(layout), factors, product, stopping)
            write_shard(folder / shard.path.name, layout, _counted(blocks, done, total, progress))
            done += _bytes(shard, plan.dtype)
    if (base / INDEX).is_file():
        write_index(plan.shards, folder, total)
    write_companions(base, tokenizer or base, folder, plan.config, dtype)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    size = sum((folder / name).stat().st_size for name in names)
    return MergeResult(folder, tuple(names), size, sum(len(shard.entries) for shard in plan.shards))


@contextmanager
def _one_thread() -> Iterator[None]:
    # Small products gain nothing from threads and lose much where cores are shared: SmolLM2-135M took 0.4 s with one
    # and 4 to 11 s with two beside other work. Torch's sums over narrow matrices then do not depend on the machine.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _plan(base: Path, adapter: Path, dtype: Dtype) -> _Plan:
    shards = tuple(read_shard(path) for path in weight_files(base))
    config = read_config(base)
    entries = {name: entry for shard in shards for name, entry in shard.entries.items()}
    strange = next((entry.dtype for entry in entries.values() if entry.dtype not in SIZES), None)
    if strange is not None:
        raise StudioError("publish.base_quantised", dtype=strange)
    lora = read_adapter(adapter)
    for name, update in lora.updates.items():
        _check_fit(name, update, lora, entries.get(name), config)
    return _Plan(shards, lora, dtype, config)


def _check_fit(name: str, update: Update, lora: Adapter, entry: Entry | None, config: Mapping[str, Any]) -> None:
    if name == "lm_head.weight" and (entry is None or _tied(config)):
        # The head is the embedding: a change to one of them only has no place in the files.
        raise StudioError("publish.adapter_unsupported", feature="lm_head")
    down, up = lora.shard.entries[update.down], lora.shard.entries[update.up]
    if entry is None or entry.shape != (up.shape[0], down.shape[1]):
        raise StudioError("publish.adapter_of_another_base", key=name)
    for each in (entry, down, up):
        if each.dtype not in DTYPES:
            raise StudioError("publish.base_quantised", dtype=each.dtype)


def _tied(config: Mapping[str, Any]) -> bool:
    inner = config.get("text_config") or {}
    return bool(config.get("tie_word_embeddings", inner.get("tie_word_embeddings", False)))


def _layout(shard: Shard, dtype: Dtype) -> dict[str, tuple[str, tuple[int, ...]]]:
    kept = {
        name: (CODES[dtype] if entry.dtype in DTYPES else entry.dtype, entry.shape)
        for name, entry in shard.entries.items()
    }
    # Wider types first, so that every tensor starts where its type may start; equal ones keep the base's order.
    return dict(sorted(kept.items(), key=lambda item: -SIZES[item[1][0]]))


def _bytes(shard: Shard, dtype: Dtype) -> int:
    return sum(size_of(code, shape) for code, shape in _layout(shard, dtype).values())


def _counted(blocks: Iterator[memoryview], done: int, total: int, progress: Progress) -> Iterator[memoryview]:
    for block in blocks:
        yield block
        done += len(block)
        progress(done / total, "progress.merge.weights")


def _blocks(
    plan: _Plan, shard: Shard, names: tuple[str, ...], factors: mmap.mmap, product: torch.Tensor, stopping: Stopping
) -> Iterator[memoryview]:
    weights = map_file(shard.path)
    for name in names:
        if stopping():
            raise StudioError("job.stopped")
        entry, update = shard.entries[name], plan.adapter.updates.get(name)
        if update is not None:
            yield from _adapted(plan, tensor_in(weights, entry), update, factors, product)
        elif entry.dtype == CODES[plan.dtype] or entry.dtype not in DTYPES or entry.count == 0:
            yield from slices(weights, entry)
        else:
            for part in tensor_in(weights, entry).reshape(-1).split(_BLOCK):
                yield bytes_of(part.to(getattr(torch, plan.dtype)))


def _adapted(
    plan: _Plan, weight: torch.Tensor, update: Update, factors: mmap.mmap, product: torch.Tensor
) -> Iterator[memoryview]:
    down = tensor_in(factors, plan.adapter.shard.entries[update.down])
    up = tensor_in(factors, plan.adapter.shard.entries[update.up])
    delta = torch.matmul(up.float(), down.float(), out=product[: weight.numel()].view(weight.shape))
    rows = max(1, _BLOCK // weight.shape[1])
    for old, part in zip(weight.split(rows), delta.split(rows), strict=True):
        yield bytes_of(part.mul_(update.scale).add_(old.float()).to(getattr(torch, plan.dtype)))


def _buffer(plan: _Plan) -> torch.Tensor:
    # One for all products: fresh memory for each made the kernel hand out pages for longer than the product took.
    entries = [shard.entries[name] for shard in plan.shards for name in plan.adapter.updates if name in shard.entries]
    return torch.empty(max(entry.count for entry in entries), dtype=torch.float32)


def check_space(folder: Path, weights: int) -> None:
    """Refuse a disk that `weights` bytes of model do not fit on.

    Raises:
        StudioError: ``disk.too_small``.
    """
    needed = weights + (64 << 20)  # tokenizers reach tens of megabytes
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StudioError("disk.too_small", needed=needed, free=free)


def write_index(shards: Iterable[Shard], folder: Path, total: int) -> None:
    """Write the index of a model in several files of `total` bytes, named and divided as `shards` are."""
    files = {name: shard.path.name for shard in shards for name in shard.entries}
    metadata = {"total_size": total}
    write_json(folder / INDEX, {"metadata": metadata, "weight_map": dict(sorted(files.items()))})
