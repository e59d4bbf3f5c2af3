"""The starter with 4,000 new tokens and three stages: merged, packed, as GGUF, published, and loaded back by others.

What each part refuses has its tests on tiny models in `tests/unit/publish`; here the real one goes the whole way.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from studio.data.starters import FOLDER, held_out_lines, import_starter
from studio.models.files import locate
from studio.models.load import load_base
from studio.models.tokenizer import load_tokenizer
from studio.publish.gguf.export import export_gguf
from studio.publish.hub import publish
from studio.publish.peft_adapter import export_adapter
from studio.publish.pipeline import merge_run, verify_folder
from studio.publish.record import check_record
from studio.recipes import dump_recipe, parse_recipe
from studio.settings import ASSETS, Settings
from studio.tokenizer.counting import blocks_of, count_words
from studio.tokenizer.embeddings import closed_form, tables_of
from studio.tokenizer.expand import Watch, learn
from studio.tokenizer.export import extend
from studio.tokenizer.families import read_family
from studio.tokenizer.rows import save_rows
from studio.tokenizer.scripts import find_script
from studio.tokenizer.vocabulary import write_vocabulary
from studio.training import curriculum, held_out
from tests.hub_server import HubServer, Person
from tests.real.llamacpp import greedy_text
from tests.starter import CACHE, alone

SIZE = 4000
STARTER, RUN = "starter:smollm2-135m", "run:three-1"
STAGES = {"align": "sample-stories", "pretrain": "sample-prose", "instruct": "sample-chats"}
RECIPE = {
    "name": "three",
    "base": STARTER,
    "lora": {"rank": 4},
    "stages": [
        {"name": kind, "kind": kind, "data": [{"dataset": data}], "budget": {"steps": 2}, "batch": 1,
         "accumulation": 1, "length": 256, "rates": {"lora": 2e-3, "rows": 2e-3}}
        for kind, data in STAGES.items()
    ],
}  # fmt: skip
TOKEN, PROMPT, ANSWER_TOKENS = "hf_realSecretOfSara", "سلام! پایتخت ایران کجاست؟", 12
ANSWER = """
import sys
from transformers import AutoModelForCausalLM, AutoTokenizer
base, tokenizer, adapter, prompt, length = sys.argv[1:]
words = AutoTokenizer.from_pretrained(tokenizer)
model = AutoModelForCausalLM.from_pretrained(base, dtype="float32")
if adapter:
    from peft import PeftModel
    model.resize_token_embeddings(len(words), mean_resizing=False)
    model = PeftModel.from_pretrained(model, adapter)
