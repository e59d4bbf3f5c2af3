"""How fast the vocabulary tab's slider is answered: what the server computes for one move, of 20,000 pieces.

    python -m benchmarks.slider --vocabulary DIR [--moves 200] [--json FILE]

`DIR` is a learned vocabulary. One move gives the figures, the curve with its marks, the sentence's chips, the first
200 new tokens and whether English was measured; the time is that of the page's own handler, without the network.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from studio.i18n import say
from studio.services import expansion
from studio.services.studio import open_studio
from studio.settings import Settings
from studio.ui.vocabulary_size import moved


def measure(vocabulary: Path, moves: int) -> dict[str, Any]:
    """Milliseconds of the first look and of `moves` moves to random sizes."""
    with tempfile.TemporaryDirectory() as folder:
        studio = open_studio(Settings(Path(folder) / "workspace"))
        (studio.settings.vocabularies / "learned").symlink_to(vocabulary.resolve())
        sentence = say("fa", "vocabulary.example")

        def move(size: int | None) -> float:
            start = time.perf_counter()
            moved("fa", studio, expansion.view(studio, "learned", size), sentence)
            return 1000 * (time.perf_counter() - start)

        first = move(None)
        pieces = expansion.view(studio, "learned").vocabulary.added
        chance = random.Random(0)
        times = sorted(move(chance.randint(0, pieces)) for _ in range(moves))
    return {
        "pieces": pieces,
        "first_ms": first,
        "median_ms": statistics.median(times),
        "p95_ms": times[int(0.95 * len(times))],
        "worst_ms": times[-1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabulary", type=Path, required=True)
    parser.add_argument("--moves", type=int, default=200)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = measure(options.vocabulary, options.moves)
    for name, value in found.items():
        sys.stdout.write(f"{name:10} {value:10.1f}\n")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
