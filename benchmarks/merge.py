"""Merging against copying: anonymous memory beside the largest shard, seconds beside a plain copy of the same files.

A random Llama-shaped model is made in several shards, with a rank-16 adapter on every linear layer; every tensor of
the last merge is then compared bit for bit with an independent computation:

    python -m benchmarks.merge [--shape small] [--dtype bfloat16] [--towards-base 0] [--json FILE]

``--shape 7b`` is Llama-2-7B (13.5 GB, and as much again for each copy, in ``--folder``). Bits per byte and logits of a
model of this size are no part of it: they need the machine that the model runs on.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from studio.publish.shards import bytes_of, size_of, write_shard

VOCABULARY = 32_000
RANK = 16
POOL = 1 << 24  # random values that all tensors are cut from: drawing seven thousand million takes minutes


@dataclass(frozen=True)
class Shape:
    """A Llama's measures, the most bytes of one file, and how often merge and copy are repeated."""

    hidden: int
    inner: int
    layers: int
    shard_bytes: int
    rounds: int


SHAPES = {
    "small": Shape(1024, 2816, 16, 150_000_000, 3),
    "7b": Shape(4096, 11_008, 32, 5_000_000_000, 1),
}

Sizes = dict[str, tuple[int, int]]


def linear_layers(shape: Shape) -> Sizes:
    """The sizes of all linear layers but the head, by module name."""
    hidden, inner = shape.hidden, shape.inner
    found = {}
    for layer in range(shape.layers):
        for part in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"):
            found[f"model.layers.{layer}.{part}"] = (hidden, hidden)
        found[f"model.layers.{layer}.mlp.gate_proj"] = (inner, hidden)
        found[f"model.layers.{layer}.mlp.up_proj"] = (inner, hidden)
        found[f"model.layers.{layer}.mlp.down_proj"] = (hidden, inner)
    return found


def make_base(folder: Path, shape: Shape) -> None:
    """Write the base tensor by tensor."""
    tables = {"model.embed_tokens.weight": (VOCABULARY, shape.hidden), "lm_head.weight": (VOCABULARY, shape.hidden)}
    shards: list[Sizes] = [{}]
    room = shape.shard_bytes
    for name, size in (tables | {f"{name}.weight": size for name, size in linear_layers(shape).items()}).items():
        needed = size_of("BF16", size)
        if needed > room and shards[-1]:
            shards.append({})
            room = shape.shard_bytes
        shards[-1][name] = size
        room -= needed
    pool = torch.empty(POOL, dtype=torch.bfloat16).normal_(std=0.02)
    files: dict[str, str] = {}
    for number, sizes in enumerate(shards, start=1):
        file = f"model-{number:05}.safetensors"
        files |= dict.fromkeys(sizes, file)
        write_shard(folder / file, {name: ("BF16", size) for name, size in sizes.items()}, _cut(pool, sizes))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "tie_word_embeddings": False}))


def _cut(pool: torch.Tensor, sizes: Sizes) -> Iterator[memoryview]:
    start = 0
    for rows, columns in sizes.values():
        left = rows * columns
        while left:
            start = (start + 12_345_677) % POOL
            part = pool[start : start + left]
            left -= len(part)
            yield bytes_of(part)


