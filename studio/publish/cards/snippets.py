"""Short programs and commands of a model card: what a reader runs to hear the model's first answer."""

from __future__ import annotations

import json
import re
import shlex

from studio.publish.cards.facts import Snippet

QUESTION = "سلام! خودت را معرفی کن."
BEGINNING = "یکی بود، یکی نبود"

_CHAT = f"""messages = [{{"role": "user", "content": "{QUESTION}"}}]
inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True, return_tensors="pt")"""
_PLAIN = f'inputs = tokenizer("{BEGINNING}", return_tensors="pt")'
_TRANSFORMERS = """from transformers import AutoModelForCausalLM, AutoTokenizer

folder = {folder}
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
{prompt}
answer = model.generate(**inputs, max_new_tokens=100)
print(tokenizer.decode(answer[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))"""

_PEFT = """from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base, adapter = {base}, {adapter}
tokenizer = AutoTokenizer.from_pretrained(adapter)
model = AutoModelForCausalLM.from_pretrained(base, {revision}dtype="auto")
{resize}model = PeftModel.from_pretrained(model, adapter)
{prompt}
answer = model.generate(**inputs, max_new_tokens=100)
print(tokenizer.decode(answer[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))"""
_RESIZE = "model.resize_token_embeddings({rows}, mean_resizing=False)  # the adapter fills the new rows\n"


def transformers_snippet(name: str, template: bool) -> Snippet:
    """A program that loads the folder `name` from the folder above it and prints an answer."""
    folder = json.dumps(name, ensure_ascii=False)
    text = _TRANSFORMERS.format(folder=folder, prompt=_CHAT if template else _PLAIN)
    return Snippet("card.use.transformers", "python", text)


def peft_snippet(name: str, rows: int | None, template: bool, *, base: str, revision: str | None = None) -> Snippet:
    """A program that loads a base and the adapter `name` with plain peft, and prints an answer.

    Args:
        name: Repository or folder of the adapter.
        rows: That the base's tables must be made longer to; None if they need not be.
        template: Whether the tokenizer has a chat template.
        base: Repository or folder of the base.
        revision: Commit of the base's repository.
    """
    text = _PEFT.format(
        base=json.dumps(base, ensure_ascii=False),
        adapter=json.dumps(name, ensure_ascii=False),
        revision="" if revision is None else f"revision={json.dumps(revision)}, ",
        resize="" if rows is None else _RESIZE.format(rows=rows),
        prompt=_CHAT if template else _PLAIN,
    )
    return Snippet("card.use.peft", "python", text)


def gguf_snippets(name: str, file: str, template: bool, modelfile: str | None = "Modelfile") -> tuple[Snippet, ...]:
    """Commands for llama.cpp and Ollama, run inside the export's folder.

    Args:
        name: Of the export; Ollama knows the model by it, as far as its letters allow.
        file: Of the export, which ends in ``.gguf``.
        template: Whether the model answers; one without a chat template goes on with a text.
        modelfile: Of the export, for Ollama; None leaves Ollama out.
    """
    path = shlex.quote(f"./{file}")
    # The prompts need quotes of their own: shlex would write a Persian sentence no more safely than these do.
    run = f"llama-cli -m {path} -p '{QUESTION}'" if template else f"llama-completion -m {path} -p '{BEGINNING}' -n 100"
    found = [Snippet("card.use.llama_cpp", "bash", run)]
    if modelfile is not None:
        model = ollama_name(name)
        said = QUESTION if template else BEGINNING
        text = f"ollama create {model} -f {shlex.quote(modelfile)}\nollama run {model} '{said}'"
        found.append(Snippet("card.use.ollama", "bash", text))
    return tuple(found)


def ollama_name(name: str) -> str:
    """`name` in the letters that Ollama allows; ``model`` if none of them is left."""
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._") or "model"