turns = [{"role": "user", "content": prompt}]
given = words.apply_chat_template(turns, add_generation_prompt=True, return_dict=True, return_tensors="pt")
ids = model.generate(**given, max_new_tokens=int(length), do_sample=False)[0, given["input_ids"].shape[1]:]
print(words.decode(ids, skip_special_tokens=True).replace("\\n", " "))
"""


def quiet(share: float, note: str) -> None:
    """Tell nobody."""


def give_vocabulary(folder: Path, settings: Settings) -> None:
    """4,000 pieces of all the Persian that comes with the studio, each row the mean of what spelt it."""
    files = locate(STARTER, settings)
    family, script = read_family(files.folder), find_script()
    corpus = [line for path in (*FOLDER.glob("*.jsonl"), FOLDER / "prose.txt", ASSETS / "locales" / "fa.json")
              for line in path.read_text(encoding="utf8").splitlines()]  # fmt: skip
    counts = count_words(blocks_of(corpus), script.found.pattern)
    found = learn(family, counts, SIZE, script, Watch(quiet, lambda: False), reference=STARTER)
    assert found.added == SIZE
    write_vocabulary(family, found, folder, extend(family.definition, found.extension))
    model, _ = load_base(files, device="cpu", dtype=torch.bfloat16)
    rows = closed_form("mean", found, load_tokenizer(folder).get_vocab(True), tables_of(model), 0)
    save_rows(folder, rows, found)


@pytest.fixture(scope="module")
def settings(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A workspace with the run; what one test makes of it the next finds."""
    made = Settings(tmp_path_factory.mktemp("publishing") / "workspace")
    made.workspace.mkdir()
    made.models.symlink_to(starter.parent)
    with alone():
        (CACHE.workspace / "tools").mkdir(exist_ok=True)
    (made.workspace / "tools").symlink_to(CACHE.workspace / "tools")
    run = made.runs / "three-1"
    give_vocabulary(run / "vocabulary", made)
    for name in STAGES.values():
        import_starter(name, made.datasets, progress=quiet, stopping=lambda: False)
    recipe = parse_recipe(RECIPE)
    (run / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(held_out, "SAMPLE_BYTES", {"fa": 300, "en": 300})
        trained = curriculum.train(
            run, recipe, locate(STARTER, made), made, record=lambda row: None, progress=quiet, stopping=lambda: False
        )
    assert (trained.state, trained.steps) == ("done", 6)
    return made


def answer(base: str | Path, tokenizer: str | Path, adapter: str = "", **environment: str) -> str:
    """What plain transformers, with plain peft if there is an adapter, answers greedily in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", ANSWER, str(base), str(tokenizer), adapter, PROMPT, str(ANSWER_TOKENS)],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.rstrip("\n")


def test_it_is_merged_proved_and_verified_again(settings: Settings) -> None:
    files, out = locate(RUN, settings), settings.exports / "three-1"
    texts = held_out_lines()[:2]
    merge_run(files, out, texts, settings=settings, progress=quiet, stopping=lambda: False)
    checks = check_record(out).checks
    assert (checks["tensors"]["tensors"], checks["reload"]["rows"]) == (272, 53_184)  # the next multiple of 64
    assert 0 < checks["logits"]["difference"] < 1e-4
    assert checks["bits_per_byte"]["after"] == pytest.approx(checks["bits_per_byte"]["before"], rel=0.005)
    assert checks["top1"]["agreement"] > 0.9
    assert "dequantised from Q4_1" in (out / "README.md").read_text(encoding="utf8")
    again = verify_folder(files, out, texts, settings=settings, progress=quiet, stopping=lambda: False)
    assert again["checks"]["tensors"] == checks["tensors"]


def test_it_is_packed_for_plain_peft(settings: Settings) -> None:
    out = settings.exports / "three-1-adapter"
    found = export_adapter(locate(RUN, settings), out, settings=settings, progress=quiet, stopping=lambda: False)
    checks = check_record(out).checks
    assert (checks["new_tokens"], checks["resized_to"], checks["dtype"]) == (SIZE, 49_152 + SIZE, "float32")
    assert checks["logits_difference"] <= 1e-6
    assert 0 < checks["merged_difference"] <= 1e-4  # 5e-6 on one processor, 2.2e-5 on another
    assert checks["peft_merges"] is True
    config = json.loads((out / "adapter_config.json").read_text(encoding="utf8"))
    assert config["base_model_name_or_path"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert "dequantised from Q4_1" in (out / "README.md").read_text(encoding="utf8")
    with safe_open(out / "adapter_model.safetensors", framework="pt") as file:
        rows = file.get_slice("base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta")
        assert rows.get_shape() == [SIZE, 576]
    assert found["bytes"] < 20_000_000, "the rows and a small adapter, no table"


@pytest.mark.parametrize("kind", ["f16", "q4_0"])
def test_it_is_the_same_in_llama_cpp(settings: Settings, kind: str) -> None:
    made = export_gguf(RUN, kind, settings, [], progress=quiet, stopping=lambda: False)
    checks = check_record(settings.exports / "three-1-gguf").checks[kind]
    assert (checks["texts"], checks["positions"] >= 600) == (1000, True)
    assert checks["agreement"] >= (0.98 if kind == "f16" else checks["agreement_limit"])
    assert 'PARAMETER stop "<|im_end|>"' in Path(made["modelfile"]).read_text(encoding="utf8")
    if kind == "f16":
        merged = settings.exports / "three-1"
        assert greedy_text(Path(made["file"]), PROMPT, ANSWER_TOKENS) == answer(merged, merged)


def test_all_forms_are_published_and_loaded_back(
    settings: Settings, starter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = HubServer()
    try:
        hub.people = {TOKEN: Person("sara")}
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        for ending in ("", "-adapter", "-gguf"):
            folder = settings.exports / f"three-1{ending}"
            told = publish(
                folder, f"sara/three{ending}", token=TOKEN, private=False, progress=quiet, stopping=lambda: False
            )
            head = hub.repositories[f"sara/three{ending}"].head
            assert told["revision"] == head.oid
            assert set(check_record(folder).files) <= set(head.files)
        merged = settings.exports / "three-1"
        wanted = answer(merged, merged)
        fetched = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home")}
        assert answer("sara/three", "sara/three", **fetched) == wanted
        adapter = "sara/three-adapter"
        local = settings.exports / "three-1-adapter"
        assert answer(starter, adapter, adapter, **fetched) == answer(starter, local, str(local))
    finally:
        hub.close()
