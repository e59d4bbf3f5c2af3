"""The whole `recommended` recipe on the starter model: what each stage gained and lost, and how the result writes.

    python -m benchmarks.recommended [--json FILE] [--markdown FILE] [--run ID]

Runs the recipe with the project's own texts (or takes a run that is there), measures bits per byte of the base and of
every stage on the held-out stories in both languages, and lets base and result answer the thirty prompts of
``presets/prompts.yaml``, which no training text holds, as the chat page samples by default. Reached is what issue 5
asks: Persian falls stage by stage, Persian share at least 95%, rep-4 at most 0.15, at most one answer in ten recited.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.adaptation import studio
from studio.chat.engine import Engine
from studio.chat.events import Finished
from studio.chat.requests import Message, Request, Sampling
from studio.data.sample import Chat, Pair
from studio.data.starters import held_out_lines
from studio.data.stored import read_samples
from studio.evaluation.bits import measure_model
from studio.evaluation.generation import judge, summarise
from studio.models.files import locate
from studio.recipes import load_recipe
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


def bits(settings: Settings, reference: str) -> dict[str, float]:
    """Bits per byte on the held-out stories."""
    return {
        language: measure_model(reference, held_out_lines(language), settings).bits_per_byte
        for language in ("fa", "en")
    }


def measure(settings: Settings, run: str) -> dict[str, Any]:
    """All figures of a finished run."""
    recipe = load_recipe(settings.runs / run / "recipe.yaml")
    found: dict[str, Any] = {"run": run, "stages": {"base": bits(settings, recipe.base)}}
    for stage in recipe.stages:
        found["stages"][stage.name] = bits(settings, f"run:{run}/{stage.name}")
    texts = list(training_texts(settings, recipe.datasets))
    for name, reference in (("base", recipe.base), ("result", f"run:{run}")):
        said = answers(settings, reference)
        found[name] = asdict(summarise(judge(said, texts)))
        found[f"{name}_answers"] = said
    return found


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
    seconds = found.get("seconds")
    lines += ["", f"Whole run: {seconds / 60:.0f} minutes." if seconds else "", ""]
    before, after = found["base"], found["result"]
    lines += [
        "| thirty unseen prompts | base | result | wanted |",
        "|---|---|---|---|",
        f"| Persian share of letters | {before['persian']:.1%} | {after['persian']:.1%} | at least 95% |",
        f"| rep-4 | {before['repetition']:.3f} | {after['repetition']:.3f} | at most 0.15 |",
        f"| share 30 characters with the training texts | {before['recited']} | {after['recited']} | at most 3 |",
        f"| characters, mean | {before['characters']:.0f} | {after['characters']:.0f} | |",
        "",
        "Sampled at temperature 0.7, top-p 0.95, top-k 50, seed 3407, at most 160 tokens. Some answers, whole:",
        "",
    ]
    step = len(found["result_answers"]) // SHOWN
    for prompt, said in list(zip(prompts(), found["result_answers"], strict=True))[::step]:
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
    seconds, run = None, given.run
    if run is None:
        began = time.monotonic()
        run = studio(given.workspace, "run", RECIPE)["run"]
        seconds = round(time.monotonic() - began, 1)
    found = {"seconds": seconds, **measure(load_settings(str(given.workspace)), run)}
    if given.json:
        given.json.write_text(json.dumps(found, ensure_ascii=False, indent=2) + "\n", encoding="utf8")
    if given.markdown:
        given.markdown.write_text(report(found), encoding="utf8")
    sys.stdout.write(report(found))


if __name__ == "__main__":
    main()
