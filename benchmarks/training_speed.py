"""Useful tokens per second of our training beside plain trl and LLaMA-Factory: same model and chats, a process each.

    python -m benchmarks.training_speed [--llamafactory ENVIRONMENT/bin/python] [--vocabulary FOLDER] [--json FILE]

Work: LoRA of rank 8 and alpha 32 on all linear layers, batch 2, rows of at most 512 tokens, bf16 where the processor
has it. trl and ours get the very same token ids and labels; padding counts for nobody, and nor does the first step,
which warms up. trl runs as it comes, but without recomputing activations, which would only slow it down. The peers'
threads wait as libgomp lets them, ours as those of a worker. With
`--vocabulary`, a folder that ``vocabulary learn`` and ``vocabulary start`` made, ours runs a second time on it, its
new rows learning too: there characters count, since its tokens hold more of them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.training_peers import run_llamafactory, run_trl
from benchmarks.training_work import (
    ALPHA,
    BATCH,
    RANK,
    RATE,
    ROOT,
    Mark,
    batches,
    figures,
    make_work,
    read_clock,
)  # fmt: skip
from studio.settings import WORKER_SPINS

Figures = dict[str, float]
THEIR_SPINS = "300000"  # what libgomp does when nobody tells it; ours would tell it something else on import
RATES = (
    "tokens_per_second",
    "tokens_per_processor_second",
    "characters_per_second",
    "characters_per_processor_second",
)


def main() -> None:
    """Run all in turn, print medians and ratios."""
    options = _options()
    if options.child:
        if options.threads:
            import torch

            torch.set_num_threads(options.threads)
        found = {"ours": run_ours, "expanded": run_expanded, "trl": run_trl}[options.child](options)
        Path(options.json).write_text(json.dumps(found), encoding="utf8")
        return
    names = ["ours", *(["expanded"] if options.vocabulary else []), "trl"]
    names += ["llamafactory"] if options.llamafactory else []
    runs: dict[str, list[Figures]] = {name: [] for name in names}
    for _ in range(options.repeats):
        for name in names:
            runs[name].append(run_llamafactory(options) if name == "llamafactory" else _child(name))
            _say(name, runs[name][-1])
    medians = {name: _median(found) for name, found in runs.items()}
    for name in names:
        _say(f"{name}, median", medians[name])
    ratios: dict[str, Figures] = {
        f"{ours} / {peer}": _ratios(runs, medians, ours, peer)
        for ours in names[: names.index("trl")]
        for peer in names[names.index("trl") :]
    }
    for pair, ratio in ratios.items():
        sys.stdout.write(f"{pair}: " + ", ".join(f"{key} {value:.2f}" for key, value in ratio.items()) + "\n")
    if options.json:
        figures: dict[str, Any] = {"medians": medians, "ratios": ratios, "runs": runs}
        Path(options.json).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf8")


def run_expanded(options: argparse.Namespace) -> Figures:
    """Our trainer on the expanded vocabulary, whose rows learn beside the adapter."""
    return run_ours(options, Path(options.vocabulary))


def run_ours(options: argparse.Namespace, vocabulary: Path | None = None) -> Figures:
    """Our trainer on the rows, in this process."""
    from datasets import Dataset

    from studio.models.load import pick_dtype
    from studio.recipes import Lora, Stage
    from studio.training.adapter import add_adapter
    from studio.training.batches import Row, write_rows
    from studio.training.checkpoints import Counts
    from studio.training.fused_llama import fuse_layers
    from studio.training.memory import memory_peak
    from studio.training.plan import Plan
    from studio.training.reporter import Reporter
    from studio.training.trainer import StageTrainer, arguments

    model, words, tokenizer, rows = make_work(options, pick_dtype("cpu"), vocabulary)
    adapted = add_adapter(model, Lora(rank=RANK, alpha=ALPHA), "benchmark", 0)
    fuse_layers(adapted)
    if words is not None:
        words.learn("new")
    stage = Stage.model_validate({**STAGE, "budget": {"steps": options.steps}})
    plan = Plan([list(batch) for batch in batches(len(rows), options.steps)], options.steps)
    marks: list[Mark] = []
    reporter = Reporter(
        0,
        10**9,
        Counts(),
        record=lambda row: marks.append((read_clock(), row.tokens, row.characters)),
        progress=lambda fraction: None,
        stopping=lambda: False,
        saved=lambda step: None,
        alarm=lambda alarm: None,
        meter=None,
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.arrow"
        write_rows(((0, Row(row["input_ids"], row["labels"], row["characters"])) for row in rows), file)
        data = Dataset.from_file(str(file))
        args = arguments(stage, plan, Path(folder), 0, cuda=False)
        StageTrainer(adapted, tokenizer, data, plan, args, reporter, Path(folder), stage, words).train_stage(None)
    return figures(marks[0], marks[-1], memory_peak(cuda=False), reporter.loss)


STAGE: dict[str, Any] = {
    "name": "chat",
    "kind": "instruct",
    "data": [{"dataset": "benchmark"}],
    "rates": {"lora": RATE},
    "batch": BATCH,
    "accumulation": 1,
    "length": 512,
}


def _ratios(runs: dict[str, list[Figures]], medians: dict[str, Figures], ours: str, peer: str) -> Figures:
    """Of the medians, and the lowest and highest tokens per second of runs that followed one another."""
    pairs = [a[RATES[0]] / b[RATES[0]] for a, b in zip(runs[ours], runs[peer], strict=True)]
    ratios = {key: medians[ours][key] / medians[peer][key] for key in (*RATES, "peak_memory_bytes")}
    return {**ratios, "lowest": min(pairs), "highest": max(pairs)}


def _median(found: list[Figures]) -> Figures:
    return {key: statistics.median(figure[key] for figure in found) for key in found[0]}


def _say(name: str, found: Figures) -> None:
    sys.stdout.write(
        f"{name:21} {found['tokens_per_second']:7.0f} tokens/s  "
        f"{found['tokens_per_processor_second']:7.0f} per processor second  "
        f"{found['characters_per_second']:7.0f} characters/s  "
        f"{found['peak_memory_bytes'] / 1e9:5.2f} GB  last loss {found['last_loss']:.4f}\n"
    )
    sys.stdout.flush()


def _child(name: str) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "figures.json"
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.training_speed", *sys.argv[1:], "--child", name, "--json", str(out)],
            env={
                **os.environ,
                "HF_HUB_OFFLINE": "1",
                "GOMP_SPINCOUNT": THEIR_SPINS if name == "trl" else WORKER_SPINS,
            },
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
        found: Figures = json.loads(out.read_text(encoding="utf8"))
        return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="starter:smollm2-135m", help="model reference or folder, already fetched")
    parser.add_argument("--rows", help='jsonl or jsonl.gz of {"messages": [...]}; default: the sample chats')
    parser.add_argument("--vocabulary", help="folder of a vocabulary with start rows for the model")
    parser.add_argument("--llamafactory", help="the Python of an environment that has LLaMA-Factory")
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=2, help="runs of each, taken in turn")
    parser.add_argument("--threads", type=int, help="of all; 1 gives the steadiest ratio on a busy machine")
    parser.add_argument("--workspace")
    parser.add_argument("--json", help="write all figures there")
    parser.add_argument("--child", choices=("ours", "expanded", "trl"), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
