"""Start rows that are fitted on a little text while the whole model stays frozen.

`fitted` is ours. A row is the mean of its parts' rows, plus a linear map, shared by all new tokens, of the mean, the
first and the last part's row and the number of parts, plus a correction of its own. What the map learns from frequent
tokens (above all that new tokens are likely in this script) holds for the rare ones too. On SmolLM2 +4,000, after
10,200 tokens of text, Persian stands at 1.80 bits per byte on news and 1.88 on stories; rows fitted one by one at 2.12
and 2.30, the mean at 2.33 and 2.61, the base at 1.99 and 1.85. Once fitted, the map is gone: only rows remain.

`distilled` is Token Distillation (2505.20133): rows of their own, drawn to where the model's last hidden state,
reading new tokens, is what it is when it reads the same text in old ones; with the next-token term that a head needs.

Both are held off text without the script by what new tokens would take from it: log(1 + Z_new / Z_old), which *is* the
loss of such text, since its tokens and hidden states are the base's own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.models.new_rows import NewRows
from studio.tokenizer.embeddings import Tables, weighted_mean

GUARD = 8.0
"""Weight of the loss on text without the script; at 4 English lost 0.2% (en 1.5439 → 1.5472), at 0 it lost 0.5%."""
_MAP_RATE, _ROW_RATE, _LONE_ROW_RATE = 1e-4, 1e-3, 2e-3
_USUAL = 0.1356
"""Root mean square of SmolLM2's rows, for which the rates were found; those of Gemma-3-270m have 0.0408."""
_GUARD_POSITIONS = 256  # a step


@dataclass(frozen=True, slots=True)
class Budget:
    """How much text is read: `steps` of `batch` passages of at most `length` tokens; and `free` tokens, written by the
    base itself in `FREE_PASSAGES` passages, are guarded."""

    steps: int
    batch: int
    length: int
    free: int = 64


BUDGETS = {"cpu": Budget(48, 4, 96), "cuda": Budget(200, 16, 128), "smoke": Budget(3, 2, 48, 8)}
"""By device, and of a smoke run, which shows that fitting works and leaves the rows about where the mean puts them."""

FREE_PASSAGES = 32


@dataclass(frozen=True, slots=True)
class Guarded:
    """Positions of text without the script: the base's last `hidden` states ``(n, width)`` and its log Z ``(n,)``."""

    hidden: torch.Tensor
    partition: torch.Tensor


def write_freely(model: Any, document_start: int, seed: int, length: int = 64) -> list[list[int]]:
    """Passages that the base writes by itself, so that guarding it needs no text in languages nobody gave."""
    starts = torch.full((FREE_PASSAGES, 1), document_start, device=model.device)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        written = model.generate(
            starts,
            attention_mask=torch.ones_like(starts),
            do_sample=True,
            top_k=0,
            top_p=1.0,
            temperature=1.0,
            max_new_tokens=length,
            pad_token_id=document_start,
        ).tolist()
    ends = [next((at for at, token in enumerate(row[1:], 1) if token == document_start), len(row)) for row in written]
    return [row[:end] for row, end in zip(written, ends, strict=True) if end > 1]


def guard(model: Any, passages: Sequence[Sequence[int]]) -> Guarded:
    """What the base makes of `passages`, each beginning with the document start."""
    head = model.get_output_embeddings().weight
    hidden, partition = [head[:0]], [head[:0, 0].float()]
    with torch.inference_mode():
        for passage in passages:
            inputs = torch.tensor([passage], device=head.device)
            states = model.get_decoder()(input_ids=inputs, use_cache=False).last_hidden_state[0]
            hidden.append(states)
            partition.append(torch.logsumexp((states @ head.T).float(), -1))
    return Guarded(torch.cat(hidden).clone(), torch.cat(partition).clone())


