"""The frozen base in memory: in bf16, fp16 or fp32 as the device has it, or with its linear layers in four bits."""

from __future__ import annotations

from typing import Any, Literal

import torch

from studio.errors import StudioError
from studio.models.files import ModelFiles
from studio.models.half import leaves_fp16
from studio.models.load import load_base
from studio.training.attention import document_attention

PROBE = 8  # tokens of the checks that head and attention are what the training takes them for
LEAK = 0.1  # of the hidden states' norm: a document that is seen moves them by 0.5 to 1.4, rounding in bf16 by nothing


def load_frozen(
    files: ModelFiles, *, device: str, dtype: torch.dtype, quantisation: Literal["none", "nf4"]
) -> tuple[Any, Any]:
    """The base model and its tokenizer; with ``nf4`` all linear layers but the head are held in four bits.

    Raises:
        StudioError: ``training.family_not_supported`` if the model does more than multiply its last hidden states by
            its head, or mixes documents; ``training.overflows_fp16``; what loading raises.
    """
    model, tokenizer = load_base(files, device=device, dtype=dtype, four_bits=quantisation == "nf4")
    _keep_backward(model)
    model.config.use_cache = False
    if dtype == torch.float16 and leaves_fp16(model):
        raise StudioError("training.overflows_fp16", type=str(model.config.model_type))
    check_head(model)
    check_documents(model)
    return model, tokenizer


def softcap(model: Any) -> float | None:
    """The bound that Gemma-2 puts on logits, or None."""
    value = getattr(model.config.get_text_config(), "final_logit_softcapping", None)
    return None if value is None else float(value)


@torch.no_grad()  # type: ignore[untyped-decorator]
def check_head(model: Any) -> None:
    """Make sure that logits are the last hidden states times the head, bounded or not: that is what the loss computes.

    Raises:
        StudioError: ``training.family_not_supported`` for a model that scales them or adds to them.
    """
    ids = torch.arange(PROBE, device=model.device)[None]
    expected = model(input_ids=ids, use_cache=False).logits[0].float()
    hidden = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state[0]
    logits = (hidden @ model.get_output_embeddings().weight.t()).float()
    if (bound := softcap(model)) is not None:
        logits = bound * torch.tanh(logits / bound)
    tolerance = 0.02 * float(expected.abs().max())
    if not torch.allclose(logits, expected, atol=tolerance, rtol=0.02):
        raise StudioError("training.family_not_supported", type=str(model.config.model_type))


@torch.no_grad()  # type: ignore[untyped-decorator]
def check_documents(model: Any) -> None:
    """Make sure that documents laid end to end do not see each other: some families mix tokens not by attention alone.

    Raises:
        StudioError: ``training.family_not_supported`` for a model with other ways from one token to the next.
    """
    body, kind = model.get_decoder(), str(model.config.model_type)
    ids = torch.arange(2 * PROBE, device=model.device)[None]
    alone = body(input_ids=ids[:, PROBE:], use_cache=False).last_hidden_state[0].float()
    positions = torch.arange(PROBE, device=model.device).repeat(2)[None]
    try:
        with document_attention(body.config):
            together = body(
                input_ids=ids, position_ids=positions, use_cache=False, document_lengths=[PROBE, PROBE]
            ).last_hidden_state[0, PROBE:]
    except TypeError as error:  # its layers take no such thing as lengths
        raise StudioError("training.family_not_supported", type=kind) from error
    if float((together.float() - alone).norm()) > LEAK * float(alone.norm()):
        raise StudioError("training.family_not_supported", type=kind)


def _keep_backward(model: Any) -> None:
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            # In evaluation bitsandbytes repacks weights for a kernel without a backward and leaves them so: after the
            # first sample answers all layers but the last would silently stop learning.
            module.support_avx512bf16_for_cpu = False
