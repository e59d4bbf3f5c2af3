"""The whole `recommended` recipe on the starter model: what each stage gained and lost, and how the result writes.

    python -m benchmarks.recommended [--json FILE] [--markdown FILE] [--run ID]

Runs the recipe with the project's own texts (or takes a run that is there), takes the bits per byte that the run
itself measured on held-out stories after every stage, and lets the result answer the thirty prompts of
``presets/prompts.yaml``, which no training text holds, as the chat page samples by default. Wanted (issue 5): Persian
falls stage by stage, Persian share at least 95%, rep-4 at most 0.15, at most one answer in ten recited.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.adaptation import studio as command
from studio.chat.engine import Engine
from studio.chat.events import Finished
from studio.chat.requests import Message, Request, Sampling
from studio.data.sample import Chat, Pair
from studio.data.stored import read_samples
from studio.evaluation.generation import judge, summarise
from studio.models.files import locate
from studio.services import reports
from studio.services.studio import Studio, open_studio
from studio.settings import PRESETS, Settings, load_settings

RECIPE = "recommended"
NEW_TOKENS = 160
SHOWN = 6  # answers in the report, spread over the subjects


def prompts() -> list[str]:
    """The thirty fixed prompts."""
    import yaml

    sets = yaml.safe_load((PRESETS / "prompts.yaml").read_text(encoding="utf8"))
    return [prompt for each in sets.values() for prompt in each]


def training_texts(settings: Settings, names: list[str]) -> Iterator[str]:
    """Everything that the recipe's datasets say."""
    for name in names:
        for sample in read_samples(settings.datasets / name):
            if isinstance(sample, Chat):
                yield from (message.content for message in sample.messages)
            elif isinstance(sample, Pair):
                yield from (sample.fa, sample.en)
            else:
                yield sample.text


def answers(settings: Settings, reference: str) -> list[str]:
    """What a model answers to the prompts, sampled as the chat page does by default, each by itself."""
    engine = Engine(lambda wanted: locate(wanted, settings))
    found = []
    for prompt in prompts():
        request = Request(
            side=reference,
            messages=(Message(role="user", content=prompt),),
            sampling=Sampling(max_new_tokens=NEW_TOKENS),
        )
        ended = next(event for event in engine.generate([request]) if isinstance(event, Finished))
        found.append(ended.text)
    engine.unload()
    return found


def measure(studio: Studio, run: str) -> dict[str, Any]:
    """All figures of a finished run."""
    told = reports.of_run(studio, run)
    stages = {"base": dict(told.base_bits), **{stage.name: dict(stage.bits_per_byte) for stage in told.stages}}
    said = answers(studio.settings, f"run:{run}")
    found = judge(said, training_texts(studio.settings, told.recipe.datasets))
    return {
        "run": run,
        "stages": stages,
        "seconds": sum(stage.seconds or 0.0 for stage in told.stages),
        "written": asdict(summarise(found)),
        "answers": said,
    }


def report(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    base = found["stages"]["base"]
    lines = [
        "# The recommended recipe on the starter model",
        "",
        "Made by `python -m benchmarks.recommended`; do not edit by hand. SmolLM2-135M (dequantised from Q4_1), the",
        "project's own texts only, on a processor with two cores.",
        "",
        "| after | Persian bits per byte | against the base | English bits per byte | against the base |",
        "|---|---|---|---|---|",
    ]
    for name, figures in found["stages"].items():
        fa, en = figures["fa"], figures["en"]
        lines.append(f"| {name} | {fa:.3f} | {fa / base['fa'] - 1:+.1%} | {en:.3f} | {en / base['en'] - 1:+.1%} |")
    lines += ["", f"Steps of all stages: {found['seconds'] / 60:.0f} minutes.", ""]
    written = found["written"]
    lines += [
        "| answers to thirty unseen prompts | | wanted |",
        "|---|---|---|",
        f"| Persian share of letters, mean | {written['persian']:.1%} | at least 95% |",
        f"| rep-4, mean | {written['repetition']:.3f} | at most 0.15 |",
        f"| share 30 characters with the training texts | {written['recited']} | at most 3 |",
        f"| characters, mean | {written['characters']:.0f} | |",
        "",
        "Sampled at temperature 0.7, top-p 0.95, top-k 50, seed 3407, at most 160 tokens. Some answers, whole:",
        "",
    ]
    step = len(found["answers"]) // SHOWN
    for prompt, said in list(zip(prompts(), found["answers"], strict=True))[::step]:
        quoted = said.strip().replace("\n", "\n> ")
        lines += [f'<div dir="rtl" lang="fa">\n\n**{prompt}**\n\n> {quoted}\n\n</div>\n']
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--run", help="a finished run; else the recipe is run")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    given = parser.parse_args()
    run = given.run or command(given.workspace, "run", RECIPE)["run"]
    found = measure(open_studio(load_settings(str(given.workspace))), run)
    if given.json:
        given.json.write_text(json.dumps(found, ensure_ascii=False, indent=2) + "\n", encoding="utf8")
    if given.markdown:
        given.markdown.write_text(report(found), encoding="utf8")
    sys.stdout.write(report(found))


if __name__ == "__main__":
    main()
