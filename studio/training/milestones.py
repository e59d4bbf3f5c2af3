"""What happens at a checkpoint: sample answers, held-out figures, which checkpoints stay, and whether to go on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from studio import memory
from studio.jobs.events import Alarm, Progress
from studio.models.template import ChatTemplate
from studio.training.adapter import load_adapter
from studio.training.checkpoints import checkpoint_folder, checkpoints, prune
from studio.training.prompts import PROMPTS, answer, append_answers
from studio.training.room import low

if TYPE_CHECKING:
    from studio.training.stages import Studio

NO_GAIN = 3
"""Measured checkpoints in a row without a better Persian figure, after which a person is told."""


class Milestones:
    """Called with its step after every checkpoint of one stage, and with 0 before the first step of a run.

    Args:
        studio: The run.
        folder: Of the stage.
        template: The model's own; a base without one goes on with the question, which shows its Persian as well.
        number: Of the stage, from 0.
        steps: Of the stage.
        progress: Gets the share of the stage that is done.
    """

    def __init__(
        self, studio: Studio, folder: Path, template: ChatTemplate | None, number: int, steps: int, progress: Progress
    ) -> None:
        self.enough = False  # whether the recipe's patience is at its end
        self._studio, self._folder, self._number, self._steps = studio, folder, number, steps
        self._progress = progress
        self._prompts = [prompt if template is None else template.prompt(prompt) for prompt in PROMPTS]
        self._told = 0

    def __call__(self, step: int) -> None:
        if not self._studio.ranks.computes:
            return
        self._tell(step, "answers")
        self._answer(step)
        if self._studio.held_out is not None and step < self._steps:  # the end is measured after its last checkpoint
            self._tell(step, "held_out")
            self._measure(step)
        if step and self._studio.ranks.first:
            best = None if self._studio.held_out is None else self._studio.held_out.best(self._number, step)
            prune(self._folder, best, self._studio.checkpoints.keep)
            self._look_for_room(step)
        self._tell(step, "steps")

    def _tell(self, step: int, what: str) -> None:
        self._progress(step / self._steps, f"progress.train.{what}")

    def _answer(self, step: int) -> None:
        studio = self._studio
        if studio.words is not None:
            studio.words.trained.place_in(studio.model.get_base_model().get_output_embeddings())
        answers = answer(
            studio.model, studio.tokenizer, self._prompts, studio.answer_tokens, together=studio.ranks.divided
        )
        if studio.ranks.first:
            append_answers(studio.run / "samples.jsonl", self._number, step, answers)

    def _measure(self, step: int) -> None:
        held_out = self._studio.held_out
        assert held_out is not None
        if not step:
            held_out.begin()
            return
        held_out.at_checkpoint(self._number, step)
        since, patience = held_out.since_best(self._number, step), self._studio.patience
        self.enough = patience is not None and since >= patience
        if since >= NO_GAIN and since > self._told:
            self._alarm(step, "no_improvement", checkpoints=since, best=held_out.best(self._number, step))
        self._told = since

    def _look_for_room(self, step: int) -> None:
        newest = checkpoints(self._folder)
        size = sum(path.stat().st_size for path in newest[-1].iterdir()) if newest else 0
        for kind, details in low(self._folder, size, memory.available()):
            self._alarm(step, kind, **details)

    def _alarm(self, step: int, kind: str, **details: object) -> None:
        if self._studio.journal is not None:
            self._studio.journal.alarm(Alarm(self._number, step, kind, time.time(), details))


def back_to_best(studio: Studio, folder: Path, number: int, step: int) -> None:
    """Give a stage that ended early at `step` what its best checkpoint had learnt."""
    best = studio.held_out.best(number, step) if studio.ranks.first and studio.held_out is not None else None
    chosen = int(studio.ranks.total(float(best or 0))[0])
    if not chosen:
        return
    load_adapter(studio.model, checkpoint_folder(folder, chosen))
    if studio.words is not None:
        studio.words.load(checkpoint_folder(folder, chosen))
    if studio.journal is not None:
        details = {"best": chosen, "patience": studio.patience}
        studio.journal.alarm(Alarm(number, step, "ended_early", time.time(), details))
