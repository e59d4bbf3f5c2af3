"""Merging against copying: anonymous memory beside the largest shard, seconds beside a plain copy of the same files.

A random Llama-shaped model is made in several shards, with a rank-16 adapter on every linear layer:

    python -m benchmarks.merge [--hidden 1024] [--layers 16] [--shard-mb 150] [--json FILE]

7B-shaped (14 GB, and as much again for each copy): ``--hidden 4096 --layers 32 --shard-mb 5000 --rounds 1``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

VOCABULARY = 32_000
RANK = 16


def make_base(folder: Path, hidden: int, layers: int, shard_bytes: int) -> dict[str, tuple[int, int]]:
    """Write the base shard by shard; returns the shapes of its linear layers by module name."""
    inner = hidden * 11 // 4
    shapes = {"model.embed_tokens.weight": (VOCABULARY, hidden), "lm_head.weight": (VOCABULARY, hidden)}
    linear = {}
    for layer in range(layers):
        for part in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"):
            linear[f"model.layers.{layer}.{part}"] = (hidden, hidden)
        linear[f"model.layers.{layer}.mlp.gate_proj"] = (inner, hidden)
        linear[f"model.layers.{layer}.mlp.up_proj"] = (inner, hidden)
        linear[f"model.layers.{layer}.mlp.down_proj"] = (hidden, inner)
    shapes |= {f"{module}.weight": shape for module, shape in linear.items()}
    shards: list[dict[str, torch.Tensor]] = [{}]
    files: dict[str, str] = {}
    room = shard_bytes
    for name, shape in shapes.items():
        size = 2 * shape[0] * shape[1]
        if size > room and shards[-1]:
            save_file(shards[-1], folder / f"model-{len(shards):05}.safetensors", metadata={"format": "pt"})
            shards[-1] = {}
            shards.append({})
            room = shard_bytes
        shards[-1][name] = torch.empty(shape, dtype=torch.bfloat16).normal_(std=0.02)
        files[name] = f"model-{len(shards):05}.safetensors"
        room -= size
    save_file(shards[-1], folder / f"model-{len(shards):05}.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "tie_word_embeddings": False}))
    return linear


def make_adapter(folder: Path, linear: dict[str, tuple[int, int]]) -> None:
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


def measure(folder: Path, rounds: int) -> dict[str, Any]:
    """In a fresh process: merge and copy by turns."""
    from studio.publish.merge import merge

    torch.randn(64, 64) @ torch.randn(64, 64)  # an idle worker has its libraries ready
    base, adapter = folder / "base", folder / "adapter"
    idle, peaks, merging, copying = anonymous(), [], [], []
    for number in range(rounds):
        started = time.perf_counter()
        shutil.copytree(base, folder / f"copy-{number}")
        copying.append(time.perf_counter() - started)
        shutil.rmtree(folder / f"copy-{number}")
        with peak_of_anonymous() as peak:
            started = time.perf_counter()
            merge(base, adapter, folder / f"out-{number}", progress=lambda share, note: None, stopping=lambda: False)
            merging.append(time.perf_counter() - started)
        peaks += peak
        shutil.rmtree(folder / f"out-{number}")
    return {
        "anonymous_bytes_idle": idle,
        "anonymous_bytes_above_idle": max(peaks) - idle,
        "merge_seconds": statistics.median(merging),
        "copy_seconds": statistics.median(copying),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=16)
    parser.add_argument("--shard-mb", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--folder", type=Path, help="where there is room; a temporary folder in it is removed at the end"
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.rounds)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        (folder / "base").mkdir()
        (folder / "adapter").mkdir()
        make_adapter(
            folder / "adapter", make_base(folder / "base", options.hidden, options.layers, options.shard_mb * 10**6)
        )
        sizes = [path.stat().st_size for path in (folder / "base").glob("*.safetensors")]
        command = [sys.executable, "-m", "benchmarks.merge", "--measure", name, "--rounds", str(options.rounds)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    largest, above = max(sizes), found["anonymous_bytes_above_idle"]
    memory, seconds = above / largest, found["merge_seconds"] / found["copy_seconds"]
    print(f"model {sum(sizes) / 1e6:,.0f} MB in {len(sizes)} shards, the largest {largest / 1e6:,.0f} MB")
    print(f"memory above idle {above / 1e6:,.0f} MB = {memory:.2f} × largest shard")
    print(f"merge {found['merge_seconds']:.2f} s, copy {found['copy_seconds']:.2f} s: {seconds:.2f} × copying")
    report = {"model_bytes": sum(sizes), "shards": len(sizes), "largest_shard_bytes": largest, **found}
    report |= {"memory_ratio": memory, "time_ratio": seconds}
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
