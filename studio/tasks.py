"""What each kind of job does; the worker runs one of these, with heavy libraries imported only here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.errors import StudioError

if TYPE_CHECKING:
    from studio.worker import Work

QUICK_TEXTS = 12
"""Stories (10 kB) on which a merge is held against its run, and start rows against their base: half the time of all of
them, and a difference of 0.5% still shows."""


def fetch_model(work: Work) -> dict[str, Any]:
    """Bring a model into the workspace: arguments `model`."""
    from studio.models.fetch import fetch

    fetched = fetch(
        work.job.arguments["model"], work.settings, progress=work.progress, stopping=work.stopping, token=work.token
    )
    return {
        "path": str(fetched.path),
        "bytes": fetched.bytes,
        "source": fetched.source,
        "seconds": round(fetched.seconds, 1),
    }


def import_data(work: Work) -> dict[str, Any]:
    """Bring texts into the workspace, as `studio.services.datasets` asks; uploaded files are removed when done."""
    from studio.data import catalogue, starters, stored
    from studio.data.columns import Mapping
    from studio.data.hub import import_hub

    given, target = work.job.arguments, work.settings.datasets
    if given["source"] == "samples":
        manifest = starters.import_starter(given["name"], target, progress=work.progress, stopping=work.stopping)
    elif given["source"] == "hub":
        manifest = import_hub(
            given["repo"],
            given.get("config"),
            given["split"],
            target,
            given["name"],
            rows_limit=given.get("rows_limit"),
            token=work.token,
            roles=given.get("roles"),
            licence=given.get("licence"),
            entry=catalogue.entry(given["entry"]) if given.get("entry") else None,
            progress=work.progress,
            stopping=work.stopping,
        )
    else:
        mapping = None if given.get("mapping") is None else Mapping.model_validate(given["mapping"])
        manifest = stored.import_files(
            [Path(file) for file in given["files"]],
            target,
            given["name"],
            mapping=mapping,
            aligned=given.get("aligned", False),
            encoding=given.get("encoding"),
            licence=given.get("licence"),
            source=given.get("origin", "upload"),
            progress=work.progress,
            stopping=work.stopping,
        )
        if given.get("remove_files"):
            for file in given["files"]:
                Path(file).unlink(missing_ok=True)
    return manifest.model_dump(mode="json")


def check_catalogue(work: Work) -> dict[str, Any]:
    """Ask the Hub whether datasets are there: argument `repos`."""
    from studio.data.findings import check

    return check(
        work.job.arguments["repos"],
        work.settings.findings,
        token=work.token,
        progress=work.progress,
        stopping=work.stopping,
    )


def clean_data(work: Work) -> dict[str, Any]:
    """Clean a dataset into a new one, as `studio.services.cleaning` asks."""
    from studio.data.cleaning.clean import clean
    from studio.data.cleaning.switches import Switches

    given, target = work.job.arguments, work.settings.datasets
    earlier = target / given["earlier"] if given["earlier"] else None
    done = clean(
        target / given["name"],
        target,
        given["out"],
        Switches.model_validate(given["switches"]),
        suites=[Path(file) for file in given["against"]],
        # It may have been deleted while this job waited.
        earlier=earlier if earlier is not None and earlier.exists() else None,
        progress=work.progress,
        stopping=work.stopping,
    )
    return done.figures()


def examine_data(work: Work) -> dict[str, Any]:
    """Measure how healthy a dataset is and keep the figures beside it: arguments `name`, `against` and `model`."""
    from studio.data import health
    from studio.data.stored import token_lengths
    from studio.models.files import locate_tokenizer
    from studio.models.tokenizer import load_tokenizer

    folder = work.settings.datasets / work.job.arguments["name"]
    against = [Path(file) for file in work.job.arguments["against"]]
    figures = health.examine(folder, against, progress=work.progress, stopping=work.stopping)
    figures["tokens"] = None
    if model := work.job.arguments["model"]:
        tokenizer = load_tokenizer(locate_tokenizer(model, work.settings))
        lengths = sorted(
            token_lengths(
                folder,
                lambda texts: [len(one.ids) for one in tokenizer.encode_batch_fast(texts, add_special_tokens=False)],
            )
        )
        figures["tokens"] = {"model": model, "median": lengths[len(lengths) // 2], "most": lengths[-1]}
    health.keep(folder, figures)
    return figures


def mix_data(work: Work) -> dict[str, Any]:
    """Mix datasets into a new one, as `studio.services.mixing` asks."""
    from studio.data.mixing.mix import mix
    from studio.data.mixing.order import Order
    from studio.data.mixing.rendering import counting
    from studio.models.tokenizer import load_tokenizer

    given = work.job.arguments
    done = mix(
        Order.model_validate(given["order"]),
        work.settings.datasets,
        given["name"],
        counting(load_tokenizer(Path(given["tokenizer"]))),
        warnings=given["warnings"],
        progress=work.progress,
        stopping=work.stopping,
    )
    return done.figures()


def train(work: Work) -> dict[str, Any]:
    """Train a run from its frozen recipe, as `studio.training.attempt`."""
    from studio.training import attempt

    return attempt.train(work)


def merge_model(work: Work) -> dict[str, Any]:
    """Merge a run into a folder and prove it: arguments `run` (a ``run:`` reference), `out` and `name`."""
    from studio.data.starters import held_out_lines
    from studio.models.files import locate
    from studio.publish.pipeline import merge_run

    files = locate(work.job.arguments["run"], work.settings)
    if files.adapter is None:
        raise StudioError("publish.nothing_to_merge", model=files.reference)
    return merge_run(
        files,
        Path(work.job.arguments["out"]),
        held_out_lines()[:QUICK_TEXTS],
        settings=work.settings,
        progress=work.progress,
        stopping=work.stopping,
    )


def measure_bits(work: Work) -> dict[str, Any]:
    """Bits per byte of a model on Persian and English texts of the studio: argument `model`."""
    from studio.data.starters import held_out_lines
    from studio.evaluation.bits import measure_model

    reference = work.job.arguments["model"]
    figures: dict[str, Any] = {"model": reference}
    for start, language in ((0.0, "fa"), (0.5, "en")):

        def progress(fraction: float, note: str, start: float = start) -> None:
            work.progress(start + fraction / 2, note)

        bits = measure_model(
            reference,
            held_out_lines(language),
            work.settings,
            progress=progress,
            stopping=work.stopping,
        )
        figures[language] = asdict(bits)
    return figures


def evaluate_model(work: Work) -> dict[str, Any]:
    """Put the questions of a suite to a model, as `studio.services.evaluations` asks: arguments `id` and `order`."""
    from studio.evaluation.evaluate import evaluate
    from studio.evaluation.results import read_order
    from studio.models.files import locate
    from studio.models.reference import parse_reference
    from studio.recipes import load_recipe

    given, settings = work.job.arguments, work.settings
    order = read_order(given["order"])
    parsed = parse_reference(order.model)
    trained_on = None
    if parsed.scheme == "run":
        recipe = load_recipe(settings.runs / parsed.name / "recipe.yaml")
        trained_on = [settings.datasets / name for name in recipe.datasets]
    done = evaluate(
        order,
        locate(order.model, settings),
        settings.evaluations / given["id"],
        settings,
        trained_on=trained_on,
        progress=work.progress,
        stopping=work.stopping,
    )
    return {"id": done.id, "suite": order.suite, "tasks": len(done.tasks)}


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


TASKS: dict[str, Callable[[Work], dict[str, Any]]] = {
    "fetch": fetch_model,
    "import": import_data,
    "catalogue": check_catalogue,
    "clean": clean_data,
    "examine": examine_data,
    "mix": mix_data,
    "train": train,
    "merge": merge_model,
    "bits": measure_bits,
    "evaluate": evaluate_model,
    "vocabulary": learn_vocabulary,
    "rows": make_rows,
    "expand": expand_model,
}
