"""Learning 20,000 tokens beside a fresh BPE of the same size by `tokenizers`' own trainer, from the same files.

    python -m benchmarks.vocabulary --corpus FILE… [--model DIR]… [--size 20000] [--noise BYTES] [--json FILE]

Each side runs in a process of its own, in turn, so that times and peak memory are its own. Give plain text files, as
`--assemble OUT FILE…` makes them of jsonl files (each string that holds Persian becomes a line). With `--noise` the
corpus is repeated to that many bytes, one letter in fifty exchanged, so that every repetition brings new words.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from studio.data.script import persian_share
from studio.jobs.events import Progress
from studio.tokenizer.corpus import Part
from studio.tokenizer.expand import Watch
from studio.tokenizer.making import make, peak_memory

LETTERS = "ابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی"


def learn(model: Path, corpus: list[Path], size: int) -> dict[str, Any]:
    """Our side: from files to a written folder."""
    quiet: Progress = lambda share, note: None  # noqa: E731
    with tempfile.TemporaryDirectory() as folder:
        found = make(
            model,
            [Part(path, False) for path in corpus],
            size,
            Path(folder) / "out",
            reference=str(model),
            english=[],
            watch=Watch(quiet, lambda: False),
        )
    curve = found.pop("curve")
    figures = {key: found[key] for key in ("seconds", "peak_memory_bytes", "added", "unreachable")}
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
    return {"seconds": seconds, "peak_memory_bytes": peak_memory(0), "vocabulary": tokenizer.get_vocab_size()}


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
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root, env={**os.environ})
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, nargs="+", required=True)
    parser.add_argument("--model", type=Path, action="append", default=[])
    parser.add_argument("--size", type=int, default=20_000)
    parser.add_argument("--noise", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--assemble", type=Path, metavar="OUT")
    parser.add_argument("--side", choices=("ours", "fresh"))
    given = parser.parse_args()
    corpus = [path.resolve() for path in given.corpus]
    if given.assemble:
        assemble(corpus, given.assemble)
        return
    if given.side:
        side = learn(given.model[0], corpus, given.size) if given.side == "ours" else train_fresh(corpus, given.size)
        print(json.dumps(side))
        return
    with tempfile.TemporaryDirectory() as folder:
        if given.noise:
            add_noise(corpus, Path(folder) / "noisy.txt", given.noise)
            corpus = [Path(folder) / "noisy.txt"]
        found = _compare([path.resolve() for path in given.model], corpus, given.size)
    print(json.dumps(found, indent=2))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf8")


def _compare(folders: list[Path], corpus: list[Path], size: int) -> dict[str, Any]:
    shared = ["--corpus", *map(str, corpus), "--size", str(size)]
    fresh = _apart(*shared, "--side", "fresh")
    ours = {}
    for folder in folders:
        side = _apart(*shared, "--side", "ours", "--model", str(folder))
        ours[folder.name] = side | {"seconds_ratio": side["seconds"] / fresh["seconds"]}
    return {"bytes": sum(path.stat().st_size for path in corpus), "size": size, "fresh": fresh, "continued": ours}


if __name__ == "__main__":
    main()
