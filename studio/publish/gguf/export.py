"""The GGUF job: merge if need be, convert, hold against transformers in the real llama.cpp, describe."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.models.files import ModelFiles, locate
from studio.models.reference import parse_reference
from studio.models.tokenizer import load_tokenizer
from studio.publish.cards import gathered as known
from studio.publish.cards.edits import put_card
from studio.publish.cards.facts import Told
from studio.publish.cards.snippets import gguf_snippets
from studio.publish.gguf.check import GgufChecks, can_check, check_gguf, check_texts
from studio.publish.gguf.converter import fetch_converter
from studio.publish.gguf.kinds import Kind, find_kind
from studio.publish.gguf.modelfile import write_modelfile
from studio.publish.gguf.write import write_gguf
from studio.publish.merge import incoming
from studio.publish.pipeline import merge_run
from studio.publish.record import Record, check_record, read_record, write_record
from studio.settings import Settings

MODELFILE = "Modelfile"
_TERMS = ("LICENSE*", "NOTICE*", "USE_POLICY*", "*TERMS*")
_SHARES = {"merge": 0.4, "write": 0.65, "check": 0.97}  # of the job, when each ends


def export_gguf(
    run: str,
    kind_name: str,
    settings: Settings,
    texts: Sequence[str],
    *,
    out: Path | None = None,
    progress: Progress,
    stopping: Stopping,
) -> dict[str, Any]:
    """Write a run as a GGUF file, with a Modelfile for Ollama.

    ``exports/RUN`` is used if it is the merged model of this very run; else the run is merged first, and kept there if
    the place is free. Without xllamacpp the file is written unchecked, and then gets no record: it is not published.

    Args:
        run: ``run:`` reference.
        kind_name: One of `studio.publish.gguf.kinds.KINDS`.
        settings: Tells the folders.
        texts: Held-out Persian lines for a merge.
        out: New file; by default ``exports/RUN-gguf/RUN-KIND.gguf``, beside the other kinds of the same run, with a
            card and a record. Elsewhere the file gets only ``FILE.Modelfile``.
        progress: Told the share of the whole job.
        stopping: Asked throughout; nothing is left of a job that is stopped.

    Returns:
        ``file, bytes, kind, checks, modelfile``; `checks` is None if llama.cpp was not there.

    Raises:
        StudioError: ``publish.nothing_to_merge``, ``file.exists``, ``publish.out_exists``, and as
            :func:`studio.publish.gguf.write.write_gguf`, :func:`studio.publish.gguf.check.check_gguf`,
            :func:`studio.publish.pipeline.merge_run` and :func:`studio.models.packages.download`.
    """
    kind, files = find_kind(kind_name), locate(run, settings)
    if files.adapter is None:
        raise StudioError("publish.nothing_to_merge", model=files.reference)
    converter = fetch_converter(settings, stopping=stopping)
    name = parse_reference(run).name
    place = (
        _folder(settings.exports / f"{name}-gguf", f"{name}-{kind.name}.gguf", files) if out is None else _file(out)
    )
    with (
        place as (target, old),
        _merged(files, settings, texts, _part(progress, 0.0, _SHARES["merge"]), stopping) as merged,
    ):
        made = _make(files, kind, converter, target, merged, out, old, settings, progress, stopping)
    file = out or settings.exports / f"{name}-gguf" / target.name
    return {"file": str(file), "kind": kind.name, **made, "modelfile": str(file.with_name(made["modelfile"]))}


def _make(
    files: ModelFiles,
    kind: Kind,
    converter: Path,
    target: Path,
    merged: Path,
    out: Path | None,
    old: Record | None,
    settings: Settings,
    progress: Progress,
    stopping: Stopping,
) -> dict[str, Any]:
    """Write, check and describe `target`; tells ``bytes, checks, modelfile``, the last as a name."""
    name = parse_reference(files.reference).name
    part = _part(progress, _SHARES["merge"], _SHARES["write"])
    write_gguf(converter, merged, target, kind, name=name, progress=part, stopping=stopping)
    checks = _check(merged, target, kind, _part(progress, _SHARES["write"], _SHARES["check"]), stopping)
    modelfile = write_modelfile(target.name, merged, adds_start=_adds_start(checks, merged))
    beside = target.with_name(MODELFILE if out is None else f"{target.name}.{MODELFILE}")
    beside.write_text(modelfile.text, encoding="utf8")
    progress(_SHARES["check"], "progress.gguf.card")
    told = None if checks is None else asdict(checks)
    if out is None:
        found = ({} if old is None else dict(old.checks)) | ({} if told is None else {kind.name: told})
        _describe(files, target, kind, found, settings, merged, template=modelfile.has_template)
    return {"bytes": target.stat().st_size, "checks": told, "modelfile": beside.name}


@contextmanager
def _folder(out: Path, name: str, files: ModelFiles) -> Iterator[tuple[Path, Record | None]]:
    """Where to write the file `name` so that it appears in the folder `out` once all is done; other kinds stay."""
    if not out.exists() or not any(out.iterdir()):
        with incoming(out) as folder:
            yield folder / name, None
        return
    old = check_record(out)
    if (old.kind, old.run) != ("gguf", files.reference):
        raise StudioError("publish.out_exists", out=str(out))
    if name in old.files:
        raise StudioError("file.exists", file=str(out / name))
    with TemporaryDirectory(prefix=".incoming-", dir=out.parent) as temporary:
        folder = Path(temporary) / out.name
        folder.mkdir()
        for each in old.files:
            if each.endswith(".gguf"):
                os.link(out / each, folder / each)
        yield folder / name, old
        out.rename(Path(temporary) / "old")
        folder.rename(out)


@contextmanager
def _file(out: Path) -> Iterator[tuple[Path, None]]:
    """Where to write so that `out` and ``out.Modelfile`` appear once all is done."""
    beside = out.with_name(f"{out.name}.{MODELFILE}")
    for path in (out, beside):
        if path.exists():
            raise StudioError("file.exists", file=str(path))
    with TemporaryDirectory(prefix=".incoming-", dir=out.parent) as temporary:
        target = Path(temporary) / out.name
        yield target, None
        target.with_name(beside.name).rename(beside)
        target.rename(out)


@contextmanager
def _merged(
    files: ModelFiles, settings: Settings, texts: Sequence[str], progress: Progress, stopping: Stopping
) -> Iterator[Path]:
    kept = settings.exports / parse_reference(files.reference).name
    record = read_record(kept)
    if record is not None and (record.kind, record.run) == ("merged", files.reference):
        check_record(kept)
        yield kept
        return
    if not kept.exists():
        merge_run(files, kept, texts, settings=settings, progress=progress, stopping=stopping)
        yield kept
        return
    with TemporaryDirectory(prefix=".incoming-", dir=settings.exports) as temporary:
        folder = Path(temporary) / kept.name
        merge_run(files, folder, texts, settings=settings, progress=progress, stopping=stopping)
        yield folder


def _check(merged: Path, file: Path, kind: Kind, progress: Progress, stopping: Stopping) -> GgufChecks | None:
    if not can_check():
        return None
    return check_gguf(merged, file, kind, check_texts(), progress=progress, stopping=stopping)


def _adds_start(checks: GgufChecks | None, merged: Path) -> bool:
    if checks is not None:
        return checks.adds_start
    return bool(load_tokenizer(merged).encode("", add_special_tokens=True).ids)


def _describe(
    files: ModelFiles,
    file: Path,
    kind: Kind,
    checks: Mapping[str, Mapping[str, Any]],
    settings: Settings,
    merged: Path,
    *,
    template: bool,
) -> None:
    """Terms, card and, if the new file was checked, the record of its folder."""
    assert files.adapter is not None, files
    folder = file.parent
    for path in (path for pattern in _TERMS for path in merged.glob(pattern)):
        shutil.copyfile(path, folder / path.name)
    name = f"{parse_reference(files.reference).name}-gguf"
    facts = known.gather(files, folder, name, settings, kind="gguf", dtype=kind.name, template=template)
    facts = replace(facts, snippets=gguf_snippets(name, file.name, template, MODELFILE), checks=_told(folder, checks))
    put_card(folder, facts, known.run_folder(files.adapter, settings))
    if kind.name in checks:
        write_record(folder, "gguf", files.reference, files.base, checks)


def _told(folder: Path, checks: Mapping[str, Mapping[str, Any]]) -> tuple[Told, ...]:
    kinds = [path.stem.rpartition("-")[2] for path in sorted(folder.glob("*.gguf"))]
    first = [Told("card.gguf.tokens", {"texts": max(each["texts"] for each in checks.values())})] if checks else []
    rest = [
        Told(
            "card.gguf.kind",
            {
                "kind": kind,
                "agreement": round(100 * checks[kind]["agreement"], 1),
                "positions": checks[kind]["positions"],
                "after": checks[kind]["perplexity"],
                "before": checks[kind]["perplexity_before"],
            },
        )
        if kind in checks
        else Told("card.gguf.unchecked", {"kind": kind})
        for kind in kinds
    ]
    return (*first, *rest)


def _part(progress: Progress, start: float, end: float) -> Progress:
    return lambda share, note: progress(start + share * (end - start), note)
