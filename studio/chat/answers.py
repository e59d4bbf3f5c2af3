"""One answer while it is being written, a token at a time, so that several can take turns on one model."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from studio.chat.decoding import TextStream
from studio.chat.events import Finished, Reason, Started
from studio.chat.kept import Kept, continue_from
from studio.chat.requests import Request, Sampling
from studio.chat.sides import Side
from studio.errors import StudioError
from studio.jobs.events import Stopping

LONG_PROMPT = 64  # tokens; reading fewer takes about as long as one step, so Stop can wait for it


class Interrupted(Exception):
    """Stop was pressed while a prompt was being read."""


class Answer:
    """An answer of one side.

    The token choice is that of ``transformers``' ``generate``: its own logits processors, argmax when greedy, else one
    draw per token from a generator seeded with `seed`. Not shared between threads.

    Args:
        number: Index of the request, repeated in its events.
        side: Gives tokenizer and stop tokens; its kept cache is taken and given back at the end.
        request: The conversation and the sampling.
        model: The base, with the side's adapter switched on whenever `step` runs.

    Raises:
        StudioError: ``chat.too_long`` if the prompt leaves no room for an answer, and what `Side.encode` raises.
    """

    def __init__(self, number: int, side: Side, request: Request, model: Any) -> None:
        self.number = number
        self._side, self._model = side, model
        self._sampling = request.sampling
        prompt = side.encode(request.messages)
        limit = context_limit(model)
        if len(prompt) >= limit:
            raise StudioError("chat.too_long", tokens=len(prompt), limit=limit)
        self._room = min(request.sampling.max_new_tokens, limit - len(prompt))
        self._cache, self._kept = continue_from(side.kept, prompt, model.config)
        side.kept = None  # an answer beside this one on the same side must not write into the same cache
        self._prompt = len(prompt)
        self._length = len(prompt)
        self._ids = torch.empty((1, len(prompt) + self._room), dtype=torch.long, device=model.device)
        self._ids[0, : self._length] = torch.tensor(prompt)
        self._processors = _processors(request.sampling, model.generation_config)
        self._generator = torch.Generator(device=model.device).manual_seed(request.sampling.seed)
        self._stream = TextStream(side.decode)
        self._text: list[str] = []
        self._seconds = self._first = 0.0
        self.reason: Reason | None = None

    @property
    def side(self) -> Side:
        return self._side

    def started(self) -> Started:
        side = self._side
        return Started(self.number, side.reference, self._prompt, self._kept, side.has_template)

    def step(self, stopping: Stopping) -> str:
        """Produce one token and give the text that became whole; `reason` is set once the answer is over.

        Raises:
            Interrupted: If `stopping` came true while the prompt was being read; the answer cannot go on.
        """
        begin = time.perf_counter()
        with torch.inference_mode():
            piece = self._advance(stopping)
        self._seconds += time.perf_counter() - begin
        if not self._first:
            self._first = self._seconds
        self._text.append(piece)
        return piece

    def finish(self, reason: Reason) -> Finished:
        """Close the answer and hand its cache back to the side."""
        tokens = self._length - self._prompt
        if tokens:  # the last token was chosen but never read
            known: list[int] = self._ids[0, : self._length - 1].tolist()
            self._side.kept = Kept(known, self._prompt, self._cache)
        text = "".join(self._text)
        seconds = self._seconds or 1e-9
        return Finished(
            answer=self.number,
            side=self._side.reference,
            text=text,
            reason=reason,
            tokens=tokens,
            seconds=self._seconds,
            first_token_seconds=self._first,
            tokens_per_second=tokens / seconds,
            characters_per_second=len(text) / seconds,
        )

    def close(self) -> str:
        """Text that was held back for a token which will not come."""
        rest = self._stream.end()
        self._text.append(rest)
        return rest

    def _advance(self, stopping: Stopping) -> str:
        known = self._ids[:, : self._length]
        fresh = known[:, self._kept :] if self._length == self._prompt else known[:, -1:]
        with _interruptible(self._model, stopping, fresh.shape[1]):
            # The one position that generate asks for, so that the products have the same shapes and the same bits.
            output = self._model(input_ids=fresh, past_key_values=self._cache, use_cache=True, logits_to_keep=1)
        scores = self._processors(known, output.logits[:, -1].to(torch.float32, copy=True))
        if self._sampling.greedy:
            token = int(scores.argmax(dim=-1))
        else:
            chances = scores.softmax(dim=-1)
            token = int(torch.multinomial(chances, 1, generator=self._generator))
        self._ids[0, self._length] = token
        self._length += 1
        if token in self._side.stops:
            self.reason = "end"
            return self._stream.end()
        piece = self._stream.add(token)
        if self._length - self._prompt == self._room:
            self.reason = "length" if self._room == self._sampling.max_new_tokens else "context"
            piece += self._stream.end()
        return piece


def context_limit(model: Any) -> int:
    """Tokens, prompt and answer together, that the model was made for."""
    limit = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    return int(limit or 2**31)  # models without positions (recurrent ones) name no limit


def _processors(sampling: Sampling, own: Any) -> Any:
    # The order is that of transformers' generate; another order gives other answers.
    from transformers import (
        LogitsProcessorList,
        RepetitionPenaltyLogitsProcessor,
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    chosen = LogitsProcessorList()
    penalty = sampling.repetition_penalty or own.repetition_penalty or 1.0
    if penalty != 1.0:
        chosen.append(RepetitionPenaltyLogitsProcessor(penalty))
    if sampling.greedy:
        return chosen
    if sampling.temperature != 1.0:
        chosen.append(TemperatureLogitsWarper(sampling.temperature))
    if sampling.top_k:
        chosen.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1.0:
        chosen.append(TopPLogitsWarper(sampling.top_p))
    return chosen


@contextmanager
def _interruptible(model: Any, stopping: Stopping, tokens: int) -> Iterator[None]:
    """Let Stop break off the reading of a long prompt between two layers, without splitting it into chunks."""
    if tokens < LONG_PROMPT:
        yield
        return

    def check(*_: Any) -> None:
        if stopping():
            raise Interrupted

    linear = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
    hooks = [module.register_forward_pre_hook(check) for module in linear]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
