"""Merging: a base and its adapter become one ordinary model folder, a tensor at a time.

A merged weight is ``(W.float() + ((1 - t) * scale * B.float()) @ A.float()).to(dtype)``, where `t` is how far it is
taken back towards the base; product and sum are one ``addmm``, which takes two thirds of the time of both. For DoRA it
is ``W + (1 - t) * (length / |W'| * W' - W)`` with ``W' = W + scale * B @ A``, row by row. The product is always taken
over whole matrices: in blocks, torch may sum in another order and move the last bit. What rounds each value by itself
runs over blocks that stay in the processor's cache, and are written by a thread while the next are computed. At most,
the process holds four bytes for each value of the largest adapted matrix, or one grown table; files are mapped, not
read.

New rows are written as they were trained whatever `t` is: the base has no such rows to go towards, and the tokens that
they stand for have no other. The same holds for the rows of old tokens that a run with ``rows: all`` trained.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.models.files import read_config
from studio.models.new_rows import read_rows
from studio.models.weights import INDEX, weight_files
from studio.publish.adapter import Adapter, Update, find_tensor, read_adapter
from studio.publish.blocks import Blocks
from studio.publish.companions import Dtype, write_companions, write_json
from studio.publish.shards import (
    DTYPES,
    SIZES,
    Entry,
    Shard,
    map_file,
    read_shard,
    size_of,
    slices,
    tensor_in,
    write_shard,
)
from studio.publish.strength import check_towards
from studio.publish.tables import NONE, Tables, find_tables, lengthened

CODES: dict[Dtype, str] = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}


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
    updates: Mapping[str, Update]
    tables: Tables
    dtype: Dtype
    config: Mapping[str, Any]

    def layout(self, shard: Shard) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Name, dtype and shape of each tensor of a new file."""
        kept = {
            name: (CODES[self.dtype] if entry.dtype in DTYPES else entry.dtype, self.tables.shape(name, entry.shape))
            for name, entry in shard.entries.items()
        }
        # Wider types first, so that every tensor starts where its type may start; equal ones keep the base's order.
        return dict(sorted(kept.items(), key=lambda item: -SIZES[item[1][0]]))


def merge(
    base: Path,
    adapter: Path,
    out: Path,
    *,
    rows: Path | None = None,
    dtype: Dtype = "bfloat16",
    towards_base: float = 0.0,
    tokenizer: Path | None = None,
    progress: Progress,
    stopping: Stopping,
) -> MergeResult:
    """Merge `adapter` into `base` and write the whole model to `out`, which appears only once it is complete.

    Args:
        base: Model folder with unquantised safetensors, in one file or several; the new one keeps their names.
        adapter: PEFT LoRA or DoRA adapter trained on that base.
        out: New folder; may exist only if it is empty.
        rows: The run's ``new_rows.safetensors``, if it has a vocabulary of its own.
        dtype: Of all floating-point tensors that are written; others stay as they are.
        towards_base: Share of the way back to the base, from 0, the run as it was trained, to less than 1.
        tokenizer: Folder with the tokenizer files, if they are not in `base`.
        progress: Told the share of bytes written.
        stopping: Asked before every tensor.

    Raises:
        StudioError: ``publish.out_exists``, ``disk.too_small`` (`needed`, `free` in bytes), ``job.stopped``; what
            :func:`studio.models.weights.weight_files` and :func:`studio.models.files.read_config` raise for the base;
            ``publish.base_quantised``, ``publish.no_adapter``, ``publish.adapter_broken``,
            ``publish.adapter_unsupported``, ``publish.adapter_of_another_base``, ``publish.overflows_fp16``,
            ``publish.towards_out_of_range``, ``rows.*``.
    """
    with incoming(out) as folder:
        result = write_merged(
            base, adapter, folder, rows=rows, dtype=dtype, towards_base=towards_base, tokenizer=tokenizer,
            progress=progress, stopping=stopping,
        )  # fmt: skip
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
    rows: Path | None = None,
    dtype: Dtype = "bfloat16",
    towards_base: float = 0.0,
    tokenizer: Path | None = None,
    progress: Progress,
    stopping: Stopping,
) -> MergeResult:
    """Write the files of a merged model into the empty `folder`; arguments and errors as in :func:`merge`."""
    check_towards(towards_base)
    plan = _plan(base, adapter, rows, dtype)
    total = sum(_bytes(plan, shard) for shard in plan.shards)
    check_space(folder, total)
    blocks = _blocks(plan, 1.0 - towards_base)
    done = 0
    with _one_thread():
        for shard in plan.shards:
            layout = plan.layout(shard)
            parts = _parts(plan, shard, tuple(layout), blocks, stopping)
            write_shard(folder / shard.path.name, layout, _counted(parts, done, total, progress))
            done += _bytes(plan, shard)
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


