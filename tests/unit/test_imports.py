"""What may import what, tried in fresh interpreters with torch installed."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec

HEAVY = ("torch", "trl", "peft", "datasets", "bitsandbytes", "accelerate")
PAGES = ("app", "studio.ui.shell", "studio.services.start", "studio.services.datasets", "studio.services.tokenizer",
         "studio.services.training", "studio.services.chat", "studio.services.models", "studio.services.account",
         "studio.services.jobs", "studio.services.vocabulary", "studio.services.expansion", "studio.services.rows",
         "studio.services.cleaning", "studio.services.catalogue", "studio.services.estimates",
         "studio.services.mixing", "studio.services.history_csv", "studio.services.checkpoints",
         "studio.services.votes", "studio.services.prompt_sets", "studio.services.conversations",
         "studio.services.cards", "studio.services.adapters", "studio.services.merging",
         "studio.services.publishing",
         "studio.training.estimate", "studio.__main__")  # fmt: skip
WORKERS = ("studio.worker", "studio.training.curriculum", "studio.publish.merge", "studio.chat.server")


def loaded_by(*modules: str) -> set[str]:
    """All modules that `modules` bring along; never are all objects collected meanwhile, which takes seconds."""
    code = f"""import sys, json, gc
for name in {modules!r}: __import__(name)
print(json.dumps([sorted(sys.modules), gc.get_stats()[2]["collections"]]))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    loaded, collections = json.loads(done.stdout.splitlines()[-1])
    assert collections == 0
    return set(loaded)


def test_torch_is_installed_so_that_these_tests_can_fail() -> None:
    assert find_spec("torch") is not None


def test_pages_and_services_never_load_torch() -> None:
    assert not loaded_by(*PAGES) & set(HEAVY)


def test_services_never_load_gradio() -> None:
    services = [name for name in PAGES if name.startswith("studio.services") or name == "studio.__main__"]
    assert "gradio" not in loaded_by(*services)


def test_of_transformers_pages_load_only_the_chat_template_module() -> None:
    loaded = loaded_by("studio.ui.shell", "studio.services.training", "studio.models.render")
    public = {
        name for name in loaded if name.startswith("transformers.models.") or name == "transformers.modeling_utils"
    }
    assert not public


def test_workers_never_load_gradio() -> None:
    assert "gradio" not in loaded_by(*WORKERS)
