"""Side-by-side chat beside bare ``generate``: weights with one, two and three sides, and tokens/s on the same prompt.

    python benchmarks/chat.py --model starter:smollm2-135m [--workspace workspace] [--rounds 5] [--json chat.json]

Adapters are random, of rank 16 on all linear layers. Memory is taken in a fresh process for each number of sides.
Speed is the median over rounds of ours / bare, in one process, turn about, with greedy answers of the same tokens.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import studio.settings  # noqa: E402, F401 - the environment of the chat process, for both sides
from studio.chat.events import Finished  # noqa: E402
from studio.chat.requests import Message, Request, Sampling  # noqa: E402
from studio.models.files import ModelFiles, locate  # noqa: E402
from studio.settings import load_settings  # noqa: E402

QUESTION = "برای بچه‌ها داستان کوتاهی دربارهٔ یک گربه بنویس. Then tell it again in English."
RANK = 16

Work = Callable[[], int]
"""Answers, and tells how many tokens that took."""


def main() -> None:
    """Measure memory and speed, print both."""
    options = _options()
    files = locate(options.model, load_settings(options.workspace))
    if options.child:
        sys.stdout.write(json.dumps(memory_of(files, options.child)))
        return
    with tempfile.TemporaryDirectory() as folder:
        adapters = [make_adapter(files, Path(folder) / f"adapter-{number}", number) for number in (1, 2)]
        memory = {sides: _child(options, [None, *adapters][:sides]) for sides in (1, 2, 3)}
        speed = speeds(files, adapters, options.rounds, options.tokens)
    figures = {
        "model": options.model,
        "memory": memory,
        "weights_ratio": {sides: memory[sides]["weights"] / memory[1]["weights"] for sides in (2, 3)},
        "resident_ratio": {sides: memory[sides]["resident"] / memory[1]["resident"] for sides in (2, 3)},
        "tokens_per_second": speed,
    }
    for sides, held in memory.items():
        print(f"{sides} sides: weights {held['weights'] / 1e6:.1f} MB, resident {held['resident'] / 1e6:.0f} MB")
    for name, case in speed.items():
        spread = f"{case['ratio']:.3f} ({case['lowest']:.3f} to {case['highest']:.3f})"
        print(f"{name}: ours {case['ours']:.2f}, bare {case['bare']:.2f} tokens/s, ratio {spread}")
        print(f"    in processor time {case['processor_ratio']:.3f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf8")


def make_adapter(files: ModelFiles, folder: Path, seed: int) -> Path:
    """Save a random adapter that changes the answers without destroying them."""
    import torch
    from peft import LoraConfig, get_peft_model

    from studio.models.load import load_base

    model, _ = load_base(files)
    torch.manual_seed(seed)
    wrapped = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear"))
    for name, weight in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=1e-3)
        if "lora_" in name:  # the chat holds them in bf16: of these, it answers what peft answers
            weight.data = weight.data.bfloat16().float()
    wrapped.save_pretrained(folder)
    return folder


def sides_of(files: ModelFiles, adapters: list[Path | None]) -> dict[str, ModelFiles]:
    """A side for each adapter, and the base for None."""
    return {str(adapter): replace(files, adapter=adapter) for adapter in adapters}


def memory_of(files: ModelFiles, adapters: list[Path | None]) -> dict[str, int]:
    """Bytes of weights, and resident bytes of this process, once these sides are open and have answered."""
    import psutil

    from studio.chat.engine import Engine

    sides = sides_of(files, adapters)
    engine = Engine(lambda reference: sides[reference])
    engine.open(list(sides))
    list(engine.generate([request(side, 8) for side in sides]))
    return {"weights": engine.weights, "resident": psutil.Process().memory_info().rss}


def speeds(files: ModelFiles, adapters: list[Path], rounds: int, tokens: int) -> dict[str, dict[str, float]]:
    """Each kind of side beside bare ``generate`` with the same weights, in this process, turn about."""
    from peft import PeftModel

    from studio.chat.engine import Engine
    from studio.models.load import load_base

    sides = sides_of(files, [None, *adapters])
    engine = Engine(lambda reference: sides[reference])
    base, adapter = request("None", tokens), request(str(adapters[0]), tokens)
    bare, tokenizer = load_base(files)
    adapted = PeftModel.from_pretrained(load_base(files)[0], str(adapters[0])).eval()

    def ours(*requests: Request) -> Work:
        return lambda: sum(event.tokens for event in engine.generate(requests) if isinstance(event, Finished))

    def theirs(*models: Any) -> Work:
        return lambda: sum(_generate(model, tokenizer, tokens) for model in models)

    figures = {"base": compare(ours(base), theirs(bare), rounds)}
    engine.open(list(sides))
    figures["base_beside_adapters"] = compare(ours(base), theirs(bare), rounds)
    figures["adapter"] = compare(ours(adapter), theirs(adapted), rounds)
    figures["two_sides_at_once"] = compare(ours(base, adapter), theirs(bare, adapted), rounds)
    return figures


def compare(ours: Work, theirs: Work, rounds: int) -> dict[str, float]:
    """Tokens per second of both, and the median, lowest and highest ratio.

    `processor_ratio` is the same in processor time, which other people's work on the machine disturbs less.
    """
    if ours() != theirs():  # warms up, too
        raise ValueError("not the same answers: their speeds say nothing")
    rates: list[tuple[float, float]] = []
    busy: list[float] = []
    for turn in range(rounds):
        order = (ours, theirs) if turn % 2 else (theirs, ours)
        seen = {work: _timed(work) for work in order}
        rates.append((seen[ours][0], seen[theirs][0]))
        busy.append(seen[theirs][1] / seen[ours][1])
    ratios = [mine / bare for mine, bare in rates]
    return {
        "ours": statistics.median(mine for mine, _ in rates),
        "bare": statistics.median(bare for _, bare in rates),
        "ratio": statistics.median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
        "processor_ratio": statistics.median(busy),
    }


def _timed(work: Work) -> tuple[float, float]:
    """Tokens per second, and processor seconds per token."""
    wall, busy = time.perf_counter(), time.process_time()
    tokens = work()
    return tokens / (time.perf_counter() - wall), (time.process_time() - busy) / tokens


def request(side: str, tokens: int) -> Request:
    """The question, answered greedily."""
    message = Message(role="user", content=QUESTION)
    return Request(side=side, messages=(message,), sampling=Sampling(greedy=True, max_new_tokens=tokens))


def _generate(model: Any, tokenizer: Any, tokens: int) -> int:
    import torch

    turns = [{"role": "user", "content": QUESTION}]
    text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids.to(model.device)
    with torch.inference_mode():
        out = model.generate(input_ids=ids, do_sample=False, max_new_tokens=tokens)
    tokenizer.decode(out[0, ids.shape[1] :])
    return int(out.shape[1] - ids.shape[1])


def _child(options: argparse.Namespace, adapters: list[Path | None]) -> dict[str, int]:
    command = [sys.executable, __file__, "--model", options.model]
    command += ["--workspace", str(options.workspace)] if options.workspace else []
    command += ["--child", *(str(adapter or "") for adapter in adapters)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="starter:smollm2-135m")
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", nargs="+", type=lambda text: Path(text) if text else None, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
