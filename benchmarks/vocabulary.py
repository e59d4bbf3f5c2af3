"""Learning 20,000 tokens beside a fresh BPE of the same size by `tokenizers`' own trainer, from the same files.

    python -m benchmarks.vocabulary --corpus FILE… [--model DIR]… [--size 20000] [--rounds 3] [--json FILE]
                                    [--noise BYTES] [--one-line BYTES] [--english FILE]

Each side runs in a process of its own, in turn, so that times and peak memory are its own; medians over the rounds, in
seconds of the clock and of the processor. Give plain text files, as `--assemble OUT FILE…` makes them of jsonl files
(each string that holds Persian becomes a line). With `--noise` the corpus is repeated to that many bytes, one letter
in fifty exchanged, so that every repetition brings new words; with `--one-line` it is repeated with no line end.
Then base and extended tokenizer encode the same lines in turn, on one thread: 8 MB of the corpus, and of `--english`.
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
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from studio.data.script import persian_share
from studio.jobs.events import Progress
from studio.memory import peak_memory
from studio.tokenizer.corpus import Part
from studio.tokenizer.expand import Watch
from studio.tokenizer.making import make

ENCODED = 8_000_000
LETTERS = "ابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی"


def learn(model: Path, corpus: list[Path], size: int, out: Path) -> dict[str, Any]:
    """Our side: from files to a written folder."""
    quiet: Progress = lambda share, note: None  # noqa: E731
    watch = Watch(quiet, lambda: False)
    parts = [Part(path, False) for path in corpus]
    found = make(model, parts, size, out, reference=str(model), english=[], watch=watch)
    curve = found.pop("curve")
    figures = {key: found[key] for key in ("seconds", "peak_memory_bytes", "added", "unreachable")}
    figures["processor_seconds"] = processor_seconds()
    return figures | {"curve": {str(k): curve[k] / curve[0] for k in range(0, len(curve), max(1, size // 4))}}


def train_fresh(corpus: list[Path], size: int) -> dict[str, Any]:
    """The other side: a new byte-level BPE; it has no base to keep and no promise about other text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    start = time.perf_counter()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train([str(path) for path in corpus], trainer)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(str(Path(folder) / "tokenizer.json"))
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "peak_memory_bytes": peak_memory(),
        "processor_seconds": processor_seconds(),
        "vocabulary": tokenizer.get_vocab_size(),
    }


def encode(base: Path, extended: Path, texts: list[Path]) -> dict[str, Any]:
    """Megabytes a second of the processor for both tokenizers on the first 8 MB of each text, medians of 7 turns."""
    from tokenizers import Tokenizer

    both = [Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in (base, extended)]
    found = {}
    for path in texts:
        with path.open("rb") as file:
            lines = file.read(ENCODED).decode("utf8", "ignore").split("\n")
        size = sum(len(line.encode()) for line in lines)
        speeds: list[list[float]] = [[], []]
        for _ in range(7):
            for tokenizer, measured in zip(both, speeds, strict=True):
                start = time.process_time()
                for place in range(0, len(lines), 1000):
                    tokenizer.encode_batch_fast(lines[place : place + 1000], add_special_tokens=False)
                measured.append(size / 1e6 / (time.process_time() - start))
        old, new = map(statistics.median, speeds)
        ratios = sorted(after / before for before, after in zip(*speeds, strict=True))
        spread = [ratios[0], ratios[-1]]
        found[path.name] = {
            "bytes": size,
            "base_mb_s": old,
            "extended_mb_s": new,
            "ratio": new / old,
            "spread": spread,
        }
    return found


