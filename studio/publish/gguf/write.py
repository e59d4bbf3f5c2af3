"""From a merged folder to one GGUF file, of any kind."""

from __future__ import annotations

import os
from pathlib import Path

from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.models.weights import weight_files
from studio.publish.children import last_words, run_child
from studio.publish.gguf.converter import convert
from studio.publish.gguf.kinds import Kind, find_kind, quantiser
from studio.publish.gguf.quants import quantise
from studio.publish.merge import check_space
from studio.publish.shards import read_shard

_HALF = 0.4  # share of the progress at which a file of 16 bits is there to quantise


def write_gguf(
    converter: Path, merged: Path, out: Path, kind: Kind, *, name: str, progress: Progress, stopping: Stopping
) -> None:
    """Write the model in `merged` to `out`; at most one tensor is held in memory.

    f16, bf16 and q8_0 are the converter's own. Others are made of its bf16 file, exact for a model merged in bf16,
    which lies beside `out` meanwhile.

    Raises:
        StudioError: ``disk.too_small``; as :func:`studio.publish.gguf.converter.convert` and
            :func:`studio.publish.gguf.kinds.find_kind`; ``gguf.quantise_failed``; ``job.stopped``.
    """
    find_kind(kind.name)
    count = sum(entry.count for path in weight_files(merged) for entry in read_shard(path).entries.values())
    size, whole = round(count * kind.bits / 8), count * 2
    check_space(out.parent, size if kind.maker == "converter" else size + whole)
    if kind.maker == "converter":
        convert(converter, merged, out, kind.name, name=name, size=size, progress=progress, stopping=stopping)
        return
    source = out.with_name(f".{out.stem}-16.gguf")
    try:
        convert(
            converter, merged, source, "bf16", name=name, size=whole, stopping=stopping,
            progress=lambda share, note: progress(_HALF * share, note),
        )  # fmt: skip

        def rest(share: float, note: str) -> None:
            progress(_HALF + (1 - _HALF) * share, note)

        if kind.maker == "studio":
            quantise(source, out, kind.name, progress=rest, stopping=stopping)
        else:
            _by_llama(source, out, kind, size, rest, stopping)
    finally:
        source.unlink(missing_ok=True)


def _by_llama(source: Path, out: Path, kind: Kind, size: int, progress: Progress, stopping: Stopping) -> None:
    log = out.with_name(f".{out.name}.log")
    threads = str(max(1, (os.cpu_count() or 1) // 2))
    command = [str(quantiser()), str(source), str(out), kind.name.upper(), threads]

    def watch() -> None:
        progress(min(1.0, out.stat().st_size / size) if out.exists() else 0.0, "progress.gguf.quantise")

    try:
        if run_child(command, log, watch=watch, stopping=stopping) != 0 or not out.is_file():
            raise StudioError("gguf.quantise_failed", kind=kind.name, reason=last_words(log))
    finally:
        log.unlink(missing_ok=True)
