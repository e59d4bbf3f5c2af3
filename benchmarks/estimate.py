"""What the estimate says before a training against what the training then holds, on named grid points.

    python benchmarks/estimate.py --json estimate.json [--only starter] [--limit 8] [--long]

Each point trains three steps in a process of its own, on rows that are all exactly as long as `length`, with loss on
every token; with ``--long`` 120 steps on rows of an eighth of it to the whole, as texts are. Measured: the most
anonymous memory (``RssAnon``, read every 2 ms) above the same process when it had loaded torch, transformers and trl
but no weight. Predicted: all parts of the estimate but the idle worker and what stays in the file. Points of the same
JSON file that are done are not done again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

STEPS = 3
LONG_STEPS = 120
STARTER = "starter"
SHAPES: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama", "vocab_size": 32_000, "hidden_size": 512, "intermediate_size": 1376,
              "num_hidden_layers": 8, "num_attention_heads": 8},
    "wide": {"model_type": "llama", "vocab_size": 128_000, "hidden_size": 256, "intermediate_size": 1024,
             "num_hidden_layers": 6, "num_attention_heads": 8, "num_key_value_heads": 2, "tie_word_embeddings": True},
    "qwen": {"model_type": "qwen3", "vocab_size": 49_152, "hidden_size": 512, "intermediate_size": 1536,
             "num_hidden_layers": 8, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 64,
             "tie_word_embeddings": True},
}  # fmt: skip


@dataclass(frozen=True)
class Point:
    """One place of the grid; `vocabulary` counts new rows."""

    model: str
    batch: int
    length: int
    rank: int
    vocabulary: int = 0
    quantisation: str = "none"
    steps: int = STEPS

    @property
    def name(self) -> str:
        kind = f"{self.model} {self.batch}x{self.length} rank {self.rank} +{self.vocabulary} rows {self.quantisation}"
        return kind if self.steps == STEPS else f"{kind} {self.steps} steps"

    @property
    def lengths(self) -> list[int]:
        """Of all rows; those of a long training differ as texts do, and one is whole."""
        count = self.steps * self.batch
        if self.steps == STEPS:
            return [self.length] * count
        drawn = random.Random(0)
        return [self.length, *[drawn.randint(self.length // 8, self.length) for _ in range(count - 1)]]


GRID = (
    Point(STARTER, 2, 512, 8), Point("qwen", 2, 256, 8), Point("wide", 2, 256, 8), Point("llama", 2, 512, 64),
    Point("llama", 2, 256, 8, quantisation="nf4"), Point(STARTER, 1, 128, 8), Point("llama", 1, 2048, 8),
    Point("qwen", 1, 1024, 16), Point(STARTER, 1, 256, 16, quantisation="nf4"), Point("wide", 4, 512, 32),
    Point(STARTER, 4, 256, 16), Point("llama", 1, 128, 8), Point("qwen", 4, 512, 64), Point("llama", 8, 256, 16),
    Point("qwen", 2, 256, 8, quantisation="nf4"), Point(STARTER, 1, 512, 64),
    Point("wide", 1, 64, 4), Point(STARTER, 2, 256, 8, quantisation="nf4"), Point(STARTER, 1, 1024, 8),
    Point("llama", 4, 512, 16, quantisation="nf4"),
    Point(STARTER, 2, 256, 16, 4000), Point("llama", 2, 512, 8, 5000), Point("qwen", 2, 256, 8, 4000),
    Point(STARTER, 1, 256, 8, 10_000, "nf4"),
)  # fmt: skip
"""24 points."""

LONG_GRID = tuple(
    replace(point, steps=LONG_STEPS)
    for point in (
        Point(STARTER, 2, 256, 16), Point(STARTER, 2, 512, 8), Point(STARTER, 2, 256, 16, 4000),
        Point("llama", 2, 512, 8), Point("llama", 8, 256, 16), Point("qwen", 2, 256, 8),
        Point("wide", 4, 512, 32), Point("llama", 2, 256, 8, quantisation="nf4"),
    )
)  # fmt: skip
"""8 points."""


def main() -> None:
    """Measure what is missing, then print each point and the errors over all."""
    options = _options()
    if options.child:
        print(json.dumps(measure(Point(**json.loads(options.child)), Path(options.folder), options.threads)))
        return
    done = json.loads(options.json.read_text(encoding="utf8")) if options.json and options.json.exists() else {}
    grid = LONG_GRID if options.long else GRID
    points = [point for point in grid if options.only in point.name][: options.limit]
    with tempfile.TemporaryDirectory() as aside:
        for point in points:
            folder = _folder(point.model, Path(aside), options)
            if point.name not in done:
                done[point.name] = {**asdict(point), "measured": _child(point, folder, options)["measured"]}
            done[point.name]["predicted"] = predict(point, folder)
            _say(point, done[point.name])
            if options.json:
                options.json.write_text(json.dumps(done, indent=2), encoding="utf8")
    errors = [abs(_error(done[point.name])) for point in points if point.name in done]
    if errors:
        print(f"{len(errors)} points: median error {statistics.median(errors):.1%}, worst {max(errors):.1%}")


def predict(point: Point, folder: Path) -> int:
    """Anonymous bytes above an idle worker, from the estimate."""
    from studio.device import find_device
    from studio.recipes import parse_recipe
    from studio.training.estimate import Base, estimate

    recipe = parse_recipe(recipe_of(point))
    config = json.loads((folder / "config.json").read_text(encoding="utf8"))
    stage = estimate(recipe, Base.of_config(config), find_device(folder), new_rows=point.vocabulary).stages[0]
    return stage.memory_bytes - stage.memory["worker"] - stage.mapped_bytes


def recipe_of(point: Point) -> dict[str, Any]:
    """The point as a recipe of one stage."""
    stage = {
        "name": "stage", "kind": "instruct", "data": [{"dataset": "rows"}], "budget": {"steps": point.steps},
        "batch": point.batch, "accumulation": 1, "length": point.length, "loss": "all",
        "rows": "new" if point.vocabulary else "frozen",
    }  # fmt: skip
    return {"name": "point", "base": "local:/x", "quantisation": point.quantisation, "lora": {"rank": point.rank},
            "stages": [stage]}  # fmt: skip


def measure(point: Point, folder: Path, threads: int | None) -> dict[str, float]:
    """Train the point in this process and watch its memory."""
    import torch

    from studio.models.files import ModelFiles
    from studio.models.load import pick_dtype
    from studio.recipes import parse_recipe
    from studio.training import curriculum  # noqa: F401  what a worker has loaded before it begins
    from studio.training.adapter import add_adapter
    from studio.training.base import load_frozen
    from studio.training.fused_llama import fuse_layers

    if threads:
        torch.set_num_threads(threads)
    idle, watch = _anonymous(), Watch()
    recipe = parse_recipe(recipe_of(point))
    files = ModelFiles("local:", "local:", folder, folder)
    model, tokenizer = load_frozen(files, device="cpu", dtype=pick_dtype("cpu"), quantisation=recipe.quantisation)
    words = _words(model, point.vocabulary) if point.vocabulary else None
    adapted = add_adapter(model, recipe.lora, "benchmark", 0)
    fuse_layers(adapted)
    began = time.perf_counter()
    _train(adapted, tokenizer, recipe, point, words)
    return {"measured": watch.end() - idle, "idle": idle, "seconds": time.perf_counter() - began}


def _words(model: Any, count: int) -> Any:
    """Random rows for `count` new tokens, where a run has its vocabulary; nothing of them is written."""
    import torch

    from studio.models.new_rows import NewRows
    from studio.training.embedding import split_tables

    rows, width = model.get_input_embeddings().weight.shape
    tied = model.config.tie_word_embeddings
    made = [0.02 * torch.randn(count, width) for _ in range(1 if tied else 2)]
    trained = split_tables(
        model, NewRows(torch.arange(rows, rows + count), made[0], None if tied else made[1]), whole=False
    )
    trained.learn(rows)
    return SimpleNamespace(trained=trained, save=lambda folder: None)


def _train(model: Any, tokenizer: Any, recipe: Any, point: Point, words: Any) -> None:
    import torch
    from datasets import Dataset

    from studio.training.batches import Row, write_rows
    from studio.training.checkpoints import Counts
    from studio.training.plan import Plan
    from studio.training.reporter import Reporter
    from studio.training.trainer import StageTrainer, arguments

    drawn = torch.Generator().manual_seed(0)
    top = model.config.vocab_size
    texts = [torch.randint(3, top, (length,), generator=drawn).tolist() for length in point.lengths]
    batches = [list(range(first, first + point.batch)) for first in range(0, len(texts), point.batch)]
    plan = Plan(batches, point.steps)
    reporter = Reporter(
        0, 10**9, Counts(), record=lambda row: None, progress=lambda fraction: None, stopping=lambda: False,
        saved=lambda step: None, alarm=lambda alarm: None, meter=None,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        rows = ((0, Row(row, [-100, *row[1:]], len(row))) for row in texts)
        write_rows(rows, Path(folder) / "rows.arrow")
        data = Dataset.from_file(str(Path(folder) / "rows.arrow"))
        args = arguments(recipe.stages[0], plan, Path(folder), 0, cuda=False)
        stage = recipe.stages[0]
        StageTrainer(model, tokenizer, data, plan, args, reporter, Path(folder), stage, words).train_stage(None)


class Watch(threading.Thread):
    """Remembers the most anonymous memory of this process."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most, self._on = 0, True
        self.start()

    def run(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        while self._on:
            resident, shared = Path("/proc/self/statm").read_text().split()[1:3]
            self.most = max(self.most, (int(resident) - int(shared)) * page)
            time.sleep(0.002)

    def end(self) -> int:
        self._on = False
        self.join()
        return self.most


def _anonymous() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("RssAnon:")).split()[1])


