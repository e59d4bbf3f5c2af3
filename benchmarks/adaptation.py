"""What vocabulary and curriculum gain over plain LoRA in the same time, on the same texts and machine.

    python -m benchmarks.adaptation --persian FILE… --english FILE… --pairs FILE [--minutes 14] [--json FILE]

Persian files become one dataset, of which a part without near-duplicates is held out. (A) trains LoRA on the base's
own tokenizer. (B) learns new tokens and their start rows, aligns the rows, then trains LoRA and rows; learning the
tokens and fitting the rows is part of its time. Both replay the same share of English. The time of a side is that of
its steps, and of B's vocabulary; loading, checkpoints, sample answers and measuring are told apart as ``wall``.

Budgets are tokens, counted from the rate of a probe, so that a side's time is known only at its end. (B) goes first;
(A) gets the seconds that (B) took, its probe held to be as much too fast as (B)'s was, and is trained anew, at the
rate it had, while it took fewer than those.

The JSON holds bits per byte of base, ``a`` and ``b`` on the held-out Persian and on both sides of `--pairs`
(``fa_heldout, fa_tico19, en_tico19``), ``characters, seconds, run``. Runs stay in the workspace: ``bits --model
run:ID`` gives every figure again from the texts in the folder of the workspace that the JSON names under ``texts``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

BASE = "starter:smollm2-135m"
PROBE_STEPS = 48
SLOWER = 0.93  # of a probe's rate; runs came to 0.88 to 0.99 of it (docs/log.md)
TRIES, MARGIN = 3, 1.03
STAGE: dict[str, Any] = {"batch": 2, "accumulation": 1, "length": 256, "warmup": 0.03}
LORA, ROWS, ALIGN_ROWS = 1e-3, 2e-3, 4e-3
REPLAY, ALIGN_SHARE = 0.2, 0.08
FIT_STEPS = 16  # see `studio.tokenizer.starting.make_starts`
TEXT_BYTES = 40_000


def studio(workspace: Path, *arguments: str) -> dict[str, Any]:
    """What a verb of the command line answers."""
    call = [sys.executable, "-m", "studio", *arguments, "--json", "--workspace", str(workspace)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}: {done.stdout}{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def prepare(workspace: Path, given: argparse.Namespace, texts: Path) -> None:
    """The base, datasets ``adapt-fa`` and ``adapt-en``, and the texts that both sides are measured on."""
    studio(workspace, "models", "fetch", BASE)
    have = {each["name"] for each in studio(workspace, "data", "list")["datasets"]}
    names = [f"adapt-{number}" for number in range(len(given.persian))]
    for name, file in zip(names, given.persian, strict=True):
        if name not in have:
            studio(workspace, "data", "import", str(file), "--name", name)
    if "adapt-en" not in have:
        studio(workspace, "data", "import", *map(str, given.english), "--name", "adapt-en")
    if "adapt-fa" not in have:
        studio(workspace, "data", "mix", *names, "--out", "adapt-fa", "--held-out", "0.02", "--replay", "0",
               "--model", BASE)  # fmt: skip
    texts.mkdir(parents=True, exist_ok=True)
    held = texts / "held.jsonl"
    held.unlink(missing_ok=True)
    studio(workspace, "data", "export", "adapt-fa-held-out", "--out", str(held))
    rows = [json.loads(line)["text"] for line in held.read_text(encoding="utf8").splitlines()]
    write(texts / "fa_heldout.jsonl", rows)
    packed = given.pairs.read_bytes()
    lines = (gzip.decompress(packed) if given.pairs.suffix == ".gz" else packed).decode().splitlines()
    pairs = [json.loads(line) for line in lines]
    write(texts / "fa_tico19.jsonl", [pair["fa"] for pair in pairs])
    write(texts / "en_tico19.jsonl", [pair["en"] for pair in pairs])


def write(path: Path, rows: list[str]) -> None:
    """The first `TEXT_BYTES` of `rows`, whole rows only."""
    size, kept = 0, []
    for row in rows:
        size += len(row.encode())
        if size > TEXT_BYTES:
            break
        kept.append(json.dumps({"text": row}, ensure_ascii=False))
    path.write_text("\n".join(kept) + "\n", encoding="utf8")


def recipe(workspace: Path, name: str, vocabulary: str | None, stages: list[dict[str, Any]]) -> str:
    """A recipe file; JSON is YAML."""
    path = workspace / f"{name}.yaml"
    lora = {"rank": 16, "alpha": 32}
    path.write_text(
        json.dumps({"name": name, "base": BASE, "vocabulary": vocabulary, "lora": lora, "stages": stages}),
        encoding="utf8",
    )
    return str(path)


def pretrain(budget: dict[str, int]) -> dict[str, Any]:
    """The stage that both sides have."""
    data = [{"dataset": "adapt-fa", "weight": 1 - REPLAY}, {"dataset": "adapt-en", "weight": REPLAY}]
    rates = {"lora": LORA, "rows": ROWS}
    return {"name": "pretrain", "kind": "pretrain", "data": data, "budget": budget, "rates": rates, **STAGE}


def align(budget: dict[str, int]) -> dict[str, Any]:
    """Only new rows learn."""
    rates = {"rows": ALIGN_ROWS}
    data = [{"dataset": "adapt-fa"}]
    return {"name": "align", "kind": "align", "data": data, "budget": budget, "rates": rates, **STAGE}


def speed(workspace: Path, name: str, vocabulary: str | None, stage: dict[str, Any]) -> float:
    """Tokens a second over a few steps."""
    told = studio(workspace, "run", recipe(workspace, f"probe_{name}", vocabulary, [stage]))
    return float(told["tokens_per_second"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--persian", type=Path, nargs="+", required=True)
    parser.add_argument("--english", type=Path, nargs="+", required=True)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=14)
    parser.add_argument("--tokens", type=int, default=4000)
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--sides", nargs="+", choices=("a", "b"), default=["a", "b"])
    parser.add_argument("--json", type=Path, help="written; what it tells of a side that is not run now is kept")
    given = parser.parse_args()
    texts = given.workspace / "adaptation"
    prepare(given.workspace, given, texts)
    found: dict[str, Any] = {"base": BASE, "minutes": given.minutes, "new_tokens": given.tokens, "texts": texts.name}
    if given.json and given.json.is_file():
        found = json.loads(given.json.read_text(encoding="utf8")) | found
    if "b" in given.sides:
        found["b"] = ours(given)
        found["b"] |= measure(given.workspace, f"run:{found['b']['run']}", texts)
    if "a" in given.sides:
        found["a"] = plain(given, found.get("b", {}))
        found["a"] |= measure(given.workspace, f"run:{found['a']['run']}", texts)
    found["untouched"] = found.get("untouched") or measure(given.workspace, BASE, texts)
    text = json.dumps(found, indent=2, ensure_ascii=False)
    if given.json:
        given.json.write_text(text + "\n", encoding="utf8")
    print(text)
    if "a" in found and "b" in found:
        print(f"seconds: (A) {found['a']['seconds']:.0f}, (B) {found['b']['seconds']:.0f}")
    for key in ("fa_heldout", "fa_tico19", "en_tico19") if "a" in found and "b" in found else ():
        base, lora, mine = (found[name][key] for name in ("untouched", "a", "b"))
        print(
            f"{key}: base {base:.3f}, (A) {lora:.3f}, (B) {mine:.3f}; B/A {mine / lora:.3f}, B/base {mine / base:.3f}"
        )


def plain(given: argparse.Namespace, other: dict[str, Any]) -> dict[str, Any]:
    """(A): LoRA on the base's own tokenizer, for at least the seconds that `other` took, if there is one."""
    seconds = other.get("seconds", 60 * given.minutes)
    slower = other.get("of_probe", SLOWER)
    rate = speed(given.workspace, "a", None, pretrain({"steps": PROBE_STEPS})) * slower * MARGIN
    for _ in range(TRIES):
        found = side(given, "adapt_a", None, [pretrain({"tokens": int(rate * seconds)})], 0.0)
        if found["seconds"] >= seconds:
            return found
        print(f"(A) took {found['seconds']:.0f} s of {seconds:.0f} s: once more", file=sys.stderr)
        rate = found["tokens"] / found["seconds"] * MARGIN
    raise SystemExit(f"(A) took {found['seconds']:.0f} s of {seconds:.0f} s in its last of {TRIES} runs")


