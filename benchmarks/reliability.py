"""What the studio stands: many open pages during a training, kills at random, senseless calls, and many jobs.

    python benchmarks/reliability.py [--parts polls kills fuzz many] [--kills 200] [--seconds 60] [--clients 50]
                                     [--examples 3] [--tiny] [--seed 0] [--json FILE]

polls: the answers' times and the server's processor while `--clients` pages poll at their own interval, turn about
with as long without any, in one training; `--seconds` is the length of a turn, `--tiny` takes a model of 100,000
weights. kills: `--kills` times SIGKILL to the app or a worker over a stream of short jobs. fuzz: every endpoint of the
Gradio API for `--seconds` in all. many: 500 queued jobs, 2,000 ended ones and as many runs. Each part works in a fresh
workspace of its own; the exit status is 1 if a part found a fault.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import reliability_fuzz, reliability_kills, reliability_many, reliability_polls  # noqa: E402

Part = Callable[[argparse.Namespace], dict[str, Any]]
PARTS: dict[str, Part] = {
    "polls": lambda given: reliability_polls.measure(given.clients, given.seconds, given.turns, tiny=given.tiny),
    "kills": lambda given: reliability_kills.measure(given.kills, given.seed),
    "fuzz": lambda given: reliability_fuzz.measure(given.seconds, given.seed, given.examples),
    "many": lambda given: reliability_many.measure(given.queued, given.ended),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--turns", type=int, default=3, help="with clients, and as many without")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--queued", type=int, default=500)
    parser.add_argument("--ended", type=int, default=2000)
    parser.add_argument("--examples", type=int, default=3, help="of one endpoint in a row")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = {}
    for part in options.parts:
        result[part] = PARTS[part](options)
        for key, value in result[part].items():
            print(f"{part}.{key}: {value:.2f}" if isinstance(value, float) else f"{part}.{key}: {value}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf8")
    return int(any(found.get("faults") for found in result.values()))


if __name__ == "__main__":
    sys.exit(main())
