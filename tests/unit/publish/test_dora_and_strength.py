"""DoRA, merges on the way back to the base, and values that fp16 cannot hold."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.errors import StudioError
from studio.publish.merge import merge
from studio.publish.strength import Strength
from studio.publish.verify import check_tensors
from tests.unit.publish.making import load_weights, make_adapter, make_base

IDS = torch.arange(3, 60).unsqueeze(0)


def merged(base: Path, adapter: Path, out: Path, **how: object) -> Path:
    merge(base, adapter, out, progress=lambda share, note: None, stopping=lambda: False, **how)  # type: ignore[arg-type]
    return out


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return make_base(tmp_path_factory.mktemp("bases") / "base", dtype="float32")


def test_dora_is_what_peft_makes_of_it(base, tmp_path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    adapter = make_adapter(tmp_path / "adapter", base, dora=True)
    out = merged(base, adapter, tmp_path / "out", dtype="float32")

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
    theirs = model.merge_and_unload().state_dict()
    ours = load_weights(out)
    name = "model.layers.1.mlp.down_proj"
    lengths = load_file(adapter / "adapter_model.safetensors")[f"base_model.model.{name}.lora_magnitude_vector"]
    assert torch.allclose(ours[f"{name}.weight"].norm(dim=1), lengths, rtol=1e-5)
    plain = load_weights(base)
    for name, weight in ours.items():
        assert torch.allclose(weight, theirs[name], rtol=1e-5, atol=1e-6), name
    changed = sum(not torch.equal(ours[name], plain[name]) for name in ours)
    assert changed == 10
    assert check_tensors(base, adapter, out, dtype="float32").adapted == 10


@pytest.mark.parametrize("dora", [False, True], ids=["lora", "dora"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_every_way_back_is_checked_bit_for_bit(base, tmp_path, dora, dtype) -> None:
    adapter = make_adapter(tmp_path / "adapter", base, dora=dora)
    out = merged(base, adapter, tmp_path / "out", dtype=dtype, towards_base=0.3)
    assert check_tensors(base, adapter, out, dtype=dtype, towards_base=0.3).adapted == 10
    with pytest.raises(StudioError, match="adapted"):
        check_tensors(base, adapter, out, dtype=dtype, towards_base=0.31)
    whole = merged(base, adapter, tmp_path / "whole", dtype="float32")
    old, new, all_of_it = load_weights(base), load_weights(out), load_weights(whole)
    tolerance = {"bfloat16": 1e-2, "float16": 1e-3, "float32": 1e-5}[dtype]
    for name, weight in old.items():
        expected = weight + 0.7 * (all_of_it[name] - weight)
        assert torch.allclose(new[name].float(), expected, rtol=tolerance, atol=tolerance), name


def test_no_way_back_is_the_merge_bit_for_bit(base, tmp_path) -> None:
    adapter = make_adapter(tmp_path / "adapter", base)
    plain, zero = merged(base, adapter, tmp_path / "a"), merged(base, adapter, tmp_path / "b", towards_base=0.0)
    assert (plain / "model.safetensors").read_bytes() == (zero / "model.safetensors").read_bytes()


@pytest.mark.parametrize("share", [-0.1, 1.0, 7, math.nan, math.inf])
def test_a_share_outside_is_refused(base, tmp_path, share) -> None:
    adapter = make_adapter(tmp_path / "adapter", base)
    with pytest.raises(StudioError, match=r"publish\.towards_out_of_range"):
        merged(base, adapter, tmp_path / "out", towards_base=share)
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


@pytest.mark.parametrize("dora", [False, True], ids=["lora", "dora"])
def test_a_weakened_model_answers_as_its_merge_does(base, tmp_path, dora) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    adapter = make_adapter(tmp_path / "adapter", base, dora=dora)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter).eval()
    strength = Strength(model)

    def logits(of: object) -> torch.Tensor:
        with torch.inference_mode():
            return of(IDS).logits  # type: ignore[operator, no-any-return]

    whole = logits(model)
    for share in (0.25, 0.75):
        strength.set(share)
        out = merged(base, adapter, tmp_path / f"out-{share}", dtype="float32", towards_base=share)
        theirs = logits(AutoModelForCausalLM.from_pretrained(out))
        assert (logits(model) - theirs).abs().max() < 1e-4
    strength.set(1.0)
    assert (logits(model) - logits(AutoModelForCausalLM.from_pretrained(base))).abs().max() < 1e-4
    strength.set(0.0)
    assert torch.equal(logits(model), whole)


@pytest.mark.parametrize("place", ["base", "adapted"])
def test_a_value_too_large_for_fp16_is_refused(tmp_path, place) -> None:
    base = make_base(tmp_path / "base", dtype="float32")
    adapter = make_adapter(tmp_path / "adapter", base)
    name = "model.norm.weight" if place == "base" else "model.layers.1.mlp.down_proj.weight"
    weights = load_weights(base)
    weights[name].view(-1)[5] = 70_000
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(StudioError) as caught:
        merged(base, adapter, tmp_path / "out", dtype="float16")
    assert (caught.value.code, caught.value.details) == ("publish.overflows_fp16", {"tensor": name})
    assert not (tmp_path / "out").exists()
    found = load_weights(merged(base, adapter, tmp_path / "out", dtype="bfloat16"))
    assert all(weight.isfinite().all() for weight in found.values())


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_adapter_of_a_run_that_went_astray_is_refused(base, tmp_path, value) -> None:
    adapter = make_adapter(tmp_path / "adapter", base)
    file = adapter / "adapter_model.safetensors"
    weights = load_file(file)
    key = "base_model.model.model.layers.1.mlp.down_proj.lora_B.weight"
    weights[key][3, 3] = value
    save_file(weights, file)
    with pytest.raises(StudioError) as caught:
        merged(base, adapter, tmp_path / "out")
    assert (caught.value.code, caught.value.details["key"]) == ("publish.adapter_broken", key)


def test_dora_without_its_lengths_is_refused(base, tmp_path) -> None:
    adapter = make_adapter(tmp_path / "adapter", base, dora=True)
    file = adapter / "adapter_model.safetensors"
    weights = load_file(file)
    key = "base_model.model.model.layers.1.mlp.down_proj.lora_magnitude_vector"
    save_file({**weights, key: torch.ones(3)}, file)
    with pytest.raises(StudioError) as caught:
        merged(base, adapter, tmp_path / "out")
    assert (caught.value.code, caught.value.details["key"]) == ("publish.adapter_broken", key)
    save_file({name: weight for name, weight in weights.items() if name != key}, file)
    with pytest.raises(StudioError, match=r"publish\.adapter_broken"):
        merged(base, adapter, tmp_path / "out")
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"use_dora": False}))
    save_file(weights, file)
    with pytest.raises(StudioError, match=r"publish\.adapter_broken"):
        merged(base, adapter, tmp_path / "out")