def _folder(model: str, aside: Path, options: argparse.Namespace) -> Path:
    from studio.models.files import locate
    from studio.settings import load_settings

    starter = locate("starter:smollm2-135m", load_settings(options.workspace)).folder
    if model == STARTER:
        return starter
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = aside / model
    if not folder.exists():
        shape = dict(SHAPES[model])
        config = AutoConfig.for_model(shape.pop("model_type"), max_position_embeddings=4096, **shape)
        AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)
        for path in (*starter.glob("token*"), *starter.glob("chat_template*")):
            shutil.copy(path, folder)
    return folder


def _child(point: Point, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    order = [sys.executable, __file__, "--child", json.dumps(asdict(point)), "--folder", str(folder)]
    if options.threads:
        order += ["--threads", str(options.threads)]
    done = subprocess.run(
        order, env={**os.environ, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{point.name} failed:\n{done.stderr[-3000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _error(figures: dict[str, Any]) -> float:
    return float(figures["predicted"] / figures["measured"] - 1)


def _say(point: Point, figures: dict[str, Any]) -> None:
    predicted, measured = (figures[key] / 1e6 for key in ("predicted", "measured"))
    print(f"{point.name:44} predicted {predicted:6.0f} MB  measured {measured:6.0f} MB  {_error(figures):+6.1%}",
          flush=True)  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only points whose name holds this")
    parser.add_argument("--limit", type=int, default=len(GRID))
    parser.add_argument("--long", action="store_true", help="long trainings on rows of many lengths instead")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--workspace", help="where the starter model is")
    parser.add_argument("--json", type=Path, help="write all figures there, and take from there what is done")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
