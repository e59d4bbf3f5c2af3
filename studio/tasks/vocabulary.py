"""Jobs of a vocabulary: learn it, give it start rows, write a base with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.tasks.texts import QUICK_TEXTS

if TYPE_CHECKING:
    from studio.worker import Work


def learn_vocabulary(work: Work) -> dict[str, Any]:
    """Extend a tokenizer from a corpus, as `studio.services.vocabulary` asks."""
    from studio.data.starters import story_pairs
    from studio.models.files import locate_tokenizer
    from studio.tokenizer.corpus import find_parts
    from studio.tokenizer.expand import Watch
    from studio.tokenizer.making import make

    given = work.job.arguments
    return make(
        locate_tokenizer(given["model"], work.settings),
        find_parts(given["corpus"], work.settings),
        given["size"],
        Path(given["out"]),
        method=given["method"],
        script=given["script"],
        reference=given["model"],
        english=[line for pair in story_pairs() for line in pair.en.splitlines()],
        watch=Watch(work.progress, work.stopping),
        at_most=given.get("at_most", False),
    )


def make_rows(work: Work) -> dict[str, Any]:
    """Make and measure start rows for a vocabulary, as `studio.services.rows` asks; a smoke run's on one text only."""
    from studio.data.starters import held_out_lines
    from studio.models.files import locate
    from studio.tokenizer.corpus import find_parts
    from studio.tokenizer.starting import make_starts

    given = work.job.arguments
    smoke = given.get("smoke", False)
    texts = 1 if smoke else QUICK_TEXTS
    starts = make_starts(
        locate(given["model"], work.settings),
        Path(given["vocabulary"]),
        find_parts(given["corpus"], work.settings),
        {"fa": held_out_lines("fa")[:texts], "en": held_out_lines("en")[:texts]},
        given["methods"],
        given["keep"],
        progress=work.progress,
        stopping=work.stopping,
        smoke=smoke,
        steps=given.get("steps"),
    )
    return {"vocabulary": given["vocabulary"], **starts.model_dump(mode="json")}


def expand_model(work: Work) -> dict[str, Any]:
    """Write a base with a vocabulary's start rows as a model folder: arguments `model`, `vocabulary` and `out`."""
    from studio.models.files import locate
    from studio.publish.expanded import expand

    given = work.job.arguments
    return expand(
        locate(given["model"], work.settings),
        Path(given["vocabulary"]),
        Path(given["out"]),
        progress=work.progress,
        stopping=work.stopping,
    )
