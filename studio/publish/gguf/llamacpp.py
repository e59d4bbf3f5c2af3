"""Opens a GGUF file in the real llama.cpp and writes down what it saw, as JSON.

It runs in a process of its own, which a fault in llama.cpp may end without harm, and imports nothing of this studio.
Arguments: a file with the questions, and the file for the answers. Beside the latter, ``.ticks`` grows by a byte with
each answer.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any

import xllamacpp

_FORCE = 1000.0  # added to a token's logit: no other can be drawn; the probabilities reported are those before it
_SEEN = 256  # likeliest tokens looked at where one cannot be drawn
_SECONDS = 1800.0
_SMALL = 1 << 30


def main(asked: Path, told: Path) -> None:
    """Answer the questions in `asked`.

    They are: `file`; `texts` to tokenise; `documents`, lists of ids, each beginning with what is given and not scored.
    The answers: `tokens`, the ids of each text; `start`, the ids llama.cpp puts before a text by itself; and
    `positions`, for every id scored the likeliest one there and the natural logarithm of its own probability; None
    instead for a part of a letter that is not among the 256 likeliest.
    """
    questions = json.loads(asked.read_text(encoding="utf8"))
    llama = _Llama(Path(questions["file"]), max(map(len, questions["documents"]), default=1), told)
    tokens = [llama.tokens(text) for text in questions["texts"]]
    start = llama.tokens("", special=True)
    positions = [llama.score(document) for document in questions["documents"]]
    answers = {"tokens": tokens, "start": start, "positions": positions, "version": xllamacpp.__version__}
    told.write_text(json.dumps(answers), encoding="utf8")


class _Llama:
    def __init__(self, file: Path, length: int, told: Path) -> None:
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(file)
        parameters.n_ctx, parameters.n_parallel, parameters.port = max(256, length + 8), 1, 0
        parameters.warmup, parameters.swa_full, parameters.verbosity = False, True, -1
        # Its threads wait for each other by spinning: two of them on a busy machine took 3 s for what one does in
        # 12 ms. A large model is worth half of the processors.
        small = file.stat().st_size < _SMALL
        threads = 1 if small else max(1, (os.cpu_count() or 1) // 2)
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
        self._server = xllamacpp.Server(parameters)
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._ticks = told.with_suffix(".ticks").open("ab", buffering=0)
        self._plain = self.tokens("a")[-1]

    def tokens(self, text: str, *, special: bool = False) -> list[int]:
        found: list[int] = self._post("/tokenize", content=text, add_special=special, parse_special=True)["tokens"]
        self._tick()
        return found

    def score(self, document: list[int]) -> list[tuple[int, float | None]]:
        found = []
        for place in range(1, len(document)):
            found.append(self._score(document[:place], document[place]))
            self._tick()
        return found

    def _score(self, before: list[int], wanted: int) -> tuple[int, float | None]:
        drawn = self._draw(before, wanted, 1)
        if drawn is None:
            # Part of a letter: the server keeps it back and tells no probability, so another token is drawn.
            drawn = self._draw(before, self._plain, _SEEN)
            assert drawn is not None
            seen = {int(each["id"]): float(each["logprob"]) for each in drawn["top_logprobs"]}
            return int(drawn["top_logprobs"][0]["id"]), seen.get(wanted)
        return int(drawn["top_logprobs"][0]["id"]), float(drawn["logprob"])

    def _draw(self, before: list[int], wanted: int, seen: int) -> dict[str, Any] | None:
        answer = self._post(
            "/completion",
            prompt=before,
            n_predict=1,
            n_probs=seen,
            temperature=0,
            samplers=["temperature"],
            logit_bias=[[wanted, _FORCE]],
            cache_prompt=True,
        )
        drawn: list[dict[str, Any]] = answer.get("completion_probabilities", [])
        return drawn[0] if drawn else None

    def _post(self, path: str, **body: Any) -> Any:
        data = json.dumps(body).encode()
        address = f"{self._server.listening_address}{path}"
        request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
        with self._opener.open(request, timeout=_SECONDS) as answer:
            return json.load(answer)

    def _tick(self) -> None:
        self._ticks.write(b".")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
    sys.stdout.flush()
    os._exit(0)  # its threads need not be waited for
