"""The peers of `training_speed` on its work: trl in this environment, LLaMA-Factory in one of its own."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.training_work import (
    ALPHA,
    BATCH,
    LENGTH,
    RANK,
    RATE,
    Mark,
    batches,
    figures,
    make_work,
    read_chats,
    read_clock,
)  # fmt: skip

LLAMA_FACTORY = Path(__file__).with_name("llamafactory_work.py")


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
    model, _, tokenizer, rows = make_work(options, dtype)
    ordered = [rows[number] for batch in batches(len(rows), options.steps) for number in batch]
    marks: list[Mark] = []
    losses: list[float] = []

    class Marks(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            done = ordered[: BATCH * state.global_step]
            tokens, characters = sum(len(row["input_ids"]) for row in done), sum(row["characters"] for row in done)
            marks.append((read_clock(), tokens, characters))

        def on_log(self, args: Any, state: Any, control: Any, logs: Any, **kwargs: Any) -> None:
            losses.extend([logs["loss"]] if "loss" in logs else [])

    class InOrder(SFTTrainer):  # type: ignore[misc]
        def _get_train_sampler(self, dataset: Any = None) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)

    with tempfile.TemporaryDirectory() as folder:
        trainer = InOrder(
            model=model,
            args=_trl_arguments(folder, options.steps, bf16=dtype == torch.bfloat16),
            train_dataset=Dataset.from_list([{key: row[key] for key in ("input_ids", "labels")} for row in ordered]),
            processing_class=tokenizer,
            peft_config=LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM"),
            callbacks=[Marks()],
        )
        trainer.train()
    return figures(marks[0], marks[-1], memory_peak(cuda=False), losses[-1])


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


def run_llamafactory(options: argparse.Namespace) -> dict[str, float]:
    """LLaMA-Factory on the same chats, by the Python of its own environment; its own template, order and ids.

    It shuffles, and its template has no system turn of its own: its rows are the same chats, not the same ids.
    """
    from studio.models.files import locate
    from studio.settings import load_settings

    model = locate(options.model, load_settings(options.workspace)).folder
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chats = [{"messages": chat} for chat in read_chats(Path(options.rows) if options.rows else None)]
        (folder / "data.json").write_text(json.dumps(chats, ensure_ascii=False), encoding="utf8")
        (folder / "dataset_info.json").write_text(json.dumps({"bench": _DATASET}), encoding="utf8")
        settings = folder / "work.yaml"
        settings.write_text(json.dumps(_settings(model, folder, options.steps)), encoding="utf8")
        out = folder / "figures.json"
        threads = {"OMP_NUM_THREADS": str(options.threads)} if options.threads else {}
        done = subprocess.run(
            [options.llamafactory, str(LLAMA_FACTORY), str(settings), str(out)],
            env={**_as_it_comes(), "DISABLE_VERSION_CHECK": "1", "HF_HUB_OFFLINE": "1", **threads},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"LLaMA-Factory failed:\n{done.stderr[-3000:]}")
        found = json.loads(out.read_text(encoding="utf8"))
    return figures(found["first"], found["last"], found["peak_memory_bytes"], found["last_loss"])


def _as_it_comes() -> dict[str, str]:
    """The environment without what the studio sets for its own processes."""
    return {key: value for key, value in os.environ.items() if key not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}


_DATASET = {
    "file_name": "data.json",
    "formatting": "sharegpt",
    "columns": {"messages": "messages"},
    "tags": {
        "role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
        "system_tag": "system",
    },
}  # fmt: skip


def _settings(model: Path, folder: Path, steps: int) -> dict[str, Any]:
    """JSON is YAML."""
    return {
        "model_name_or_path": str(model),
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "lora_rank": RANK,
        "lora_alpha": ALPHA,
        "lora_target": "all",
        "dataset_dir": str(folder),
        "dataset": "bench",
        "template": "chatml",
        "cutoff_len": LENGTH,
        "output_dir": str(folder / "out"),
        "per_device_train_batch_size": BATCH,
        "gradient_accumulation_steps": 1,
        "learning_rate": RATE,
        "max_steps": steps,
        "logging_steps": 1,
        "save_strategy": "no",
        "bf16": True,
        "use_cpu": True,
        "report_to": "none",
        "disable_gradient_checkpointing": True,
    }
