"""What a long training on a processor holds: few shapes of products, and no holes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from psutil import Process

from studio.jobs.events import MetricRow
from studio.training import fused_llama, loss, reporter, trainer
from studio.training.attention_blocks import GRID
from studio.training.curriculum import TrainResult
from studio.training.memory import give_back

Train = Callable[..., tuple[TrainResult, list[MetricRow]]]
PIECE, PIECES = 100_000, 3_000  # bytes; larger ones have pages of their own from the start


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc keeps holes and can be asked for them")
def test_what_was_freed_between_what_is_used_goes_back() -> None:
    process, give = Process(), PIECE * PIECES // 2
    give_back()
    pieces = [bytearray(b"x" * PIECE) for _ in range(PIECES)]
    full = process.memory_info().rss
    kept = pieces[::50]
    del pieces
    assert full - process.memory_info().rss < give
    give_back()
    assert full - process.memory_info().rss > give
    assert len(kept) == PIECES // 50


def test_a_training_gives_back_as_it_goes(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr(reporter, "GIVE_BACK_SECONDS", 0)
    monkeypatch.setattr(reporter, "give_back", lambda: given.append(1))
    train("a", "stages.0.budget.steps=3")
    assert len(given) == 3


def test_lengths_come_again(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each length that is new to oneDNN is compiled and kept."""
    batches, documents, heads = set(), set(), set()
    labelled, attend, logits = trainer.labelled_loss, fused_llama.attend, loss._Blocks.logits

    def see_batch(hidden: Any, *rest: Any, **named: Any) -> Any:
        batches.add(hidden.shape[0])
        return labelled(hidden, *rest, **named)

    def see_document(query: Any, *rest: Any) -> Any:
        documents.add(query.shape[1])
        return attend(query, *rest)

    def see_head(blocks: Any, part: Any) -> Any:
        heads.add(len(part))
        return logits(blocks, part)

    monkeypatch.setattr(trainer, "labelled_loss", see_batch)
    monkeypatch.setattr(loss._Blocks, "logits", see_head)
    monkeypatch.setattr(fused_llama, "attend", see_document)
    _, rows = train("a", "stages.0.budget.steps=6")
    assert batches
    assert all(tokens % trainer.GRID == 0 for tokens in batches)
    assert documents
    assert all(tokens % GRID == 0 for tokens in documents)
    assert heads
    assert all(positions % loss.GRID == 0 for positions in heads)
    assert any((later.tokens - row.tokens) % GRID for row, later in zip(rows, rows[1:], strict=False))
