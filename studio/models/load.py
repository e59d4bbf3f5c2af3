"""Weights in memory: a base model, or a base with a run's adapter beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from studio.errors import StudioError
from studio.models import foreign_code
from studio.models.files import ModelFiles, read_config
from studio.models.tokenizer import load_tokenizer

if TYPE_CHECKING:
    import torch


def pick_device() -> str:
    """``"cuda"`` when torch sees a usable card, else ``"cpu"``."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def pick_dtype(device: str) -> torch.dtype:
    """bf16 wherever the hardware multiplies it; fp16 on cards without it, fp32 on processors without it."""
    import torch

    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    supported = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if supported else torch.float32


def load_base(
    files: ModelFiles, *, device: str | None = None, dtype: torch.dtype | None = None, four_bits: bool = False
) -> tuple[Any, Any]:
    """The base model and its tokenizer, ready for inference.

    The tokenizer is read from ``tokenizer.json`` as it stands. The class that a config names may rebuild the splitting
    instead (transformers 5 does for GPT-2, Llama and Qwen), and pages would then count other tokens than are trained.

    Args:
        files: From :func:`studio.models.files.locate`; an adapter is ignored.
        device: ``"cpu"`` or ``"cuda…"``; the best there is by default.
        dtype: As :func:`pick_dtype` by default, or fp32 where that would be fp16 and the model leaves its range.
        four_bits: Hold all linear layers but the head in NF4, with quantised constants (QLoRA, 2305.14314).

    Returns:
        A `transformers` causal model in evaluation mode, and a `PreTrainedTokenizerFast`.

    Raises:
        StudioError: ``model.unknown_type`` for an architecture that transformers cannot build, ``code.not_trusted``
            for one that the model's own Python files would build, ``model.needs_package``, ``model.broken_file``,
            ``model.no_tokenizer``, ``model.no_four_bits`` where four bits cannot be had, or ``memory.device_full``.
    """
    import torch
    from transformers import PreTrainedTokenizerFast

    from studio.models.half import leaves_fp16

    check_code(files)
    load_tokenizer(files.tokenizer_folder)  # says in our words what is wrong with the file
    tokenizer = PreTrainedTokenizerFast.from_pretrained(files.tokenizer_folder, local_files_only=True)
    device = device or pick_device()
    model = _open(files, device, dtype or pick_dtype(device), four_bits=four_bits)
    if dtype is None and model.dtype == torch.float16 and leaves_fp16(model):
        del model  # first, or both would have to fit
        model = _open(files, device, torch.float32, four_bits=four_bits)
    return model.eval(), tokenizer


def _open(files: ModelFiles, device: str, dtype: torch.dtype, *, four_bits: bool) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    kind = str(read_config(files.folder).get("model_type"))
    try:
        return AutoModelForCausalLM.from_pretrained(
            files.folder,
            dtype=dtype,
            quantization_config=_nf4(dtype) if four_bits else None,
            device_map={"": device},
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=files.trusted,
        )
    except (ValueError, KeyError) as error:
        raise StudioError("model.unknown_type", type=kind, folder=str(files.folder)) from error
    except ImportError as error:  # the picture tower of Gemma-3n is of timm
        if four_bits and "bitsandbytes" in str(error):
            raise StudioError("model.no_four_bits") from error
        raise StudioError("model.needs_package", type=kind, reason=" ".join(str(error).split())) from error
    except torch.cuda.OutOfMemoryError as error:
        raise StudioError("memory.device_full") from error


def _nf4(dtype: torch.dtype) -> Any:
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )


def check_code(files: ModelFiles) -> None:
    """Refuse a model that only its own Python files could build, while nobody trusts them.

    Raises:
        StudioError: ``code.not_trusted``.
    """
    if not files.trusted and foreign_code.is_needed(read_config(files.folder)):
        raise StudioError("code.not_trusted", reference=files.base)


def load_adapted(files: ModelFiles, *, device: str | None = None, dtype: torch.dtype | None = None) -> tuple[Any, Any]:
    """As :func:`load_base`, with the run's rows in the tables and its adapter applied by peft and not merged.

    The LoRA matrices stay in fp32, as the training keeps them: their product is computed in fp32 and rounded once when
    it is added to the base's, which is what a merge in fp32 comes nearest to. (On a processor with bf16 products the
    training's own forward rounds both matrices to bf16 first and keeps them in fp32.)

    Raises:
        StudioError: ``model.no_adapter`` for files without one; ``rows.*``; else as :func:`load_base`.
    """
    from peft import PeftModel

    from studio.models.new_rows import place_rows, read_rows

    if files.adapter is None:
        raise StudioError("model.no_adapter", reference=files.reference)
    base, tokenizer = load_base(files, device=device, dtype=dtype)
    if files.rows is not None:
        place_rows(base, read_rows(files.rows)[0])
    model = PeftModel.from_pretrained(base, str(files.adapter), is_trainable=False, autocast_adapter_dtype=True)
    return model.eval(), tokenizer
