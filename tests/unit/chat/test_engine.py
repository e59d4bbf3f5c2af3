"""The engine's answers are those of plain transformers and peft, and its sides share one model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from studio.chat.engine import Engine, answer
from studio.chat.events import Event, Finished, Piece, Refused, Started
from studio.chat.requests import NAMED, Message, Request, Sampling
from studio.chat.sides import stop_tokens
from studio.errors import StudioError
from studio.models.files import ModelFiles
from studio.models.load import load_adapted, load_base
from studio.models.new_rows import NewRows
from studio.recipes import Lora
from studio.tokenizer.rows import save_rows
from studio.training.adapter import add_adapter, save_adapter
from tests.packs import rounded
from tests.tiny import CHAT_TEMPLATE
from tests.unit.chat.conftest import GREEDY, QUESTION, ask
from tests.unit.tokenizer.expansion import build_base, learn_for

Files = dict[str, ModelFiles]


@pytest.fixture
def engine(files: Files) -> Engine:
    return Engine(lambda reference: files[reference])


def finished(events: list[Event]) -> dict[int, Finished]:
    return {event.answer: event for event in events if isinstance(event, Finished)}


def plain(files: ModelFiles, request: Request) -> tuple[list[int], str]:
    """Ids and text of the same answer by ``generate``, in a model of its own."""
    model, tokenizer = load_base(files)
    if files.adapter:
        model = rounded(PeftModel.from_pretrained(model, str(files.adapter)))
    model.eval()
    prompt = tokenizer.apply_chat_template(
        [message.model_dump() for message in request.messages], add_generation_prompt=True, return_dict=False
    )
    chosen = request.sampling
    torch.manual_seed(chosen.seed)
    choice: dict[str, Any] = {"do_sample": False}
    if not chosen.greedy:
        choice = {
            "do_sample": True,
            "temperature": chosen.temperature,
            "top_p": chosen.top_p,
            "top_k": chosen.top_k,
        }
    if chosen.repetition_penalty:
        choice["repetition_penalty"] = chosen.repetition_penalty
    out = model.generate(input_ids=torch.tensor([prompt]), max_new_tokens=chosen.max_new_tokens, **choice)
    ids = out[0, len(prompt) :].tolist()
    return ids, tokenizer.decode(ids, skip_special_tokens=True).rstrip("\ufffd")


@pytest.mark.parametrize(
    "sampling",
    [
        GREEDY,
        GREEDY.model_copy(update={"repetition_penalty": 1.3}),
        Sampling(max_new_tokens=24),
        Sampling(max_new_tokens=24, temperature=1.5, top_p=0.8, top_k=0, repetition_penalty=1.1, seed=7),
        *[NAMED[name].model_copy(update={"max_new_tokens": 24}) for name in ("lively", "report")],
    ],
    ids=["greedy", "greedy-penalty", "sampled", "sampled-hot", "lively", "report"],
)
def test_every_side_answers_as_plain_generate(engine: Engine, files: Files, sampling: Sampling) -> None:
    sides = ["base", "first", "second"]
    answers = finished(list(engine.generate([ask(side, sampling) for side in sides])))
    texts = set()
    for number, side in enumerate(sides):
        ids, text = plain(files[side], ask(side, sampling))
        assert (answers[number].text, answers[number].tokens) == (text, len(ids))
        texts.add(text)
    assert len(texts) == 3  # the adapters really say something else


def test_pieces_take_turns_and_add_up(engine: Engine) -> None:
    events = list(engine.generate([ask("base"), ask("first")]))
    for number, whole in finished(events).items():
        assert "".join(e.text for e in events if isinstance(e, Piece) and e.answer == number) == whole.text
        assert whole.reason == "length"
        assert whole.characters_per_second == pytest.approx(len(whole.text) / whole.seconds)
        assert 0 < whole.first_token_seconds < whole.seconds
    order = [event.answer for event in events if isinstance(event, Piece)]
    assert order.index(1) < len(order) - 1 - order[::-1].index(0)  # the second speaks before the first is done


def test_the_base_stays_itself_after_adapters_came_and_went(engine: Engine, files: Files) -> None:
    before = finished(list(engine.generate([ask("base")])))[0].text
    engine.open(["base", "first", "second"])
    assert finished(list(engine.generate([ask("base")])))[0].text == before == plain(files["base"], ask("base"))[1]


def test_weights_are_in_memory_once(engine: Engine, tiny_model: Path) -> None:
    engine.open(["base"])
    one = engine.weights
    untouched = AutoModelForCausalLM.from_pretrained(tiny_model)
    assert one == sum(t.nbytes for t in (*untouched.parameters(), *untouched.buffers()) if t is not untouched.lm_head)
    engine.open(["base", "first", "second"])
    own = sum(p.nbytes for name, p in engine.model.named_parameters() if ".side1." in name)
    assert engine.weights == one + 2 * own


def test_a_next_turn_reads_only_what_is_new_and_answers_as_generate_goes_on(engine: Engine, files: Files) -> None:
    first = finished(list(engine.generate([ask("first")])))[0]
    turns = (*QUESTION, Message(role="assistant", content=first.text), Message(role="user", content="چرا؟"))
    request = Request(side="first", messages=turns, sampling=GREEDY)
    events = list(engine.generate([request]))
    started = next(event for event in events if isinstance(event, Started))
    assert 0 < started.kept_tokens < started.prompt_tokens
    fresh = list(Engine(lambda reference: files[reference]).generate([request]))
    assert finished(events)[0].text == finished(fresh)[0].text


def test_a_retry_starts_afresh(engine: Engine) -> None:
    once = list(engine.generate([ask("base")]))
    again = list(engine.generate([ask("base")]))
    assert [e.kept_tokens for e in again if isinstance(e, Started)] == [0]
    assert finished(once)[0].text == finished(again)[0].text


def test_two_answers_of_one_side_do_not_share_a_cache(engine: Engine) -> None:
    alone = finished(list(engine.generate([ask("base", text="سلام")])))[0].text
    both = finished(list(engine.generate([ask("base"), ask("base", text="سلام")])))
    assert both[1].text == alone


def test_stop_is_at_once_and_keeps_what_was_said(engine: Engine) -> None:
    seen: list[Event] = []
    for event in engine.generate(
        [ask("base"), ask("first")], stopping=lambda: sum(isinstance(e, Piece) for e in seen) >= 5
    ):
        seen.append(event)
    ends = finished(seen)
    assert [ends[number].reason for number in (0, 1)] == ["stopped", "stopped"]
    assert all(end.tokens < GREEDY.max_new_tokens for end in ends.values())


def test_stop_breaks_off_a_long_prompt(engine: Engine) -> None:
    calls = iter(range(1000))
    long = ask("base", text="سلام دنیا " * 200)
    events = list(engine.generate([long], stopping=lambda: next(calls) > 3))
    assert (finished(events)[0].reason, finished(events)[0].tokens) == ("stopped", 0)
    assert not any(module._forward_pre_hooks for module in engine.model.modules())


def test_the_end_of_turn_ends_an_answer(files: Files) -> None:
    engine = Engine(lambda reference: files[reference])
    engine.open(["base"])
    spoken = plain(files["base"], ask("base"))[0]
    side = engine._sides["base"]
    side.stops = frozenset([spoken[5]])
    over = finished(list(engine.generate([ask("base")])))[0]
    assert (over.reason, over.tokens) == ("end", spoken.index(spoken[5]) + 1)


def test_a_model_that_ends_at_once_says_nothing_and_the_next_turn_goes_on(files: Files) -> None:
    engine = Engine(lambda reference: files[reference])
    engine.open(["base"])
    side = engine._sides["base"]
    before, side.stops = side.stops, frozenset([plain(files["base"], ask("base"))[0][0]])
    over = finished(list(engine.generate([ask("base")])))[0]
    assert (over.text, over.reason, over.tokens) == ("", "end", 1)
    side.stops = before
    talked = (*ask("base").messages, Message(role="assistant", content=""), Message(role="user", content="چرا؟"))
    assert finished(list(engine.generate([Request(side="base", messages=talked, sampling=GREEDY)])))[0].tokens > 1


def test_stops_hold_the_templates_end_of_turn(engine: Engine, files: Files, tiny_model: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.eos_token = "<|endoftext|>"
    tokenizer.save_pretrained(tmp_path)
    other = Engine(lambda _: replace(files["base"], tokenizer_folder=tmp_path))
    other.open(["base"])
    other.model.generation_config.eos_token_id = 0
    assert stop_tokens(tokenizer, other.model.generation_config) == {0, tokenizer.convert_tokens_to_ids("<|im_end|>")}


def test_a_model_without_a_template_goes_on_with_the_text(files: Files, tiny_model: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template = None
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "chat_template.jinja").unlink(missing_ok=True)
    engine = Engine(lambda _: replace(files["base"], tokenizer_folder=tmp_path))
    events = engine.generate([ask("base", text="سارا هر روز")])
    started = next(event for event in events if isinstance(event, Started))
    assert not started.template
    assert started.prompt_tokens == len(tokenizer("سارا هر روز")["input_ids"])


def test_a_prompt_beyond_the_context_is_refused_alone(engine: Engine) -> None:
    engine.open(["base"])
    events = list(engine.generate([ask("base", text="سلام " * 20_000), ask("first")]))
    refused = next(event for event in events if isinstance(event, Refused))
    assert (refused.answer, refused.error, refused.details["limit"]) == (0, "chat.too_long", 4096)
    assert finished(events)[1].tokens == GREEDY.max_new_tokens


def test_a_full_context_ends_the_answer(engine: Engine) -> None:
    engine.open(["base"])
    engine.model.config.max_position_embeddings = 60
    over = finished(list(engine.generate([ask("base", GREEDY.model_copy(update={"max_new_tokens": 500}))])))[0]
    assert over.reason == "context"


@pytest.mark.parametrize(
    "messages", [(), (Message(role="user", content=" \n"),), (Message(role="system", content="x"),)]
)
def test_nothing_asked_is_refused(engine: Engine, messages: tuple[Message, ...]) -> None:
    events = list(engine.generate([Request(side="base", messages=messages)]))
    assert [event.error for event in events if isinstance(event, Refused)] == ["chat.empty"]


@pytest.mark.parametrize("padding", [0, 64])
def test_a_side_with_a_vocabulary_of_its_own_leaves_the_base_alone(
    files: Files, adapters: dict[str, Path], tmp_path: Path, padding: int
) -> None:
    """The side answers as the model with the rows in its tables does, the base as if there were no such rows."""
    base = build_base(tmp_path / "base", tied=True, rows=None if padding == 0 else 512)
    vocabulary = learn_for(base.folder, tmp_path / "words")
    (tmp_path / "words" / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf8")
    (base.folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf8")
    torch.manual_seed(4)
    rows = NewRows(torch.arange(vocabulary.first, vocabulary.first + vocabulary.added), torch.randn(40, 32), None)
    adapter = add_adapter(load_base(base)[0], Lora(rank=4), "local:tiny", 0)
    save_adapter(adapter, tmp_path / "words")
    save_rows(tmp_path / "words", rows, vocabulary)
    words = tmp_path / "words"
    run = replace(
        base, reference="run:words", tokenizer_folder=words, adapter=words, rows=words / "new_rows.safetensors"
    )
    engine = Engine({"run:words": run, "base": base}.__getitem__)
    requests = [Request(side=side, messages=QUESTION, sampling=GREEDY) for side in ("base", "run:words", "base")]
    told = finished(list(engine.generate(requests)))
    model, tokenizer = load_adapted(run)
    turns = [message.model_dump() for message in QUESTION]
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    assert max(prompt) >= vocabulary.first, "the question is spelt with new tokens"
    asked = torch.tensor([prompt])
    out = rounded(model).generate(input_ids=asked, max_new_tokens=GREEDY.max_new_tokens, do_sample=False)
    assert told[1].text == tokenizer.decode(out[0, len(prompt) :], skip_special_tokens=True).rstrip("\ufffd")
    assert told[0].text == told[2].text == plain(base, requests[0])[1]
    assert told[0].text != told[1].text
    held = sum(weight.nbytes for weight in {id(each): each for each in load_base(base)[0].parameters()}.values())
    assert engine.weights < held + 40 * 32 * 4 + 200_000


def test_another_base_is_refused(files: Files, tmp_path: Path, copy_model: Callable[[Path], Path]) -> None:
    other = copy_model(tmp_path / "other")
    known = files | {"other": ModelFiles("other", "local:other", other, other, None)}
    engine = Engine(lambda reference: known[reference])
    with pytest.raises(StudioError, match=r"chat\.other_base"):
        engine.open(["base", "other"])
    engine.open(["other"])  # by itself it takes the place of the first
    assert engine.base == "local:other"
    assert engine.sides == ("other",)


def test_a_broken_adapter_is_refused(files: Files, adapters: dict[str, Path], tmp_path: Path) -> None:
    broken = tmp_path / "adapter"
    broken.mkdir()
    (broken / "adapter_config.json").write_bytes((adapters["first"] / "adapter_config.json").read_bytes())
    (broken / "adapter_model.safetensors").write_bytes(b"\x10\x00")
    known = files | {"broken": replace(files["first"], adapter=broken)}
    engine = Engine(lambda reference: known[reference])
    events = list(engine.generate([ask("base"), ask("broken"), ask("second")]))
    assert [event.error for event in events if isinstance(event, Refused)] == ["chat.bad_adapter"]
    assert finished(events)[2].text == plain(files["second"], ask("second"))[1]
    assert finished(events)[0].text == plain(files["base"], ask("base"))[1]


def test_a_newer_checkpoint_takes_the_place_of_the_older(files: Files) -> None:
    known = dict(files)
    engine = Engine(lambda reference: known[reference])
    engine.open(["first"])
    known["first"] = replace(files["second"], reference="first")
    assert finished(list(engine.generate([ask("first")])))[0].text == plain(files["second"], ask("second"))[1]
    assert len(engine.model.peft_config) == 1


def test_the_command_lines_answer(files: Files) -> None:
    whole = answer(files["first"], QUESTION, GREEDY)
    assert whole.text == plain(files["first"], ask("first"))[1]
    assert whole.tokens_per_second > 0
    with pytest.raises(StudioError, match=r"chat\.empty"):
        answer(files["base"], [], GREEDY)
