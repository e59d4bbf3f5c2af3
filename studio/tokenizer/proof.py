"""``python -m studio.tokenizer.proof DIR SIZE``: whether text without the script keeps its ids at a size.

A process of its own: making the tokenizer of a size takes 0.2 s for Llama-2's vocabulary and 4 s for Gemma's, and
holds the interpreter all the while. In the app's own process the slider would wait for it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from studio.data.starters import story_pairs
from studio.settings import ROOT
from studio.tokenizer import report
from studio.tokenizer.export import extend
from studio.tokenizer.scripts import find_script
from studio.tokenizer.vocabulary import Vocabulary, base_of, read_vocabulary


def prove(folder: Path, size: int) -> tuple[int, int]:
    """How many of the texts change with the first `size` pieces of a vocabulary, and how many there are."""
    done = subprocess.run(
        [sys.executable, "-m", "studio.tokenizer.proof", str(folder.resolve()), str(size)],
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise ValueError(f"the proof of {folder} at {size} ended with {done.returncode}: {done.stderr[-500:]}")
    changed, checked = json.loads(done.stdout)
    return changed, checked


def prove_here(folder: Path, size: int) -> tuple[int, int]:
    """As `prove`, in this process."""
    found = read_vocabulary(folder)
    base = base_of(folder, found)
    after = extend(base.definition, found.extension.first(size))
    return report.count_changed(report.load(base.definition), report.load(after), untouched(found))


def untouched(found: Vocabulary) -> Iterator[str]:
    """English and program code without a character of the script."""
    script = find_script(found.script)
    code = Path(report.__file__).read_text(encoding="utf8").splitlines()
    yield from (line for pair in story_pairs() for line in pair.en.splitlines() if not script.touches(line))
    yield from (line for line in code if not script.touches(line))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(prove_here(Path(sys.argv[1]), int(sys.argv[2]))))