def make_adapter(folder: Path, linear: Sizes) -> None:
    """Write a random LoRA adapter on every linear layer."""
    weights = {}
    for module, (rows, columns) in linear.items():
        weights[f"base_model.model.{module}.lora_A.weight"] = torch.randn(RANK, columns)
        weights[f"base_model.model.{module}.lora_B.weight"] = torch.randn(rows, RANK) * 0.01
    save_file(weights, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": 2 * RANK}
    (folder / "adapter_config.json").write_text(json.dumps(config))


def anonymous() -> int:
    """Bytes of this process that no file backs."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise ValueError("no RssAnon in /proc/self/status")


@contextmanager
def peak_of_anonymous() -> Iterator[list[int]]:
    """Appends the highest figure seen, looked at every 2 ms, when the block ends."""
    found: list[int] = []
    highest, ended = anonymous(), threading.Event()

    def watch() -> None:
        nonlocal highest
        while not ended.wait(0.002):
            highest = max(highest, anonymous())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()
        found.append(highest)


def measure(folder: Path, rounds: int, how: dict[str, Any]) -> dict[str, Any]:
    """In a fresh process: copy and merge by turns, then compare the last merge with another computation."""
    from studio.publish.merge import merge
    from studio.publish.verify import check_tensors

    torch.randn(64, 64) @ torch.randn(64, 64)  # an idle worker has its libraries ready
    base, adapter, out = folder / "base", folder / "adapter", folder / "out"
    idle, peaks, merging, copying = anonymous(), [], [], []
    for number in range(rounds):
        shutil.rmtree(out, ignore_errors=True)
        os.sync()  # neither waits for what the one before has still to write
        started = time.perf_counter()
        shutil.copytree(base, folder / f"copy-{number}")
        copying.append(time.perf_counter() - started)
        shutil.rmtree(folder / f"copy-{number}")
        os.sync()
        with peak_of_anonymous() as peak:
            started = time.perf_counter()
            merge(base, adapter, out, progress=lambda share, note: None, stopping=lambda: False, **how)
            merging.append(time.perf_counter() - started)
        peaks += peak
    started = time.perf_counter()
    checked = check_tensors(base, adapter, out, **how)
    return {
        "anonymous_bytes_idle": idle,
        "anonymous_bytes_above_idle": max(peaks) - idle,
        "merge_seconds": statistics.median(merging),
        "copy_seconds": statistics.median(copying),
        "check_seconds": time.perf_counter() - started,
        "tensors_checked": checked.tensors,
        "tensors_adapted": checked.adapted,
    }


def carry_out(options: argparse.Namespace) -> dict[str, Any]:
    """Make the model, measure in a process of its own, and put both beside each other."""
    shape = SHAPES[options.shape]
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        (folder / "base").mkdir()
        (folder / "adapter").mkdir()
        make_base(folder / "base", shape)
        make_adapter(folder / "adapter", linear_layers(shape))
        sizes = [path.stat().st_size for path in (folder / "base").glob("*.safetensors")]
        command = [sys.executable, "-m", "benchmarks.merge", "--measure", name, "--shape", options.shape]
        command += ["--dtype", options.dtype, "--towards-base", str(options.towards_base)]
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return {
        "shape": options.shape,
        "dtype": options.dtype,
        "towards_base": options.towards_base,
        "model_bytes": sum(sizes),
        "shards": len(sizes),
        "largest_shard_bytes": max(sizes),
        **found,
        "memory_ratio": found["anonymous_bytes_above_idle"] / max(sizes),
        "time_ratio": found["merge_seconds"] / found["copy_seconds"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--dtype", choices=("bfloat16", "float16", "float32"), default="bfloat16")
    parser.add_argument("--towards-base", type=float, default=0.0)
    parser.add_argument(
        "--folder", type=Path, help="where there is room; a temporary folder in it is removed at the end"
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        how = {"dtype": options.dtype, "towards_base": options.towards_base}
        print(json.dumps(measure(options.measure, SHAPES[options.shape].rounds, how)))
        return
    report = carry_out(options)
    largest, above = report["largest_shard_bytes"], report["anonymous_bytes_above_idle"]
    whole = report["model_bytes"]
    print(f"model {whole / 1e6:,.0f} MB in {report['shards']} shards, the largest {largest / 1e6:,.0f} MB")
    print(f"memory above idle {above / 1e6:,.0f} MB = {report['memory_ratio']:.2f} × largest shard")
    print(
        f"merge {report['merge_seconds']:.2f} s, copy {report['copy_seconds']:.2f} s:"
        f" {report['time_ratio']:.2f} × copying"
    )
    print(
        f"{report['tensors_checked']} tensors equal to another computation bit for bit, {report['tensors_adapted']} of"
        f" them adapted: {report['check_seconds']:.1f} s"
    )
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
