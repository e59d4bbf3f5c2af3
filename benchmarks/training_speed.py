"""Useful tokens per second of our training beside plain trl: same model, same rows, same run, one process each.

    python benchmarks/training_speed.py --model starter:smollm2-135m --json speed.json

Work: LoRA of rank 8 and alpha 32 on all linear layers, batch 2, rows of at most 512 tokens, bf16 where the processor
has it. Both get the very same token ids and labels; padding counts for neither; the first step warms up and counts for
neither. trl runs as it comes, but without recomputing activations, which would only slow it down.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

ROWS, LENGTH, BATCH, RANK, ALPHA, RATE = 96, 512, 2, 8, 32, 2e-4
Clock = tuple[float, float]
SHORTEST, LONGEST = 200, 900  # characters of a chat
MEASURED = 44  # sample chats, the first of the file: those of the earlier measurements, so that figures compare


def main() -> None:
    """Run the two in turn, print medians and the ratio."""
    options = _options()
    if options.child:
        if options.threads:
            import torch

            torch.set_num_threads(options.threads)
        figures = {"ours": run_ours, "trl": run_trl}[options.child](options)
        Path(options.json).write_text(json.dumps(figures), encoding="utf8")
        return
    runs: dict[str, list[dict[str, float]]] = {"ours": [], "trl": []}
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(options.repeats):
            for name in runs:
                out = Path(folder) / f"{name}-{repeat}.json"
                _child(name, out)
                runs[name].append(json.loads(out.read_text(encoding="utf8")))
                _say(name, runs[name][-1])
    summary = {name: _median(figures) for name, figures in runs.items()}
    for name in ("ours", "trl"):
        _say(f"{name}, median", summary[name])
    summary["ratio"] = _ratios(runs, summary)
    ratio = summary["ratio"]
    sys.stdout.write(
        f"ours / trl: {ratio['tokens_per_second']:.2f} times the tokens per second "
        f"({ratio['lowest']:.2f} to {ratio['highest']:.2f}), "
        f"{ratio['tokens_per_processor_second']:.2f} times per second of processor time, "
        f"{ratio['peak_memory_bytes']:.2f} times the memory\n"
    )
    if options.json:
        Path(options.json).write_text(json.dumps({**summary, "runs": runs}, indent=2), encoding="utf8")


def run_ours(options: argparse.Namespace) -> dict[str, float]:
    """Our trainer on the rows, in this process."""
    from studio.models.load import pick_dtype
    from studio.recipes import Lora
    from studio.training.adapter import add_adapter
    from studio.training.batches import Row, write_rows
    from studio.training.checkpoints import Counts
    from studio.training.fused_llama import fuse_layers
    from studio.training.memory import memory_peak
    from studio.training.plan import Plan
    from studio.training.reporter import Reporter
    from studio.training.trainer import StageTrainer, arguments

    model, tokenizer, rows = _work(options, pick_dtype("cpu"))
    adapted = add_adapter(model, Lora(rank=RANK, alpha=ALPHA), "benchmark", 0)
    fuse_layers(adapted)
    stage = _stage(options.steps)
    plan = Plan([list(batch) for batch in _batches(len(rows), options.steps)], options.steps)
    marks: list[tuple[Clock, int]] = []
    reporter = Reporter(
        0,
        10**9,
        Counts(),
        record=lambda row: marks.append((read_clock(), row.tokens)),
        progress=lambda fraction: None,
        stopping=lambda: False,
        saved=lambda step: None,
    )
    with tempfile.TemporaryDirectory() as folder:
        from datasets import Dataset

        write_rows(((0, Row(row["input_ids"], row["labels"], 0)) for row in rows), Path(folder) / "rows.arrow")
        data = Dataset.from_file(str(Path(folder) / "rows.arrow"))
        args = arguments(stage, plan, Path(folder), 0, cuda=False)
        StageTrainer(adapted, tokenizer, data, plan, args, reporter, Path(folder), stage, None).train_stage(None)
    (begin, before), (end, after) = marks[0], marks[-1]
    return _figures(after - before, begin, end, memory_peak(cuda=False), reporter.loss)


def _stage(steps: int) -> Any:
    from studio.recipes import Stage

    return Stage.model_validate(
        {
            "name": "chat",
            "kind": "instruct",
            "data": [{"dataset": "benchmark"}],
            "budget": {"steps": steps},
            "rates": {"lora": RATE},
            "batch": BATCH,
            "accumulation": 1,
            "length": LENGTH,
        }
    )


def run_trl(options: argparse.Namespace) -> dict[str, float]:
    """trl's own trainer on the same rows, in this process."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import SFTTrainer

    from studio.models.load import pick_dtype
    from studio.training.memory import memory_peak

    dtype = pick_dtype("cpu")
    model, tokenizer, rows = _work(options, dtype)
    ordered = [rows[number] for batch in _batches(len(rows), options.steps) for number in batch]
    marks: list[Clock] = []
    losses: list[float] = []

    class Marks(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            marks.append(read_clock())

        def on_log(self, args: Any, state: Any, control: Any, logs: Any, **kwargs: Any) -> None:
            losses.extend([logs["loss"]] if "loss" in logs else [])

    class InOrder(SFTTrainer):  # type: ignore[misc]
        def _get_train_sampler(self, dataset: Any = None) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)

    with tempfile.TemporaryDirectory() as folder:
        trainer = InOrder(
            model=model,
            args=_trl_arguments(folder, options.steps, bf16=dtype == torch.bfloat16),
            train_dataset=Dataset.from_list(ordered),
            processing_class=tokenizer,
            peft_config=LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM"),
            callbacks=[Marks()],
        )
        trainer.train()
    tokens = sum(len(row["input_ids"]) for row in ordered[BATCH:])
    return _figures(tokens, marks[0], marks[-1], memory_peak(cuda=False), losses[-1])


