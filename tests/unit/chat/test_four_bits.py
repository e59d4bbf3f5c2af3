"""The base held in four bits for the chat: its answers are those of transformers, and it takes less memory."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from studio.chat.engine import Engine, answer
from studio.chat.events import Finished
from studio.chat.requests import Quantisation, Request
from studio.errors import StudioError
from studio.models import load
from studio.models.files import ModelFiles
from tests.unit.chat.conftest import GREEDY, QUESTION

pytest.importorskip("bitsandbytes")
Files = dict[str, ModelFiles]


def asked(engine: Engine, side: str, quantisation: Quantisation | None) -> str:
    request = Request(side=side, messages=QUESTION, sampling=GREEDY, quantisation=quantisation)
    return next(event.text for event in engine.generate([request]) if isinstance(event, Finished))


def plain(files: ModelFiles) -> str:
    """The same answer by ``generate``, from a model that transformers holds in four bits."""
    held = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    model = AutoModelForCausalLM.from_pretrained(files.folder, quantization_config=held, dtype=torch.bfloat16)
    tokenizer = AutoTokenizer.from_pretrained(files.folder)
    prompt = tokenizer.apply_chat_template(
        [message.model_dump() for message in QUESTION], add_generation_prompt=True, return_dict=False
    )
    out = model.eval().generate(
        input_ids=torch.tensor([prompt]), max_new_tokens=GREEDY.max_new_tokens, do_sample=False
    )
    return str(tokenizer.decode(out[0, len(prompt) :], skip_special_tokens=True)).rstrip("\ufffd")


def test_the_base_in_four_bits_is_that_of_transformers(files: Files) -> None:
    engine = Engine(lambda reference: files[reference])
    whole = asked(engine, "base", "none")
    weights, tensors = engine.weights, engine.model
    assert asked(engine, "base", "nf4") == plain(files["base"])
    assert engine.quantisation == "nf4"
    assert engine.weights < weights
    held = engine.model
    assert held is not tensors
    assert asked(engine, "base", None) == plain(files["base"]), "whoever does not say takes it as it is"
    assert engine.model is held
    assert asked(engine, "base", "none") == whole
    assert engine.quantisation == "none"
    engine.unload()
    assert engine.quantisation is None


def test_a_pack_answers_over_four_bits(files: Files) -> None:
    engine = Engine(lambda reference: files[reference])
    pack, base = asked(engine, "first", "nf4"), asked(engine, "base", "nf4")
    assert pack != base
    assert pack != asked(engine, "first", "none")
    assert answer(files["first"], QUESTION, GREEDY, "nf4").text == pack


def test_without_bitsandbytes_it_says_what_to_do(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*args: object, **kwargs: object) -> None:
        raise ImportError("Using `bitsandbytes` 4-bit quantization requires bitsandbytes")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", lacking)
    with pytest.raises(StudioError, match=r"model\.no_four_bits"):
        load.load_base(files["base"], four_bits=True)
