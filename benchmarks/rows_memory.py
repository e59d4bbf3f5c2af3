"""Memory of training new rows of the vocabulary: ours beside peft's ``modules_to_save`` on embeddings and head.

    python benchmarks/rows_memory.py --json rows_memory.json [--model FOLDER] [--rows 10000] [--threads 1]

Each side trains in a process of its own: the same base in bf16, the same LoRA, the same random texts of 2 × 256
tokens, AdamW, the given steps. Measured: the most anonymous memory (``RssAnon``, read every 2 ms) above the loaded
model at rest. Ours holds the new rows in fp32 beside the frozen table and never makes all logits; peft grows the
tables, copies them and trains every row, as the papers' scripts do by ``modules_to_save=["embed_tokens", "lm_head"]``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.estimate import Watch  # noqa: E402

BATCH, LENGTH, RANK = 2, 256, 16
WANTED = 0.5


def main() -> None:
    """Run both sides and print what each held and their ratio."""
    options = _options()
    if options.side:
        print(json.dumps({"ours": ours, "peft": peft}[options.side](options)))
        return
    found: dict[str, Any] = {side: _child(side, options) for side in ("ours", "peft")}
    found |= {"rows": options.rows, "steps": options.steps, "batch": BATCH, "length": LENGTH, "rank": RANK}
    found["ratio"] = found["ours"]["held"] / found["peft"]["held"]
    for side in ("ours", "peft"):
        held, idle, seconds = (found[side][key] for key in ("held", "idle", "seconds"))
        print(f"{side:5} {held / 2**20:7.0f} MB above {idle / 2**20:.0f} MB at rest, {seconds:.0f} s")
    print(f"ratio {found['ratio']:.2f} (wanted: at most {WANTED})")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2), encoding="utf8")


def ours(options: argparse.Namespace) -> dict[str, float]:
    """New rows beside frozen tables, trained as a stage of a run is."""
    import torch

    from studio.models.files import ModelFiles
    from studio.models.new_rows import NewRows
    from studio.recipes import Lora
    from studio.training.adapter import add_adapter
    from studio.training.base import load_frozen
    from studio.training.embedding import split_tables
    from studio.training.fused_llama import fuse_layers

    files = ModelFiles("local:", "local:", options.model, options.model)
    model, tokenizer = load_frozen(files, device="cpu", dtype=torch.bfloat16, quantisation="none")
    _touch(model)
    watch, idle = Watch(), _anonymous()
    rows, width = model.get_input_embeddings().weight.shape
    made = [0.02 * torch.randn(options.rows, width) for _ in range(1 if model.config.tie_word_embeddings else 2)]
    new = NewRows(torch.arange(rows, rows + options.rows), made[0], made[1] if len(made) > 1 else None)
    trained = split_tables(model, new, whole=False)
    trained.learn(rows)
    adapted = add_adapter(model, Lora(rank=RANK, alpha=2 * RANK), "benchmark", 0)
    fuse_layers(adapted)
    began = time.perf_counter()
    losses = _train_ours(adapted, tokenizer, trained, rows + options.rows, options.steps)
    return {"held": watch.end() - idle, "idle": idle, "seconds": time.perf_counter() - began, "loss": losses[-1]}


def _train_ours(model: Any, tokenizer: Any, trained: Any, rows: int, steps: int) -> list[float]:
    from datasets import Dataset

    from studio.recipes import Stage
    from studio.training.batches import Row, write_rows
    from studio.training.checkpoints import Counts
    from studio.training.plan import Plan
    from studio.training.reporter import Reporter
    from studio.training.trainer import StageTrainer, arguments

    losses: list[float] = []
    stage = Stage.model_validate(
        {"name": "rows", "kind": "pretrain", "data": [{"dataset": "random"}], "budget": {"steps": steps},
         "batch": BATCH, "accumulation": 1, "length": LENGTH}
    )  # fmt: skip
    plan = Plan([list(range(BATCH * step, BATCH * (step + 1))) for step in range(steps)], steps)
    reporter = Reporter(
        0, 10**9, Counts(), record=lambda row: losses.append(row.loss or 0.0), progress=lambda share: None,
        stopping=lambda: False, saved=lambda step: None, alarm=lambda alarm: None, meter=None,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        texts = ((0, Row(ids, [-100, *ids[1:]], LENGTH)) for ids in _texts(rows, steps))
        write_rows(texts, Path(folder) / "rows.arrow")
        data = Dataset.from_file(str(Path(folder) / "rows.arrow"))
        args = arguments(stage, plan, Path(folder), 0, cuda=False)
        words: Any = SimpleNamespace(trained=trained, save=lambda folder: None)
        StageTrainer(model, tokenizer, data, plan, args, reporter, Path(folder), stage, words).train_stage(None)
    return losses


def peft(options: argparse.Namespace) -> dict[str, float]:
    """Tables made longer, copied and trained whole by peft; a plain loop of forward, backward and AdamW."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.bfloat16, local_files_only=True)
    _touch(model)
    watch, idle = Watch(), _anonymous()
    rows = len(model.get_input_embeddings().weight)
    model.resize_token_embeddings(rows + options.rows, mean_resizing=False)
    config = LoraConfig(
        r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM",
        modules_to_save=["embed_tokens", "lm_head"], ensure_weight_tying=bool(model.config.tie_word_embeddings),
    )  # fmt: skip
    adapted: Any = get_peft_model(model, config)
    learning = [weight for weight in adapted.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=2e-4, fused=True)
    began, loss = time.perf_counter(), torch.zeros(())
    texts = _texts(rows + options.rows, options.steps)
    for step in range(options.steps):
        ids = torch.tensor(texts[BATCH * step : BATCH * (step + 1)])
        loss = adapted(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return {
        "held": watch.end() - idle, "idle": idle, "seconds": time.perf_counter() - began, "loss": loss.item(),
        "trainable": sum(weight.numel() for weight in learning),
    }  # fmt: skip


def _texts(rows: int, steps: int) -> list[list[int]]:
    import torch

    made: list[list[int]] = torch.randint(
        3, rows, (BATCH * steps, LENGTH), generator=torch.Generator().manual_seed(0)
    ).tolist()
    return made


def _touch(model: Any) -> None:
    """Read every weight into memory of the process's own: a mapped file would count as nothing."""
    for weight in model.parameters():
        weight.data = weight.data.clone()


def _anonymous() -> int:
    resident, shared = Path("/proc/self/statm").read_text().split()[1:3]
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def _child(side: str, options: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, __file__, "--side", side, "--model", str(options.model), "--rows", str(options.rows)]
    done = subprocess.run(
        [*command, "--steps", str(options.steps)],
        stdout=subprocess.PIPE, text=True, check=True,
        env={**os.environ, "OMP_NUM_THREADS": str(options.threads)} if options.threads else None,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--model", type=Path, default=ROOT / ".cache/models/starter--smollm2-135m")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--side", choices=("ours", "peft"), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
