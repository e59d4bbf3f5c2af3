"""The starter models: whole, tokenised as llama.cpp does, and measured as a plain computation would."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from studio.evaluation.bits import measure_model
from studio.models.fetch import fetch
from studio.models.files import chat_template, document_start, is_fetched, locate, read_config
from studio.models.load import load_base
from studio.models.source import read_source
from studio.models.tokenizer import end_tokens, load_tokenizer
from studio.settings import Settings
from studio.tokenizer.fertility import measure_fertility
from tests.real.llamacpp import llama_tokens
from tests.real.texts import ENGLISH, PERSIAN, awkward_lines
from tests.starter import CACHE, fetch_gguf, fetch_starter

REFERENCE = "starter:smollm2-135m"


def test_the_folder_is_whole_and_plain(starter: Path) -> None:
    config = read_config(starter)
    assert "quantization_config" not in config
    assert (config["tie_word_embeddings"], config["dtype"], config["vocab_size"]) == (True, "bfloat16", 49152)
    assert (config["rms_norm_eps"], config["rope_parameters"]["rope_theta"]) == (1e-5, 100_000)
    with safe_open(starter / "model.safetensors", "pt") as weights:
        shapes = {name: weights.get_slice(name).get_shape() for name in weights.keys()}  # noqa: SIM118
        types = {weights.get_slice(name).get_dtype() for name in weights.keys()}  # noqa: SIM118
    assert types == {"BF16"}
    assert shapes["model.embed_tokens.weight"] == [49152, 576]
    assert sum(math.prod(shape) for shape in shapes.values()) == 134_515_008
    source = read_source(starter)
    assert source is not None
    assert (source.reference, source.licence, source.note) == (REFERENCE, "apache-2.0", "dequantised from Q4_1")
    assert not list(starter.parent.glob(".incoming-*/*"))


def test_special_tokens_and_template_are_the_models_own(starter: Path) -> None:
    tokenizer = load_tokenizer(starter)
    assert [tokenizer.token_to_id(text) for text in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")] == [0, 1, 2]
    assert tokenizer.get_vocab_size() == 49152
    assert (document_start(starter), end_tokens(starter)) == (0, (2,))
    assert json.loads((starter / "generation_config.json").read_text(encoding="utf8"))["pad_token_id"] == 2
    template = chat_template(starter)
    assert template is not None
    assert "You are a helpful AI assistant named SmolLM" in template


def test_the_second_fetch_uses_the_disk(starter: Path) -> None:
    found = fetch(REFERENCE, CACHE, progress=lambda share, note: None, stopping=lambda: False)
    assert (found.source, found.path) == ("disk", starter)
    assert found.seconds < 1
    assert found.bytes > 270_000_000


def test_a_shortened_copy_is_not_taken_for_whole(starter: Path, tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    copy = settings.models / starter.name
    copy.mkdir(parents=True)
    for path in starter.iterdir():
        (copy / path.name).symlink_to(path)
    assert is_fetched(REFERENCE, settings)
    (copy / "model.safetensors").unlink()
    with (starter / "model.safetensors").open("rb") as whole:
        (copy / "model.safetensors").write_bytes(whole.read(1_000_000))
    assert not is_fetched(REFERENCE, settings)


def test_tokens_equal_llama_cpps(starter: Path) -> None:
    from transformers import AutoTokenizer

    lines = awkward_lines()
    ours = [found.ids for found in load_tokenizer(starter).encode_batch(lines, add_special_tokens=False)]
    plain = AutoTokenizer.from_pretrained(starter)(lines, add_special_tokens=False).input_ids
    theirs = llama_tokens(fetch_gguf("smollm2-135m"), lines)
    assert len(lines) >= 300
    assert [line for line, a, b in zip(lines, ours, theirs, strict=True) if a != b] == []
    assert [line for line, a, b in zip(lines, ours, plain, strict=True) if a != b] == []


def test_it_answers_in_english(starter: Path) -> None:
    model, tokenizer = load_base(locate(REFERENCE, CACHE))
    question = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_dict=True, return_tensors="pt")
    answer = model.generate(**prompt.to(model.device), max_new_tokens=20, do_sample=False)
    assert "Paris" in tokenizer.decode(answer[0, prompt["input_ids"].shape[1] :])
    assert int(answer[0, -1]) == 2, "an answer ends by itself"


@pytest.mark.parametrize("documents", [PERSIAN[:8], ENGLISH[:8]], ids=["fa", "en"])
def test_bits_per_byte_agree_with_a_plain_computation(starter: Path, documents: Sequence[str]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(starter)
    model = AutoModelForCausalLM.from_pretrained(starter, dtype=torch.float32)
    nats = tokens = 0.0
    for text in documents:
        ids = tokenizer("<|endoftext|>" + text, add_special_tokens=False, return_tensors="pt").input_ids
        assert ids[0, 0] == 0
        with torch.inference_mode():
            # transformers' own loss: the mean over every token but the first
            nats += float(model(ids, labels=ids).loss) * (ids.shape[1] - 1)
        tokens += ids.shape[1] - 1
    found = measure_model(REFERENCE, documents, CACHE)
    assert found.tokens == tokens
    assert found.bytes == sum(len(text.encode()) for text in documents)
    assert found.bits_per_byte == pytest.approx(nats / math.log(2) / found.bytes, rel=1e-5)


def test_fertility_agrees_with_a_plain_computation(starter: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(starter)
    for lines in (PERSIAN, ENGLISH):
        found = measure_fertility(load_tokenizer(starter), lines)
        tokens = sum(len(tokenizer(line, add_special_tokens=False).input_ids) for line in lines)
        words = [(line, word) for line in lines for word in line.split()]
        # Each word alone behind a space, or at the start of its line, as no word of these lines stands elsewhere.
        pieces = [
            len(tokenizer(word if line.startswith(word) else f" {word}", add_special_tokens=False).input_ids)
            for line, word in words
        ]
        assert (found.tokens, found.words) == (tokens, len(words))
        assert found.tokens_per_word == tokens / len(words)
        assert found.characters_per_token == sum(map(len, lines)) / tokens
        assert found.bytes_per_token == sum(len(line.encode()) for line in lines) / tokens
        assert found.continued_word_share == sum(count > 1 for count in pieces) / len(words)


def test_gemma_knows_persian_and_is_tokenised_as_llama_cpp_does() -> None:
    folder = fetch_starter("gemma3-270m")
    lines = awkward_lines()
    ours = [found.ids for found in load_tokenizer(folder).encode_batch(lines, add_special_tokens=False)]
    theirs = llama_tokens(fetch_gguf("gemma3-270m"), lines)
    assert [line for line, a, b in zip(lines, ours, theirs, strict=True) if a != b] == []
    assert (document_start(folder), end_tokens(folder)) == (2, (1, 106))
    assert (folder / "GEMMA_TERMS.html").is_file()
    model, tokenizer = load_base(locate("starter:gemma3-270m", CACHE))
    prompt = tokenizer("روزی روزگاری در یک روستای کوچک", return_tensors="pt")
    assert prompt.input_ids[0, 0] == 2
    answer = model.generate(**prompt.to(model.device), max_new_tokens=24, do_sample=False)
    told = tokenizer.decode(answer[0, prompt.input_ids.shape[1] :])
    letters = [letter for letter in told if letter.isalpha()]
    assert sum("\u0600" <= letter <= "\u06ff" for letter in letters) > 0.9 * len(letters) > 20
    # It reads Persian in 1.3 bits a byte where SmolLM2 needs 2.2: the weights are where they belong.
    assert measure_model("starter:gemma3-270m", PERSIAN[:4], CACHE).bits_per_byte < 1.5