def _plan(base: Path, adapter: Path, rows: Path | None, dtype: Dtype) -> _Plan:
    shards = tuple(read_shard(path) for path in weight_files(base))
    config = read_config(base)
    entries = {name: entry for shard in shards for name, entry in shard.entries.items()}
    strange = next((entry.dtype for entry in entries.values() if entry.dtype not in SIZES), None)
    if strange is not None:
        raise StudioError("publish.base_quantised", dtype=strange)
    lora = read_adapter(adapter)
    updates = {}
    for wanted, update in lora.updates.items():
        name = find_tensor(wanted, entries) or wanted
        _check_fit(name, update, lora, entries.get(name), config)
        updates[name] = update
    tables = NONE if rows is None else find_tables(shards, read_rows(rows)[0])
    for name in tables.rows:
        if name in updates:  # its product has the length of the old table, or of the new one: none that both have
            raise StudioError("publish.adapter_unsupported", feature=name)
    return _Plan(
        shards, lora, updates, tables, dtype, lengthened(config, tables.length) if rows is not None else config
    )


def _check_fit(name: str, update: Update, lora: Adapter, entry: Entry | None, config: Mapping[str, Any]) -> None:
    if name == "lm_head.weight" and (entry is None or _tied(config)):
        # The head is the embedding: a change to one of them only has no place in the files.
        raise StudioError("publish.adapter_unsupported", feature="lm_head")
    keys = [key for key in (update.down, update.up, update.magnitude) if key is not None]
    down, up, *others = (lora.shard.entries[key] for key in keys)
    if entry is None or entry.shape != (up.shape[0], down.shape[1]):
        raise StudioError("publish.adapter_of_another_base", key=name)
    for each in (entry, down, up, *others):
        if each.dtype not in DTYPES:
            raise StudioError("publish.base_quantised", dtype=each.dtype)


def _tied(config: Mapping[str, Any]) -> bool:
    inner = config.get("text_config") or {}
    return bool(config.get("tie_word_embeddings", inner.get("tie_word_embeddings", False)))


def _bytes(plan: _Plan, shard: Shard) -> int:
    return sum(size_of(code, shape) for code, shape in plan.layout(shard).values())


def _counted(blocks: Iterator[memoryview], done: int, total: int, progress: Progress) -> Iterator[memoryview]:
    for block in blocks:
        yield block
        done += len(block)
        progress(done / total, "progress.merge.weights")


def _parts(
    plan: _Plan, shard: Shard, names: tuple[str, ...], blocks: Blocks, stopping: Stopping
) -> Iterator[memoryview]:
    weights = map_file(shard.path)
    for name in names:
        if stopping():
            raise StudioError("job.stopped")
        entry, update = shard.entries[name], plan.updates.get(name)
        if update is not None:
            yield from blocks.adapted(name, tensor_in(weights, entry), update)
        elif name in plan.tables.rows:
            # Cast before it grows: a merge in fp32 keeps the rows as they were trained, on a base in bf16 too.
            yield from blocks.cast(name, plan.tables.grown(name, tensor_in(weights, entry).to(blocks.dtype)))
        elif entry.dtype == CODES[plan.dtype] or entry.dtype not in DTYPES or entry.count == 0:
            yield from slices(weights, entry)
        else:
            yield from blocks.cast(name, tensor_in(weights, entry))


def _blocks(plan: _Plan, added: float) -> Blocks:
    entries = [shard.entries[name] for shard in plan.shards for name in plan.updates if name in shard.entries]
    product = torch.empty(max(entry.count for entry in entries), dtype=torch.float32)
    return Blocks(plan.adapter, map_file(plan.adapter.shard.path), product, getattr(torch, plan.dtype), added)


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
