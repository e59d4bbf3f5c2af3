"""A model with a class of its own: it stays shut until the owner has seen its files, and shuts when one changes."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

from studio.errors import StudioError
from studio.models.files import locate
from studio.models.load import load_base
from studio.services import merging, trust
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from studio.training.base import load_frozen

MODELLING = """
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM

(Path(__file__).parent / "ran").touch()


class OwnConfig(LlamaConfig):
    model_type = "own-llama"


class OwnForCausalLM(LlamaForCausalLM):
    config_class = OwnConfig
"""


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return open_studio(Settings(tmp_path / "workspace"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where transformers puts the files that it runs."""
    import transformers.dynamic_module_utils as theirs

    monkeypatch.setattr(theirs, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path / "modules"


@pytest.fixture
def own(tiny_model: Path, tmp_path: Path) -> Path:
    """The tiny model under a type that only its own file knows."""
    folder = shutil.copytree(tiny_model, tmp_path / "own")
    config = json.loads((folder / "config.json").read_text(encoding="utf8"))
    classes = {"AutoConfig": "modeling_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.OwnForCausalLM"}
    named = {**config, "model_type": "own-llama", "architectures": ["OwnForCausalLM"], "auto_map": classes}
    (folder / "config.json").write_text(json.dumps(named), encoding="utf8")
    (folder / "modeling_own.py").write_text(MODELLING, encoding="utf8")
    return folder


def ran(cache: Path) -> bool:
    return any(cache.rglob("ran"))


@pytest.mark.parametrize("quantisation", ["none", "nf4"])
def test_nothing_of_it_runs_unasked(own: Path, studio: Studio, cache: Path, quantisation: str) -> None:
    reference = f"local:{own}"
    assert trust.look(studio, reference).trusted is False
    files = locate(reference, studio.settings)
    with pytest.raises(StudioError) as caught:
        load_frozen(files, device="cpu", dtype=torch.float32, quantisation=quantisation)  # type: ignore[arg-type]
    assert (caught.value.code, caught.value.details) == ("code.not_trusted", {"reference": reference})
    assert not ran(cache)


def test_trusted_it_answers_as_the_model_that_it_is(own: Path, tiny_model: Path, studio: Studio, cache: Path) -> None:
    reference, ids = f"local:{own}", torch.arange(8)[None]
    assert trust.trust(studio, reference).trusted
    model, _ = load_base(locate(reference, studio.settings), device="cpu", dtype=torch.float32)
    assert type(model).__name__ == "OwnForCausalLM"
    assert ran(cache)
    plain, _ = load_base(locate(f"local:{tiny_model}", studio.settings), device="cpu", dtype=torch.float32)
    with torch.inference_mode():
        assert torch.equal(model(ids).logits, plain(ids).logits)


def test_trust_ends_with_a_changed_letter_a_new_file_or_a_word(own: Path, studio: Studio) -> None:
    reference = f"local:{own}"
    (own / "nested").mkdir()
    for change in (own / "modeling_own.py", own / "added.py", own / "nested" / "deep.py"):
        trust.trust(studio, reference)
        assert locate(reference, studio.settings).trusted
        with change.open("a", encoding="utf8") as file:
            file.write("# one more line\n")
        assert not locate(reference, studio.settings).trusted
    trust.trust(studio, reference)
    trust.distrust(studio, reference)
    assert not trust.look(studio, reference).trusted


def test_a_known_type_is_opened_without_its_files(own: Path, studio: Studio, cache: Path) -> None:
    config = json.loads((own / "config.json").read_text(encoding="utf8"))
    (own / "config.json").write_text(json.dumps({**config, "model_type": "llama"}), encoding="utf8")
    model, _ = load_base(locate(f"local:{own}", studio.settings), device="cpu")
    assert type(model).__name__ == "LlamaForCausalLM"
    assert not ran(cache)


def test_what_cannot_be_allowed_is_said(own: Path, tiny_model: Path, studio: Studio) -> None:
    with pytest.raises(StudioError, match=r"code\.none"):
        trust.look(studio, f"local:{tiny_model}")
    with pytest.raises(StudioError, match=r"code\.none"):
        trust.trust(studio, "run:first_steps-1")
    config = json.loads((own / "config.json").read_text(encoding="utf8"))
    away = {"AutoModelForCausalLM": "someone/else--modeling_own.OwnForCausalLM"}
    (own / "config.json").write_text(json.dumps({**config, "auto_map": away}), encoding="utf8")
    with pytest.raises(StudioError) as caught:
        trust.trust(studio, f"local:{own}")
    assert (caught.value.code, caught.value.details["place"]) == ("code.elsewhere", "someone/else")
    (studio.settings.workspace / "trusted.json").write_text("{broken", encoding="utf8")
    assert not trust.look(studio, f"local:{own}").trusted


def test_a_merge_that_nobody_could_open_is_not_begun(own: Path, studio: Studio) -> None:
    from studio.recipes import dump_recipe, override, preset_recipe

    run = studio.settings.runs / "first_steps-1"
    stage = run / "stages" / "00-chat"
    stage.mkdir(parents=True)
    recipe = override(preset_recipe("first_steps"), [f"base=local:{own}"])
    (run / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf8")
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        (stage / name).write_bytes(b"{}")
    with pytest.raises(StudioError, match=r"publish\.foreign_code"):
        merging.start_merge(studio, "run:first_steps-1")