def processor_seconds() -> float:
    """Of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def assemble(files: Iterable[Path], out: Path) -> None:
    """Write every string with Persian in jsonl files, packed or not, as lines of `out`."""
    with out.open("w", encoding="utf8") as target:
        for path in files:
            with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as rows:
                for row in rows:
                    target.writelines(f"{text}\n" for text in _strings(json.loads(row)) if persian_share(text) > 0.1)


def add_noise(corpus: list[Path], out: Path, size: int) -> None:
    """Repeat a corpus until it has `size` bytes, with letters exchanged at random but the same at every run."""
    chance = random.Random(0)
    text = "".join(path.read_text(encoding="utf8") for path in corpus)
    with out.open("w", encoding="utf8") as target:
        while target.tell() < size:
            for start in range(0, len(text), 1 << 20):
                letters = list(text[start : start + (1 << 20)])
                for place in chance.sample(range(len(letters)), len(letters) // 50):
                    if letters[place] in LETTERS:
                        letters[place] = chance.choice(LETTERS)
                target.write("".join(letters))


def one_line(corpus: list[Path], out: Path, size: int) -> None:
    """Repeat a corpus to `size` bytes without one line end."""
    text = b" ".join(path.read_bytes().translate(None, b"\r").replace(b"\n", b" ") for path in corpus)
    with out.open("wb") as target:
        while target.tell() < size:
            target.write(text[: size - target.tell()])


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)


def _apart(*arguments: str) -> dict[str, Any]:
    """Run one side in a fresh process: peak memory is of a process, not of a function."""
    command = [sys.executable, "-m", "benchmarks.vocabulary", *arguments]
    root = Path(__file__).resolve().parent.parent
    # One thread for the encoding; the trainers take every core.
    alone = {"TOKENIZERS_PARALLELISM": "false"} if "encode" in arguments else {}
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, env=os.environ | alone)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, nargs="+", required=True)
    parser.add_argument("--english", type=Path, nargs="*", default=[])
    parser.add_argument("--model", type=Path, action="append", default=[])
    parser.add_argument("--size", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--noise", type=int, default=0)
    parser.add_argument("--one-line", type=int, default=0)
    parser.add_argument("--no-fresh", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--assemble", type=Path, metavar="OUT")
    parser.add_argument("--side", choices=("ours", "fresh", "encode"))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    corpus = [path.resolve() for path in given.corpus]
    if given.assemble:
        assemble(corpus, given.assemble)
        return
    if given.side:
        print(json.dumps(_side(given, corpus)))
        return
    with tempfile.TemporaryDirectory() as folder:
        if given.noise or given.one_line:
            made = Path(folder) / "made.txt"
            add_noise(corpus, made, given.noise) if given.noise else one_line(corpus, made, given.one_line)
            corpus = [made]
        found = _compare(given, corpus, Path(folder))
    print(json.dumps(found, indent=2))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf8")


def _side(given: argparse.Namespace, corpus: list[Path]) -> dict[str, Any]:
    if given.side == "ours":
        return learn(given.model[0], corpus, given.size, given.out)
    if given.side == "encode":
        return encode(given.model[0], given.out, [*corpus, *given.english])
    return train_fresh(corpus, given.size)


def _compare(given: argparse.Namespace, corpus: list[Path], folder: Path) -> dict[str, Any]:
    shared = ["--corpus", *map(str, corpus), "--size", str(given.size)]
    models = [path.resolve() for path in given.model]
    runs: dict[str, list[dict[str, Any]]] = {}
    for turn in range(given.rounds):
        if not given.no_fresh:
            runs.setdefault("fresh", []).append(_apart(*shared, "--side", "fresh"))
        for model in models:
            out = ["--out", str(folder / f"{model.name}-{turn}")]
            runs.setdefault(model.name, []).append(_apart(*shared, "--side", "ours", "--model", str(model), *out))
    sides = {name: _median(each) for name, each in runs.items()}
    for name, side in sides.items():
        if name != "fresh" and "fresh" in sides:
            for unit in ("seconds", "processor_seconds"):
                side[f"{unit}_ratio"] = side[unit] / sides["fresh"][unit]
    english = ["--english", *(str(path.resolve()) for path in given.english)] if given.english else []
    for model in models:
        told = ["--side", "encode", "--model", str(model), "--out", str(folder / f"{model.name}-0"), *english]
        sides[model.name]["encoding"] = _apart(*shared, *told)
    size = sum(path.stat().st_size for path in corpus)
    return {"bytes": size, "size": given.size, "load": os.getloadavg(), **sides}


def _median(runs: list[dict[str, Any]]) -> dict[str, Any]:
    found = dict(runs[0])
    for key in ("seconds", "processor_seconds", "peak_memory_bytes"):
        found[key] = statistics.median(run[key] for run in runs)
        found[f"{key}_of_each"] = [run[key] for run in runs]
    return found


if __name__ == "__main__":
    main()
