"""Jobs that take a trained run out of the studio."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.errors import StudioError
from studio.tasks.texts import QUICK_TEXTS

if TYPE_CHECKING:
    from studio.publish.record import Kind
    from studio.worker import Work


def merge_model(work: Work) -> dict[str, Any]:
    """Merge a run into a folder and prove it: arguments `run` (a ``run:`` reference), `out` and how."""
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
        dtype=work.job.arguments.get("dtype", "bfloat16"),
        towards_base=work.job.arguments.get("towards_base", 0.0),
        settings=work.settings,
        progress=work.progress,
        stopping=work.stopping,
    )


def verify_merge(work: Work) -> dict[str, Any]:
    """Check a merged folder again: arguments `run` (a ``run:`` reference) and `folder`."""
    from studio.data.starters import held_out_lines
    from studio.models.files import locate
    from studio.publish.pipeline import verify_folder

    return verify_folder(
        locate(work.job.arguments["run"], work.settings),
        Path(work.job.arguments["folder"]),
        held_out_lines()[:QUICK_TEXTS],
        settings=work.settings,
        progress=work.progress,
        stopping=work.stopping,
    )


def measure_towards(work: Work) -> dict[str, Any]:
    """Measure what merges towards the base would keep: argument `run` (a ``run:`` reference)."""
    from studio.data.starters import held_out_lines
    from studio.models.files import locate
    from studio.publish.curve import measure_curve

    texts = {language: held_out_lines(language)[:QUICK_TEXTS] for language in ("fa", "en")}
    files = locate(work.job.arguments["run"], work.settings)
    return {"points": measure_curve(files, texts, progress=work.progress, stopping=work.stopping)}


def pack_adapter(work: Work) -> dict[str, Any]:
    """Write a run as an adapter for plain peft and prove it: arguments `run` (a ``run:`` reference) and `out`."""
    from studio.models.files import locate
    from studio.publish.peft_adapter import export_adapter

    return export_adapter(
        locate(work.job.arguments["run"], work.settings),
        Path(work.job.arguments["out"]),
        settings=work.settings,
        progress=work.progress,
        stopping=work.stopping,
    )


def publish_model(work: Work) -> dict[str, Any]:
    """Publish an export, as `studio.services.publishing` asks, and link its sibling repositories."""
    from studio.publish import hub, licences, published, remote
    from studio.publish.parcel import quick_record

    given = work.job.arguments
    repo, private, folder = given["repo"], given["private"], work.settings.exports / given["export"]
    record = quick_record(folder)
    api = remote.open_api(work.token)
    base = licences.base_of(record, work.settings).repository
    gated = base is not None and remote.is_gated(api, base)
    found = licences.find_for(record, repo, work.settings, gated=gated)
    licences.check(found, private=private, accepted=given["accept_licence"])

    def forms() -> dict[Kind, str]:
        known = published.read_published(work.store)
        return published.siblings_of(
            known, record.run, record.kind, repo, lambda each: remote.is_there(api, each.repo)
        )

    told = hub.publish(
        folder,
        repo,
        token=work.token,
        private=private,
        message=given["message"],
        links={kind: place for kind, place in forms().items() if private or not remote.is_private(api, place)},
        progress=work.progress,
        stopping=work.stopping,
    )
    told["licences"] = sorted({finding.code for finding in found})
    if told.get("state") == "stopped":
        return told
    work.progress(1.0, "progress.publish.siblings")
    # Asked again: another form of the run may have been published meanwhile.
    linked = published.link_forms(api, {**forms(), record.kind: repo}, lambda place: remote.is_private(api, place))
    return told | {"linked": linked}


def export_gguf(work: Work) -> dict[str, Any]:
    """Write a run as a GGUF file: arguments `run` (a ``run:`` reference), `kind`, and `out`, a file or None."""
    from studio.data.starters import held_out_lines
    from studio.publish.gguf.export import export_gguf

    given = work.job.arguments
    return export_gguf(
        given["run"],
        given["kind"],
        work.settings,
        held_out_lines()[:QUICK_TEXTS],
        out=None if given["out"] is None else Path(given["out"]),
        progress=work.progress,
        stopping=work.stopping,
    )
