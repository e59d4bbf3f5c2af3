"""Jobs that bring data in and put them in order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from studio.worker import Work


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