def _trl_arguments(folder: str, steps: int, *, bf16: bool) -> Any:
    from trl import SFTConfig

    return SFTConfig(
        output_dir=folder,
        per_device_train_batch_size=BATCH,
        max_steps=steps,
        learning_rate=RATE,
        lr_scheduler_type="cosine",
        warmup_steps=round(0.03 * steps),
        activation_checkpointing=False,
        bf16=bf16,
        use_cpu=True,
        max_length=LENGTH,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=0,
    )


def read_chats(path: Path | None) -> list[list[dict[str, str]]]:
    """Chats of the wanted length, always the same ones: from `path`, else the first of the studio's sample chats."""
    lines = None
    if path is None:
        lines = MEASURED
        path = ROOT / "assets" / "samples" / "chats.jsonl"
    with gzip.open(path, "rt", encoding="utf8") if path.suffix == ".gz" else path.open(encoding="utf8") as file:
        chats = [json.loads(line)["messages"] for line in islice(file, lines)]
    fitting = [chat for chat in chats if SHORTEST <= sum(len(turn["content"]) for turn in chat) <= LONGEST]
    random.Random(0).shuffle(fitting)
    return list(islice(cycle(fitting or chats), ROWS))


def _work(options: argparse.Namespace, dtype: Any) -> tuple[Any, Any, list[dict[str, list[int]]]]:
    from studio.data.sample import Chat, Message
    from studio.models.files import locate
    from studio.models.load import load_base
    from studio.models.template import ChatTemplate, mask_answers
    from studio.settings import load_settings

    model, tokenizer = load_base(locate(options.model, load_settings(options.workspace)), device="cpu", dtype=dtype)
    template = ChatTemplate.of_tokenizer(tokenizer)
    rows = []
    for chat in read_chats(Path(options.rows) if options.rows else None):
        rendered = template.render(Chat(tuple(Message(turn["role"], turn["content"]) for turn in chat)))  # type: ignore[arg-type]
        assert rendered is not None, chat
        encoded = tokenizer(rendered.text, add_special_tokens=False, return_offsets_mapping=True)
        ids = encoded["input_ids"]
        labels = mask_answers(ids, encoded["offset_mapping"], rendered.answers)
        rows.append({"input_ids": ids[:LENGTH], "labels": labels[:LENGTH]})
    return model, tokenizer, rows


def _batches(rows: int, steps: int) -> Iterator[tuple[int, ...]]:
    numbers = cycle(range(rows))
    for _ in range(steps):
        yield tuple(islice(numbers, BATCH))


def read_clock() -> Clock:
    """Seconds on the wall and seconds of processor time: the second hardly depends on who else is at work here."""
    return time.perf_counter(), time.process_time()


def _figures(tokens: int, begin: Clock, end: Clock, peak: int, loss: float | None) -> dict[str, float]:
    return {
        "tokens_per_second": tokens / (end[0] - begin[0]),
        "tokens_per_processor_second": tokens / (end[1] - begin[1]),
        "tokens": tokens,
        "seconds": end[0] - begin[0],
        "peak_memory_bytes": peak,
        "last_loss": float("nan") if loss is None else loss,
    }


def _ratios(runs: dict[str, list[dict[str, float]]], medians: dict[str, dict[str, float]]) -> dict[str, float]:
    keys = ("tokens_per_second", "tokens_per_processor_second", "peak_memory_bytes")
    ratios = {key: medians["ours"][key] / medians["trl"][key] for key in keys}
    pairs = [a[keys[0]] / b[keys[0]] for a, b in zip(runs["ours"], runs["trl"], strict=True)]
    return {**ratios, "lowest": min(pairs), "highest": max(pairs)}


def _median(figures: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(figure[key] for figure in figures) for key in figures[0]}


def _say(name: str, figures: dict[str, float]) -> None:
    sys.stdout.write(
        f"{name:14} {figures['tokens_per_second']:7.0f} tokens/s  "
        f"{figures['tokens_per_processor_second']:7.0f} per processor second  "
        f"{figures['peak_memory_bytes'] / 1e9:5.2f} GB  last loss {figures['last_loss']:.4f}\n"
    )
    sys.stdout.flush()


def _child(name: str, out: Path) -> None:
    done = subprocess.run(
        [sys.executable, __file__, *sys.argv[1:], "--child", name, "--json", str(out)],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="starter:smollm2-135m", help="model reference or folder, already fetched")
    parser.add_argument("--rows", help='jsonl or jsonl.gz of {"messages": [...]}; default: the sample chats')
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=2, help="runs of each, taken in turn")
    parser.add_argument("--threads", type=int, help="of both; 1 gives the steadiest ratio on a busy machine")
    parser.add_argument("--workspace")
    parser.add_argument("--json", help="write all figures there")
    parser.add_argument("--child", choices=("ours", "trl"), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
