"""Which kinds of GGUF file there are, and what each is made with."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Final, Literal

from studio.errors import StudioError

Maker = Literal["converter", "studio", "llama-quantize"]
QUANTISER: Final = "llama-quantize"


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to store weights.

    `bits` are per weight, scales included; of K-quants what llama.cpp tells of an 8B model. `agreement` is the least
    share of positions at which llama.cpp must find the same likeliest token as transformers in fp32, `perplexity` the
    most by which the file's may exceed transformers', as a ratio. Measured on SmolLM2-135M, expanded and trained: f16
    100% and 1.000, bf16 99.3% and 1.003, q8_0 93.3% and 1.005, q5_0 77.5% and 1.067, q4_0 51.5% and 1.181; larger
    models lose less. The limits of K-quants stand beside those with as many bits.
    """

    name: str
    bits: float
    maker: Maker
    agreement: float
    perplexity: float


KINDS = {
    kind.name: kind
    for kind in (
        Kind("f16", 16, "converter", 0.98, 1.01),
        Kind("bf16", 16, "converter", 0.97, 1.02),  # llama.cpp rounds what goes into a product to bf16, too
        Kind("q8_0", 8.5, "converter", 0.90, 1.03),
        Kind("q5_1", 6, "studio", 0.65, 1.20),
        Kind("q5_0", 5.5, "studio", 0.65, 1.20),
        Kind("q4_1", 5, "studio", 0.40, 1.40),
        Kind("q4_0", 4.5, "studio", 0.40, 1.40),
        Kind("q6_k", 6.6, QUANTISER, 0.80, 1.10),
        Kind("q5_k_m", 5.7, QUANTISER, 0.65, 1.20),
        Kind("q4_k_m", 4.9, QUANTISER, 0.40, 1.40),
        Kind("q3_k_m", 4, QUANTISER, 0.30, 2.00),
    )
}


def find_kind(name: str) -> Kind:
    """The kind of that name.

    Raises:
        StudioError: ``gguf.unknown_kind`` with those there are; ``gguf.no_quantiser`` for a K-quant without
            llama.cpp's own program on the path.
    """
    if name not in KINDS:
        raise StudioError("gguf.unknown_kind", kind=name, kinds=", ".join(KINDS))
    if KINDS[name].maker == QUANTISER and quantiser() is None:
        raise StudioError("gguf.no_quantiser", kind=name)
    return KINDS[name]


def quantiser() -> str | None:
    """Path of llama.cpp's ``llama-quantize``, which makes K-quants; None where it is not installed."""
    return shutil.which(QUANTISER)
