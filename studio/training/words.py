"""The vocabulary of a run: its tokenizer, the rows that can learn, and where stages and checkpoints keep them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from studio.models.files import ModelFiles
from studio.tokenizer.rows import check_base, load_rows, save_rows
from studio.tokenizer.vocabulary import FILE, Vocabulary, read_vocabulary
from studio.training.embedding import TrainedRows, split_tables

FOLDER = "vocabulary"


@dataclass(frozen=True, slots=True)
class Words:
    """A run's own vocabulary: `folder` holds its tokenizer and start rows, `trained` the rows in the model."""

    folder: Path
    vocabulary: Vocabulary
    trained: TrainedRows

    def learn(self, what: Literal["new", "all", "frozen"]) -> None:
        """Choose what learns in the coming stage: the new rows, every row that can, or none."""
        self.trained.learn({"new": self.vocabulary.first, "all": 0, "frozen": None}[what])

    def save(self, folder: Path) -> None:
        """Write the rows into a checkpoint or a finished stage."""
        save_rows(folder, self.trained.rows(), self.vocabulary, self.folder)

    def load(self, folder: Path) -> None:
        """Take over the rows that `save` wrote.

        Raises:
            StudioError: ``rows.*``.
        """
        self.trained.put(load_rows(folder, self.vocabulary, self.folder))


def words_of(run: Path) -> Path | None:
    """Where a run keeps its vocabulary; None for one without."""
    folder = run / FOLDER
    return folder if (folder / FILE).is_file() else None


def open_words(folder: Path, base: ModelFiles, model: Any, *, whole: bool) -> Words:
    """Put the vocabulary in `folder` beside the tables of `model`; `whole` lets old rows learn too.

    Raises:
        StudioError: ``rows.other_base``, ``rows.missing``, ``rows.*`` or ``vocabulary.*``.
    """
    vocabulary = read_vocabulary(folder)
    check_base(base, vocabulary)
    return Words(folder, vocabulary, split_tables(model, load_rows(folder, vocabulary), whole=whole))
