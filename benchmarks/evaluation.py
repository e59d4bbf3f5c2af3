"""Our evaluation beside lm-eval's own command line: the same accuracy, and what each takes; the quick suite's time.

    python -m benchmarks.evaluation [--items FILE] [--limit 200] [--model REF] [--workspace DIR] [--json FILE]

`--items` are questions in the form of ParsiNLU's multiple choice (question, candidates, answer); without them the
studio's own sixty are asked. Both programs get the same definition and items, fp32 weights, batches of four and the
same token before a text, and each is a process of its own from its start to its end. Wanted (issue 7): equal accuracy,
and the quick suite within 3 minutes on the starter model on a processor.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.adaptation import studio as command
from studio.models.files import document_start, locate
from studio.settings import load_settings

TASKS = {True: ("papers", "parsinlu_multiple_choice"), False: ("quick", "questions_fa")}
BATCH = 4


def main() -> None:
    options = _options()
    quick_began = time.monotonic()
    quick = command(options.workspace, "evaluate", "--model", options.model, "--suite", "quick")
    found: dict[str, Any] = {
        "model": options.model,
        "quick": {"seconds": quick["seconds"], "wall_seconds": round(time.monotonic() - quick_began, 1),
                  "tasks": quick["tasks"]},
        "beside": beside(options),
    }  # fmt: skip
    for name, task in quick["tasks"].items():
        print(f"{name:20} {task['metric']:4} {task['value']:.3f} ({task['low']:.3f} to {task['high']:.3f}),"
              f" {task['items']} items, chance {task['chance']:.3f}, {task['seconds']:.1f} s")  # fmt: skip
    print(f"quick suite: {found['quick']['wall_seconds']:.0f} s from start to end (wanted: at most 180)")
    pair = found["beside"]
    print(f"{pair['task']}, {pair['items']} items: ours {pair['ours']:.4f} in {pair['our_seconds']:.0f} s, lm_eval"
          f" {pair['theirs']:.4f} in {pair['their_seconds']:.0f} s; equal: {pair['equal']}")  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(found, ensure_ascii=False, indent=2) + "\n", encoding="utf8")
    sys.exit(not pair["equal"])


def beside(options: argparse.Namespace) -> dict[str, Any]:
    """One task by both programs."""
    suite, task = TASKS[options.items is not None]
    given = ["--suite", suite, "--task", task, "--limit", str(options.limit)]
    given += ["--data", f"{task}={options.items}"] if options.items else []
    began = time.monotonic()
    ours = command(options.workspace, "evaluate", "--model", options.model, *given)
    our_seconds = time.monotonic() - began
    folder = options.workspace / "evaluations" / ours["id"] / "tasks"
    files = locate(options.model, load_settings(str(options.workspace)))
    with tempfile.TemporaryDirectory() as out:
        arguments = ["--model", "hf", "--model_args",
                     f"pretrained={files.folder},dtype=float32,prefix_token_id={document_start(files.folder)}",
                     "--tasks", task, "--include_path", str(folder.resolve()), "--limit", str(options.limit),
                     "--batch_size", str(BATCH), "--device", "cpu", "--output_path", out]  # fmt: skip
        began = time.monotonic()
        subprocess.run([sys.executable, "-m", "lm_eval", *arguments], check=True, stdout=subprocess.DEVNULL)
        their_seconds = time.monotonic() - began
        told = json.loads(next(Path(out).rglob("results_*.json")).read_text(encoding="utf8"))
    theirs, mine = told["results"][task]["acc,none"], ours["tasks"][task]
    return {"task": task, "items": mine["items"], "ours": mine["value"], "theirs": theirs,
            "equal": mine["value"] == theirs, "our_seconds": round(our_seconds, 1),
            "their_seconds": round(their_seconds, 1)}  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=Path)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--model", default="starter:smollm2-135m")
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
