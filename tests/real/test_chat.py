"""The chat on the real starter model: the base side is the untouched base, and a turn goes on as generate would."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model

from studio.chat.engine import Engine
from studio.chat.events import Event, Finished, Piece, Started
from studio.chat.requests import Message, Request, Sampling
from studio.models.files import ModelFiles, locate
from studio.models.load import load_base
from studio.settings import Settings
from tests.packs import rounded

REFERENCE = "starter:smollm2-135m"
GREEDY = Sampling(greedy=True, max_new_tokens=40)
QUESTIONS = ("Tell me a very short story about a cat.", "سلام! یک داستان کوتاه دربارهٔ یک گربه بنویس.")


@pytest.fixture(scope="module")
def files(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelFiles]:
    """The base, and a side with an adapter that changes its answers a little."""
    settings = Settings(tmp_path_factory.mktemp("workspace"))
    settings.models.symlink_to(starter.parent)
    base = locate(REFERENCE, settings)
    model, _ = load_base(base)
    torch.manual_seed(3)
    wrapped = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear"))
    for name, weight in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    folder = tmp_path_factory.mktemp("adapter")
    wrapped.save_pretrained(folder)
    return {"base": base, "adapter": replace(base, reference="adapter", adapter=Path(folder))}


@pytest.fixture(scope="module")
def engine(files: dict[str, ModelFiles]) -> Iterator[Engine]:
    engine = Engine(lambda reference: files[reference])
    yield engine
    engine.unload()


@pytest.fixture(scope="module")
def plain(files: dict[str, ModelFiles]) -> dict[str, Any]:
    """Untouched models, each with weights of its own."""
    base, folder = load_base(files["adapter"])[0], str(files["adapter"].adapter)
    adapted = rounded(PeftModel.from_pretrained(base, folder))
    return {"base": load_base(files["base"])[0], "adapter": adapted.eval()}


def generate(model: Any, engine: Engine, request: Request, **options: Any) -> tuple[Any, int, str]:
    """What ``generate`` makes of the same messages: its output, the prompt's length and the text."""
    tokenizer = engine._tokenizer
    turns = [message.model_dump() for message in request.messages]
    text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    out = model.generate(input_ids=ids, do_sample=False, max_new_tokens=40, return_dict_in_generate=True, **options)
    return out, ids.shape[1], tokenizer.decode(out.sequences[0, ids.shape[1] :], skip_special_tokens=True)


def ask(side: str, *contents: str) -> Request:
    roles = ("user", "assistant")
    messages = [Message(role=roles[index % 2], content=content) for index, content in enumerate(contents)]
    return Request(side=side, messages=tuple(messages), sampling=GREEDY)


def finished(events: list[Event]) -> dict[int, Finished]:
    return {event.answer: event for event in events if isinstance(event, Finished)}


@pytest.mark.parametrize("question", QUESTIONS, ids=["english", "persian"])
def test_both_sides_are_token_for_token_plain_generate(engine: Engine, plain: dict[str, Any], question: str) -> None:
    events = list(engine.generate([ask("base", question), ask("adapter", question)]))
    answers = finished(events)
    for number, side in enumerate(("base", "adapter")):
        out, prompt, text = generate(plain[side], engine, ask(side, question))
        assert answers[number].text == text.rstrip("\ufffd")
        assert answers[number].tokens == out.sequences.shape[1] - prompt
        kept = engine._sides[side].kept
        assert kept is not None
        assert kept.ids == out.sequences[0, :-1].tolist()
    assert answers[0].text != answers[1].text
    assert not any("\ufffd" in event.text for event in events if isinstance(event, Piece))


def test_the_next_turn_is_what_generate_makes_of_its_own_cache(engine: Engine, plain: dict[str, Any]) -> None:
    first = ask("base", QUESTIONS[0])
    said = finished(list(engine.generate([first])))[0].text
    out, _, _ = generate(plain["base"], engine, first)
    second = ask("base", QUESTIONS[0], said, "And what did it eat?")
    events = list(engine.generate([second]))
    started = next(event for event in events if isinstance(event, Started))
    assert started.kept_tokens == out.sequences.shape[1] - 1
    _, _, text = generate(plain["base"], engine, second, past_key_values=out.past_key_values)
    assert finished(events)[0].text == text


def test_weights_are_in_memory_once(engine: Engine) -> None:
    engine.open(["base", "adapter"])
    model = sum(p.nbytes for name, p in engine.model.named_parameters() if "lora_" not in name)
    assert engine.weights <= 1.1 * model
