"""A merged folder holds the tensors that the formula gives, in the shape of its base, or it is not there at all."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from studio.errors import StudioError
from studio.publish.merge import merge
from studio.publish.verify import check_tensors
from tests.unit.publish.making import load_weights, make_adapter, make_base


def quiet(share: float, note: str) -> None:
    assert 0 <= share <= 1
    assert note.startswith("progress.")


def never() -> bool:
    return False


ULP = {"bfloat16": 2**-8, "float16": 2**-11, "float32": 2**-20}


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> Callable[..., Path]:
    folder = tmp_path_factory.mktemp("bases")

    @cache
    def base(tied: bool = True, dtype: str = "bfloat16", sharded: bool = False) -> Path:
        return make_base(folder / f"{tied}-{dtype}-{sharded}", tied=tied, dtype=dtype, sharded=sharded)

    return base


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tied=st.booleans(),
    sharded=st.booleans(),
    base_dtype=st.sampled_from(["bfloat16", "float32", "float16"]),
    dtype=st.sampled_from(["bfloat16", "float16", "float32"]),
    lora_dtype=st.sampled_from(["float32", "bfloat16"]),
    rank=st.integers(1, 40),
    alpha=st.floats(0.5, 64),
    rslora=st.booleans(),
)
def test_every_tensor_is_what_the_formula_gives(
    bases, tmp_path, tied, sharded, base_dtype, dtype, lora_dtype, rank, alpha, rslora
) -> None:
    base, out = bases(tied, base_dtype, sharded), tmp_path / "out"
    shutil.rmtree(out, ignore_errors=True)
    adapter = make_adapter(tmp_path / "adapter", base, rank=rank, alpha=alpha, rslora=rslora, dtype=lora_dtype)

    result = merge(base, adapter, out, dtype=dtype, progress=quiet, stopping=never)

    old, new, lora = load_weights(base), load_weights(out), load_file(adapter / "adapter_model.safetensors")
    assert new.keys() == old.keys()
    assert result.tensors == len(old)
    assert sorted(result.files) == sorted(path.name for path in out.iterdir())
    scale = alpha / rank**0.5 if rslora else alpha / rank
    for name, weight in old.items():
        key = f"base_model.model.{name.removesuffix('.weight')}.lora_"
        if key + "A.weight" in lora:
            up, down = lora[key + "B.weight"].float(), lora[key + "A.weight"].float()
            exact = weight.double() + scale * (up.double() @ down.double())
            weight = torch.addmm(weight.float(), up * scale, down)
            torch.testing.assert_close(new[name].double(), exact, rtol=ULP[dtype], atol=1e-5)
        assert torch.equal(weight.to(getattr(torch, dtype)), new[name]), name
    checked = check_tensors(base, adapter, out, dtype=dtype)
    assert (checked.tensors, checked.adapted, checked.tables) == (len(old), len(lora) // 2, 0)


@pytest.mark.parametrize(
    "more",
    [{}, {"rslora": True}, {"rank_pattern": {"q_proj": 3}, "alpha_pattern": {"layers.1.mlp.down_proj": 40}}],
    ids=["plain", "rslora", "patterns"],
)
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_logits_are_those_of_peft(bases, tmp_path, tied, more) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = bases(tied, "float32")
    adapter = make_adapter(tmp_path / "adapter", base, **more)
    merge(base, adapter, tmp_path / "out", dtype="float32", progress=quiet, stopping=never)

    ids = torch.arange(3, 60).unsqueeze(0)
    with torch.inference_mode():
        plain = AutoModelForCausalLM.from_pretrained(base)(ids).logits
        unmerged = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)(ids).logits
        model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
        merged = model(ids).logits
    assert (merged - unmerged).abs().max() < 1e-4
    assert (merged - plain).abs().max() > 1e-2
    assert (model.get_input_embeddings().weight is model.get_output_embeddings().weight) is tied


def test_folder_keeps_everything_but_the_marks_of_quantisation(bases, tmp_path) -> None:
    base = shutil.copytree(bases(sharded=True), tmp_path / "base")
    config = json.loads((base / "config.json").read_text())
    config |= {
        "quantization_config": {"quant_method": "gguf"},
        "torch_dtype": "float32",
        "text_config": {"dtype": "float32"},
    }
    (base / "config.json").write_text(json.dumps(config))
    (base / "LICENSE").write_text("terms")
    (base / "training_args.bin").write_bytes(b"not for others")
    adapter = make_adapter(tmp_path / "adapter", base)

    merge(base, adapter, tmp_path / "out", progress=quiet, stopping=never)

    written = json.loads((tmp_path / "out" / "config.json").read_text())
    assert "quantization_config" not in written
    assert (written["dtype"], written["torch_dtype"], written["text_config"]["dtype"]) == ("bfloat16",) * 3
    assert written["vocab_size"] == config["vocab_size"]
    before, after = (json.loads((each / "tokenizer_config.json").read_text()) for each in (base, tmp_path / "out"))
    assert after == before | {"tokenizer_class": "PreTrainedTokenizerFast"}
    same = ["generation_config.json", "tokenizer.json", "chat_template.jinja", "LICENSE"]
    for name in same:
        assert (tmp_path / "out" / name).read_bytes() == (base / name).read_bytes()
    assert not (tmp_path / "out" / "training_args.bin").exists()
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"].values()) == {path.name for path in base.glob("*.safetensors")}
    assert index["metadata"]["total_size"] == sum(weight.nbytes for weight in load_weights(base).values())


def test_tokenizer_comes_from_its_own_folder(bases, tmp_path) -> None:
    tokenizer = tmp_path / "vocabulary"
    tokenizer.mkdir()
    (tokenizer / "tokenizer.json").write_text("{}")
    adapter = make_adapter(tmp_path / "adapter", bases())
    result = merge(bases(), adapter, tmp_path / "out", tokenizer=tokenizer, progress=quiet, stopping=never)
    assert (tmp_path / "out" / "tokenizer.json").read_text() == "{}"
    assert "tokenizer_config.json" not in result.files


def refusal(base: Path, adapter: Path, out: Path) -> StudioError:
    with pytest.raises(StudioError) as caught:
        merge(base, adapter, out, progress=quiet, stopping=never)
    assert [path.name for path in out.parent.glob(".incoming*")] == []
    return caught.value


def test_adapter_of_another_base_is_refused(bases, tmp_path) -> None:
    adapter = make_adapter(tmp_path / "adapter", bases())
    file = adapter / "adapter_model.safetensors"
    weights = load_file(file)
    name = "base_model.model.model.layers.1.mlp.down_proj.lora_A.weight"
    save_file(weights | {name: torch.zeros(8, 99)}, file)
    error = refusal(bases(), adapter, tmp_path / "out")
    assert (error.code, error.details) == (
        "publish.adapter_of_another_base",
        {"key": "model.layers.1.mlp.down_proj.weight"},
    )
    save_file({key.replace("layers.1.", "layers.9."): value for key, value in weights.items()}, file)
    assert refusal(bases(), adapter, tmp_path / "out").code == "publish.adapter_of_another_base"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "feature"),
    [
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices"),
        ({"bias": "all"}, "bias"),
        ({"init_lora_weights": "pissa"}, "pissa"),
        ({"peft_type": "IA3"}, "IA3"),
    ],
)
def test_what_is_not_plain_lora_is_refused(bases, tmp_path, more, feature) -> None:
    adapter = make_adapter(tmp_path / "adapter", bases(), **more)
    error = refusal(bases(), adapter, tmp_path / "out")
    assert (error.code, error.details) == ("publish.adapter_unsupported", {"feature": feature})


@pytest.mark.parametrize(
    "key", ["base_model.model.lm_head.lora_{}.weight", "base_model.model.model.embed_tokens.lora_embedding_{}"]
)
def test_adapter_on_a_tied_embedding_is_refused(bases, tmp_path, key) -> None:
    adapter = make_adapter(tmp_path / "adapter", bases())
    file = adapter / "adapter_model.safetensors"
    more = {key.format("A"): torch.zeros(8, 64), key.format("B"): torch.zeros(512, 8)}
    save_file(load_file(file) | more, file)
    assert refusal(bases(), adapter, tmp_path / "out").code == "publish.adapter_unsupported"


def test_damaged_files_are_named(bases, tmp_path) -> None:
    adapter = make_adapter(tmp_path / "adapter", bases())
    base = shutil.copytree(bases(sharded=True), tmp_path / "base")
    last = sorted(base.glob("*.safetensors"))[-1]
    last.write_bytes(last.read_bytes()[:-100])
    error = refusal(base, adapter, tmp_path / "out")
    assert (error.code, error.details["file"]) == ("model.broken_file", last.name)
    last.unlink()
    assert refusal(base, adapter, tmp_path / "out").code == "model.missing_shard"
    file = adapter / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:50])
    assert refusal(bases(), adapter, tmp_path / "out").code == "publish.adapter_broken"
    file.unlink()
    assert refusal(bases(), adapter, tmp_path / "out").code == "publish.no_adapter"
    assert refusal(tmp_path, adapter, tmp_path / "out").code == "model.no_weights"


def test_quantised_base_is_refused(bases, tmp_path) -> None:
    base = shutil.copytree(bases(), tmp_path / "base")
    adapter = make_adapter(tmp_path / "adapter", base)
    packed = load_weights(base)
    packed["model.layers.0.mlp.down_proj.weight"] = torch.zeros(64, 128, dtype=torch.uint8)
    save_file(packed, base / "model.safetensors")
    assert refusal(base, adapter, tmp_path / "out").code == "publish.base_quantised"


def test_a_full_folder_is_left_alone(bases, tmp_path) -> None:
    adapter = make_adapter(tmp_path / "adapter", bases())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    error = refusal(bases(), adapter, tmp_path / "out")
    assert error.code == "publish.out_exists"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
    (tmp_path / "out" / "mine.txt").unlink()
    merge(bases(), adapter, tmp_path / "out", progress=quiet, stopping=never)  # an empty one is no loss


def test_too_little_space_is_said_before_writing(bases, tmp_path, monkeypatch) -> None:
    adapter = make_adapter(tmp_path / "adapter", bases())
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 1000))
    error = refusal(bases(), adapter, tmp_path / "out")
    assert error.code == "disk.too_small"
    assert error.details["needed"] > error.details["free"] == 1000


def test_stop_in_the_middle_leaves_nothing(bases, tmp_path) -> None:
    adapter = make_adapter(tmp_path / "adapter", bases())
    shares: list[float] = []
    with pytest.raises(StudioError, match=r"job\.stopped"):
        merge(
            bases(),
            adapter,
            tmp_path / "exports" / "out",
            progress=lambda share, note: shares.append(share),
            stopping=lambda: bool(shares) and shares[-1] > 0.5,
        )
    assert 0.5 < shares[-1] < 1
    assert list((tmp_path / "exports").iterdir()) == []


def test_what_a_killed_merge_left_is_in_nobodys_way(bases, tmp_path) -> None:
    adapter = make_adapter(tmp_path / "adapter", bases())
    (tmp_path / ".incoming-out").mkdir()
    (tmp_path / ".incoming-out" / "model.safetensors").write_bytes(b"half")
    merge(bases(), adapter, tmp_path / "out", progress=quiet, stopping=never)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "out"]
