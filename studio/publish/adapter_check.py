"""Proof that an exported adapter is the run it was made of, by plain transformers and peft in a fresh process."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from studio.errors import StudioError
from studio.jobs.events import Stopping
from studio.memory import available
from studio.models.files import ModelFiles
from studio.models.load import load_adapted
from studio.models.tokenizer import load_tokenizer
from studio.models.weights import weight_files
from studio.publish.verify import RELOAD_SECONDS

TEXTS = (
    "باران تمام شب باریده بود و کوچه بوی خاک تازه می‌داد.",
    "کتاب‌های ۱۲ دانش‌آموز، ۳۴۵ ریال!",
    "In 2024 we'd read 1,234 books.",
    "def f(x):\n\treturn x[10:]  # ok",
)
_TRIED = 48  # new ids, evenly drawn from all, that are asked for whether or not a sentence has them


@dataclass(frozen=True, slots=True)
class Seen:
    """What the studio's own loaded run looks like.

    `embedding` and `head` are module names as PEFT has them, `tied` whether they are one table. `gap` holds rows of
    ids between the base's table and the run's last token that no token has, ``(gap, hidden)``, and `gap_head` the
    head's. `texts` and `tokens` count what was asked.
    """

    embedding: str
    head: str
    tied: bool
    gap: torch.Tensor
    gap_head: torch.Tensor | None
    dtype: str
    texts: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Matched:
    """What plain transformers and peft saw, in the versions named.

    `difference` is the largest difference of any logit, as a share of the largest logit; `merged` the same after
    ``merge_and_unload``, None where memory was short of fp32. `merges` says whether that merge may be used.
    """

    difference: float
    merged: float | None
    merges: bool | None
    template: bool
    transformers: str
    peft: str


def look(files: ModelFiles, expected: Path, *, ids: torch.Tensor, gap: torch.Tensor, longer: int) -> Seen:
    """Load a run as the studio does, write what it answers to `expected`, and let go of it.

    Args:
        files: The run.
        expected: New file, as :mod:`studio.publish.adapter_reload` reads it.
        ids: New ids, ``(n,)``; may be empty.
        gap: Ids of rows that belong to no token, see :class:`Seen`.
        longer: Rows that plain tables must be made longer to, 0 for none.

    Raises:
        StudioError: ``publish.adapter_head_bias``; else as :func:`studio.models.load.load_adapted`.
    """
    dtype = _precision(files.folder)
    adapted, _ = load_adapted(files, device="cpu", dtype=dtype)
    model = adapted.get_base_model()
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    if len(ids) and getattr(head, "bias", None) is not None:
        # Beside trained rows peft 0.21 computes the head without its bias, as Phi-2 and GPT-J have one: logits were
        # off by 6% of the largest, and right again once peft had merged them.
        raise StudioError("publish.adapter_head_bias", base=files.base)
    names = {module: name for name, module in model.named_modules()}
    tied = embedding.weight.data_ptr() == head.weight.data_ptr()
    tokenizer = load_tokenizer(files.tokenizer_folder)
    asked = [torch.tensor(tokenizer.encode(text, add_special_tokens=False).ids) for text in TEXTS]
    if len(ids):
        asked.append(ids[torch.linspace(0, len(ids) - 1, min(_TRIED, len(ids))).long()])
    tensors: dict[str, torch.Tensor] = {}
    for place, each in enumerate(asked):
        with torch.inference_mode():
            tensors |= {f"ids.{place}": each, f"logits.{place}": adapted(input_ids=each[None]).logits[0].float()}
    about = {"texts": json.dumps(TEXTS), "rows": str(longer), "dtype": str(dtype).removeprefix("torch.")}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, expected, metadata=about)
    seen = Seen(
        names[embedding], names[head], tied,
        embedding.weight.detach()[gap].float(), None if tied else head.weight.detach()[gap].float(),
        about["dtype"], len(TEXTS), sum(map(len, asked)),
    )  # fmt: skip
    del adapted, model, embedding, head, names
    gc.collect()
    return seen


def check_adapter(base: Path, adapter: Path, expected: Path, *, stopping: Stopping) -> Matched:
    """Open `base` and `adapter` with plain transformers and peft in a fresh process that does not know this studio.

    Raises:
        StudioError: ``publish.adapter_reload_failed`` with the `check` (``open``, ``time``, ``tokenizer``,
            ``template`` or ``logits``) and the `reason`; ``job.stopped``.
    """
    if stopping():
        raise StudioError("job.stopped")
    script = Path(__file__).with_name("adapter_reload.py")
    # -I: neither this project nor the user's own site-packages are on the path of the new process.
    command = [sys.executable, "-I", str(script), *(str(path.absolute()) for path in (base, adapter, expected))]
    try:
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=RELOAD_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise StudioError("publish.adapter_reload_failed", check="time", reason=f"{RELOAD_SECONDS} s") from error
    last = (ended.stdout.strip().splitlines() or [""])[-1]
    if ended.returncode != 0 or not last.startswith("{"):
        reason = (ended.stderr.strip().splitlines() or [f"exit {ended.returncode}"])[-1]
        raise StudioError("publish.adapter_reload_failed", check="open", reason=reason[:300])
    answer: dict[str, Any] = json.loads(last)
    for check, reason in answer.pop("failed"):
        raise StudioError("publish.adapter_reload_failed", check=check, reason=reason)
    return Matched(**answer)


def _precision(base: Path) -> torch.dtype:
    # Two bytes a value on disk become four in memory, and the grown tables and the adapter come on top.
    needed = 3 * sum(path.stat().st_size for path in weight_files(base))
    return torch.float32 if needed < available()[0] else torch.bfloat16