def fit(
    model: Any,
    tables: Tables,
    parts: Sequence[Sequence[int]],
    first: int,
    passages: Sequence[Sequence[int]],
    guarded: Guarded,
    *,
    shared: bool,
    batch: int,
    progress: Progress,
    stopping: Stopping,
    seed: int,
) -> NewRows:
    """Fit start rows.

    Args:
        model: The base as loaded, in the device's precision; every parameter frozen. Its tables stay as they are.
        tables: Its old rows.
        parts: From `spell`.
        first: Id of the first new token.
        passages: Token ids of the extended tokenizer, each beginning with the document start; read once, in order.
        guarded: From `guard`.
        shared: ``fitted`` with the shared map; else ``distilled``, whose hidden states are compared.
        batch: Passages of a step.
        progress: Told the share done.
        stopping: Asked at every step.
        seed: Of the positions guarded at each step.

    Raises:
        StudioError: ``job.stopped``.
    """
    sides = [_Side(table, parts, shared=shared) for table in (tables.input, tables.output) if table is not None]
    body = _Body(model, tables, first, parts)
    chance = torch.Generator().manual_seed(seed)
    steps = [passages[start : start + batch] for start in range(0, len(passages), batch)]
    for place, step in enumerate(steps):
        if stopping():
            raise StudioError("job.stopped")
        rows = [side.rows() for side in sides]
        loss, touched = body.loss(step, rows[0], rows[-1], compare=not shared)
        if len(guarded.partition):
            loss = loss + GUARD * _taken(guarded, rows[-1], chance)
        loss.backward()
        # The last third settles: a constant rate leaves the noise of a few hundred tokens a step in the rows.
        rate = min(1.0, 3 * (1 - place / len(steps)))
        for side in sides:
            side.step(touched, rate)
        progress((place + 1) / len(steps), "progress.rows.fit")
    found = [side.rows().detach().float().cpu() for side in sides]
    return NewRows(torch.arange(first, first + len(parts)), found[0], found[1] if tables.output is not None else None)


class _Side:
    """The rows of one table while they are fitted; a correction moves only at steps that meet its token."""

    def __init__(self, table: torch.Tensor, parts: Sequence[Sequence[int]], *, shared: bool) -> None:
        self._mean = weighted_mean(table, parts).to(table.device)
        self._own = torch.zeros_like(self._mean, requires_grad=True)
        scale = float(table.float().square().mean().sqrt()) / _USUAL
        self._rate = scale * (_ROW_RATE if shared else _LONE_ROW_RATE)
        self._first, self._second = torch.zeros_like(self._mean), torch.zeros_like(self._mean)
        self._met = torch.zeros(len(parts), 1, device=table.device)
        self._features: torch.Tensor | None = None
        if shared:
            ends = [table[torch.tensor([each[end] for each in parts]).to(table.device)].float() for end in (0, -1)]
            sizes = torch.tensor([[math.log(len(each)), 1.0] for each in parts], device=table.device)
            self._features = torch.cat([self._mean, *ends, scale * sizes], 1)
            width = (self._features.shape[1], table.shape[1])
            self._map = torch.zeros(width, device=table.device, requires_grad=True)
            self._optimizer = torch.optim.Adam([self._map], lr=_MAP_RATE, betas=(0.9, 0.95))

    def rows(self) -> torch.Tensor:
        """``(n, hidden)`` in fp32."""
        rows = self._mean + self._own
        return rows if self._features is None else rows + self._features @ self._map

    def step(self, touched: torch.Tensor, share: float) -> None:
        """One step of Adam; `touched` are the places of the rows that the step read or had to predict.

        The others' gradient is only that they were not said. Adam would make a full step of it, and 20,000 tokens of
        text would push the rare ones out of reach: Persian 2.37 → 2.11 so, 2.12 with half the text without them.
        """
        gradient = self._own.grad
        assert gradient is not None
        here = gradient[touched]
        self._met[touched] += 1
        self._first[touched] = 0.9 * self._first[touched] + 0.1 * here
        self._second[touched] = 0.95 * self._second[touched] + 0.05 * here.square()
        mean = self._first[touched] / (1 - 0.9 ** self._met[touched])
        size = (self._second[touched] / (1 - 0.95 ** self._met[touched])).sqrt()
        with torch.no_grad():
            self._own[touched] -= self._rate * share * mean / (size + 1e-8)
        self._own.grad = None
        if self._features is not None:
            self._optimizer.param_groups[0]["lr"] = _MAP_RATE * share
            self._optimizer.step()
            self._optimizer.zero_grad()


