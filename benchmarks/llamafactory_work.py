"""The work of `training_speed` in LLaMA-Factory, run by the Python of an environment that has it: SETTINGS FIGURES.

SETTINGS is its own YAML. Useful tokens are those that its attention mask shows; the first step warms up and does not
count, as for the others.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from llamafactory.train.tuner import run_exp
from transformers import AutoTokenizer, Trainer, TrainerCallback


def main(settings: str, figures: str) -> None:
    """Train by the YAML `settings` and write what was measured to `figures`."""
    marks: list[tuple[tuple[float, float], int]] = []
    losses: list[float] = []
    rows: list[list[int]] = []
    original = Trainer.training_step

    def training_step(self: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        masks = inputs["attention_mask"].bool()
        rows.extend(ids[mask].tolist() for ids, mask in zip(inputs["input_ids"], masks, strict=True))
        return original(self, model, inputs, *args, **kwargs)

    class Marks(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            marks.append(((time.perf_counter(), time.process_time()), len(rows)))

        def on_log(self, args: Any, state: Any, control: Any, logs: Any, **kwargs: Any) -> None:
            losses.extend([logs["loss"]] if "loss" in logs else [])

    Trainer.training_step = training_step
    given = yaml.safe_load(Path(settings).read_text(encoding="utf8"))
    run_exp(given, callbacks=[Marks()])
    tokenizer = AutoTokenizer.from_pretrained(given["model_name_or_path"])
    tokens = [len(row) for row in rows]
    characters = [len(tokenizer.decode(row)) for row in rows]
    first, last = ((clock, sum(tokens[:number]), sum(characters[:number])) for clock, number in (marks[0], marks[-1]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    found = {"first": first, "last": last, "peak_memory_bytes": peak, "last_loss": losses[-1]}
    Path(figures).write_text(json.dumps(found), encoding="utf8")


if __name__ == "__main__":
    main(*sys.argv[1:])