def ours(given: argparse.Namespace) -> dict[str, Any]:
    """(B): vocabulary, start rows, align, pretrain, together in the same time."""
    seconds = 60 * given.minutes
    folder = given.workspace / "vocabularies" / "adapt"
    learned = studio(given.workspace, "vocabulary", "learn", "--model", BASE, "--corpus", "adapt-fa", "--size",
                     str(given.tokens), "--out", str(folder))  # fmt: skip
    started = studio(
        given.workspace, "vocabulary", "start", str(folder), "--keep", "fitted", "--steps", str(FIT_STEPS)
    )
    spent = learned["seconds"] + started["starts"][0]["seconds"]
    probes = [speed(given.workspace, "b", "adapt", make({"steps": PROBE_STEPS})) for make in (align, pretrain)]
    rates = [rate * SLOWER for rate in probes]
    left = seconds - spent
    if left < seconds / 4:
        raise SystemExit(f"the vocabulary took {spent:.0f} s of {seconds:.0f}: give more --minutes or fewer --tokens")
    stages = [
        align({"tokens": int(rates[0] * left * ALIGN_SHARE)}),
        pretrain({"tokens": int(rates[1] * left * (1 - ALIGN_SHARE))}),
    ]
    found = side(given, "adapt_b", "adapt", stages, spent)
    of_probe = SLOWER * left / (found["seconds"] - spent)
    return found | {"learned": learned["tokens_per_word"], "of_probe": round(of_probe, 3)}


def side(
    given: argparse.Namespace, name: str, vocabulary: str | None, stages: list[dict[str, Any]], spent: float
) -> dict[str, Any]:
    """Train one side; `spent` seconds of its time are gone already."""
    began = time.monotonic()
    told = studio(given.workspace, "run", recipe(given.workspace, name, vocabulary, stages))
    return {
        "run": told["run"],
        "steps": told["steps"],
        "vocabulary_seconds": round(spent, 1),
        "wall": round(time.monotonic() - began + spent, 1),
        "tokens_per_second": round(told["tokens_per_second"], 1),
        "characters_per_second": round(told["characters_per_second"], 1),
        **counts(given.workspace, told["run"], spent),
    }


def counts(workspace: Path, run: str, spent: float) -> dict[str, Any]:
    """Characters and seconds of steps that the run's last stage kept; `seconds` has the vocabulary's too."""
    stages = sorted((workspace / "runs" / run / "stages").glob("*/progress.json"))
    kept = json.loads(stages[-1].read_text(encoding="utf8"))
    return {"characters": kept["characters"], "tokens": kept["tokens"], "seconds": round(kept["seconds"] + spent, 1)}


def measure(workspace: Path, model: str, texts: Path) -> dict[str, float]:
    """Bits per byte on each of the three texts."""
    return {
        key: studio(workspace, "bits", "--model", model, "--text", str(texts / f"{key}.jsonl"))["bits_per_byte"]
        for key in ("fa_heldout", "fa_tico19", "en_tico19")
    }


if __name__ == "__main__":
    main()