class _Body:
    """A frozen model that reads and predicts new tokens whose rows stand outside its tables."""

    def __init__(self, model: Any, tables: Tables, first: int, parts: Sequence[Sequence[int]]) -> None:
        self._decoder, self._embedding = model.get_decoder(), model.get_input_embeddings()
        self._head = tables.input if tables.output is None else tables.output
        self._first, self._parts = first, parts
        self._device, self._dtype = tables.input.device, tables.input.dtype
        # Gemma multiplies what it looks up by the square root of its width.
        some = torch.arange(min(first, 256), device=self._device)
        with torch.no_grad():
            found, rows = self._embedding(some).float(), tables.input[some].float()
        self._scale = float((found * rows).sum() / rows.square().sum())

    def loss(
        self, passages: Sequence[Sequence[int]], read: torch.Tensor, written: torch.Tensor, *, compare: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss on `passages`, and the places of the new tokens in them."""
        inputs, targets, scored = _rectangle(passages, self._device)
        states = self._decoder(inputs_embeds=self._embed(inputs, read), use_cache=False).last_hidden_state[scored]
        wanted = targets[scored]
        logits = torch.cat([states @ self._head[: self._first].T, states @ written.to(self._dtype).T], 1).float()
        loss = functional.cross_entropy(logits, wanted)
        if compare:
            other = self._old_states(passages)
            loss = loss + (states.float() - other).square().mean() / other.var()
        met = torch.cat([inputs.flatten(), wanted])
        return loss, torch.unique(met[met >= self._first]) - self._first

    def _embed(self, inputs: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
        new = inputs >= self._first
        old = self._embedding(inputs.clamp(max=self._first - 1))
        rows = functional.embedding((inputs - self._first).clamp(min=0), read) * self._scale
        return torch.where(new[..., None], rows.to(old.dtype), old)

    def _old_states(self, passages: Sequence[Sequence[int]]) -> torch.Tensor:
        """The last hidden states where each token but the last of each passage ends, read in old tokens, in fp32."""
        spelled = [[self._spell(token) for token in passage] for passage in passages]
        flat = [[part for token in passage for part in token] for passage in spelled]
        inputs = torch.zeros((len(flat), max(map(len, flat))), dtype=torch.long, device=self._device)
        for row, passage in enumerate(flat):
            inputs[row, : len(passage)] = torch.tensor(passage)
        with torch.no_grad():
            states = self._decoder(input_ids=inputs, use_cache=False).last_hidden_state
        ends = [torch.tensor([len(token) for token in passage[:-1]]).cumsum(0) - 1 for passage in spelled]
        return torch.cat([states[row, end.to(self._device)] for row, end in enumerate(ends)]).float()

    def _spell(self, token: int) -> Sequence[int]:
        return self._parts[token - self._first] if token >= self._first else (token,)


def _rectangle(
    passages: Sequence[Sequence[int]], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inputs, next tokens, and where there are any, each ``(passages, longest − 1)``."""
    shape = (len(passages), max(map(len, passages)) - 1)
    inputs, targets = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
    scored = torch.zeros(shape, dtype=torch.bool)
    for row, passage in enumerate(passages):
        inputs[row, : len(passage) - 1] = torch.tensor(passage[:-1])
        targets[row, : len(passage) - 1] = torch.tensor(passage[1:])
        scored[row, : len(passage) - 1] = True
    return inputs.to(device), targets.to(device), scored.to(device)


def _taken(guarded: Guarded, written: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
    """Mean loss that the new rows bring to guarded positions: log(1 + Z_new / Z_old), in nats."""
    at = torch.randint(len(guarded.partition), (_GUARD_POSITIONS,), generator=chance).to(written.device)
    logits = (guarded.hidden[at] @ written.to(guarded.hidden.dtype).T).float()
    return functional.softplus(torch.logsumexp(logits, -1) - guarded.partition[at]).mean()
