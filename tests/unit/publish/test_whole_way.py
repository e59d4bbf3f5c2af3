"""Tiny models of other layouts go the whole way: merged, packed, published, and loaded back by others alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from studio.publish.hub import publish
from studio.publish.peft_adapter import export_adapter
from studio.publish.pipeline import merge_run
from studio.settings import Settings
from tests.hub_server import HubServer, Person
from tests.unit.publish.packing import build_run

TOKEN = "hf_tinySecretOfSara"
TEXTS = ["کتاب‌های تازه را خواندم.", "باران می‌بارد."]
LOGITS = """
import sys, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
base, merged, adapter, length = sys.argv[1:]
words = AutoTokenizer.from_pretrained(adapter)
given = words("کتاب‌های تازه را می‌خوانم.", return_tensors="pt")["input_ids"]
model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
if int(length):
    model.resize_token_embeddings(int(length), mean_resizing=False)
model = PeftModel.from_pretrained(model, adapter)
whole = AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float32)
again = AutoTokenizer.from_pretrained(merged)("کتاب‌های تازه را می‌خوانم.", return_tensors="pt")["input_ids"]
assert given.tolist() == again.tolist()
with torch.inference_mode():
    one, other = model(input_ids=given).logits, whole(input_ids=given).logits
width = min(one.shape[-1], other.shape[-1])
print(float((one[..., :width] - other[..., :width]).abs().max() / one.abs().max()))
"""


@pytest.mark.parametrize(("family", "untied"), [("llama2", True), ("gemma3_text", False)])
def test_from_a_run_to_others_who_load_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str, untied: bool
) -> None:
    """Untied tables that must grow, and padded ones that have room; merged in fp32, so that both forms agree."""
    files = build_run(tmp_path / "run", family, tokens=60)
    settings = Settings(tmp_path / "workspace")
    settings.exports.mkdir(parents=True)
    merged, adapter = settings.exports / "tiny-1", settings.exports / "tiny-1-adapter"
    quiet = {"progress": lambda share, note: None, "stopping": lambda: False}
    merge_run(files, merged, TEXTS, dtype="float32", settings=settings, **quiet)
    packed = export_adapter(files, adapter, settings=settings, **quiet)
    length = packed["checks"]["resized_to"] or 0
    assert bool(length) is untied
    hub = HubServer()
    try:
        hub.people = {TOKEN: Person("sara")}
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        for folder in (merged, adapter):
            publish(folder, f"sara/{folder.name}", token=TOKEN, private=False, **quiet)
        done = subprocess.run(
            [sys.executable, "-c", LOGITS, str(files.folder), "sara/tiny-1", "sara/tiny-1-adapter", str(length)],
            env={**os.environ, "HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home")},
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
    finally:
        hub.close()
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout) < 1e-5
