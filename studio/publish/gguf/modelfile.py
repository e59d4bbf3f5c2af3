"""A Modelfile for Ollama: the GGUF file, the model's own chat template in Go's form, and what ends an answer.

Ollama writes chats by the TEMPLATE of the Modelfile. Without one, versions from 0.30 on let llama.cpp write them by
the Jinja template inside the GGUF file; earlier ones compared that with a list of their own and, when none of it was
within 100 edits, sent the bare question.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from studio.errors import StudioError
from studio.models.files import chat_template
from studio.models.render import render_chat
from studio.models.tokenizer import end_tokens, load_tokenizer, special_tokens

_SYSTEM, _USER, _ANSWER = "qzsystem", "qzuser", "qzanswer"
_PROBES = ("u", "uau", "uauau", "su", "suau", "suauau")
# What Go's strconv.IsPrint refuses Ollama drops from a Modelfile; the other two would end an action or the template.
_AWKWARD = re.compile(
    r'\{\{|"""|[^\S \n\t]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]'
)


@dataclass(frozen=True, slots=True)
class Modelfile:
    """The text, and whether it carries the model's template."""

    text: str
    has_template: bool


@dataclass(frozen=True, slots=True)
class Turns:
    """What a chat template writes around the messages.

    `first` stands before a chat that begins with a question, `system` before one that begins with a system message
    and `after_system` behind that message. Behind a question stands `answer`, or `last` if it is the end of the chat;
    behind an answer `question`.
    """

    first: str
    system: str
    after_system: str
    answer: str
    last: str
    question: str

    def write(self, messages: Sequence[Mapping[str, str]]) -> str:
        """The chat as text, ending with the opening of an answer."""
        text = "" if messages[0]["role"] == "system" else self.first
        for place, message in enumerate(messages):
            end = place == len(messages) - 1
            match message["role"]:
                case "system":
                    text += self.system + message["content"] + self.after_system
                case "user":
                    text += message["content"] + (self.last if end else self.answer)
                case _:
                    text += message["content"] + ("" if end else self.question)
        return text


def write_modelfile(file: str, folder: Path, *, adds_start: bool) -> Modelfile:
    """A Modelfile for the file named `file` beside it.

    Args:
        file: Name of the GGUF file.
        folder: Merged model it was made of.
        adds_start: Whether llama.cpp begins every text with the start token by itself; the template then must not.

    Raises:
        StudioError: ``model.broken_file`` or ``model.no_tokenizer``.
    """
    template, named = chat_template(folder), special_tokens(folder)
    turns = find_turns(template, named) if template else None
    lines = ["# ollama create NAME -f Modelfile", f"FROM ./{file}", ""]
    if turns is not None:
        lines += [f'TEMPLATE """{go_template(turns, named.get("bos_token") if adds_start else None)}"""', ""]
    elif template:
        lines += [
            "# This model's chat template has no equal here. Ollama 0.30 and later use the one in the GGUF file.",
            "",
        ]
    lines += [f'PARAMETER stop "{token}"' for token in stop_tokens(folder, turns)]
    return Modelfile("\n".join(lines) + "\n", turns is not None)


def stop_tokens(folder: Path, turns: Turns | None) -> list[str]:
    """The tokens that end an answer: those of the configs, and the special one the template writes behind it."""
    tokenizer = load_tokenizer(folder)
    found = [tokenizer.id_to_token(place) for place in end_tokens(folder)]
    special = {token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special}
    if turns is not None:
        found += [token for token in sorted(special) if turns.question.lstrip().startswith(token)]
    return [token for token in dict.fromkeys(found) if token]


def find_turns(template: str, named: Mapping[str, str]) -> Turns | None:
    """What `template` writes around messages, found from probes; None if no fixed texts would write the same.

    A system message that the template refuses or leaves out goes in front of the first question, as in training.
    """
    if "strftime_now" in template:  # another text every day
        return None
    try:
        first, answer, question, last = _around(template, "uau", named)
        system = _with_system(template, named)
        before, behind = system or (first, "\n\n")
        found = Turns(first, before, behind, answer, last, question)
        probes = _PROBES if system is not None else tuple(probe for probe in _PROBES if "s" not in probe)
        same = all(found.write(_chat(probe)) == _render(template, probe, named) for probe in probes)
    except (StudioError, ValueError):
        return None
    return found if same else None


def go_template(turns: Turns, start: str | None = None) -> str:
    """`turns` as a template of Go's text/template; a `start` that llama.cpp writes itself is left out."""

    def written(text: str) -> str:
        return _AWKWARD.sub(lambda found: f'{{{{ "{_escaped(found[0])}" }}}}', text.removeprefix(start or ""))

    return (
        "{{ range $i, $m := .Messages }}{{ $last := eq (len (slice $.Messages $i)) 1 }}"
        f'{{{{ if eq $m.Role "system" }}}}{written(turns.system)}{{{{ $m.Content }}}}{written(turns.after_system)}'
        f'{{{{ else if eq $m.Role "user" }}}}{{{{ if eq $i 0 }}}}{written(turns.first)}{{{{ end }}}}'
        "{{ $m.Content }}"
        f"{{{{ if $last }}}}{written(turns.last)}{{{{ else }}}}{written(turns.answer)}{{{{ end }}}}"
        '{{ else if eq $m.Role "assistant" }}{{ $m.Content }}'
        f"{{{{ if not $last }}}}{written(turns.question)}{{{{ end }}}}{{{{ end }}}}{{{{ end }}}}"
    )


def _escaped(text: str) -> str:
    return "".join(f"\\U{ord(character):08x}" for character in text)


def _chat(probe: str) -> list[dict[str, str]]:
    roles = {"s": ("system", _SYSTEM), "u": ("user", _USER), "a": ("assistant", _ANSWER)}
    return [{"role": roles[each][0], "content": f"{roles[each][1]}{place}"} for place, each in enumerate(probe)]


def _render(template: str, probe: str, named: Mapping[str, str]) -> str:
    return render_chat(template, _chat(probe), add_generation_prompt=True, special_tokens=named)


def _with_system(template: str, named: Mapping[str, str]) -> tuple[str, str] | None:
    try:
        before, behind, _ = _around(template, "su", named)
    except (StudioError, ValueError):
        return None
    return before, behind


def _around(template: str, probe: str, named: Mapping[str, str]) -> list[str]:
    """The texts before, between and behind the messages of a probe; ValueError if one is not written."""
    rest, found = _render(template, probe, named), []
    for message in _chat(probe):
        before, mark, rest = rest.partition(message["content"])
        if not mark:
            raise ValueError(f"{message['content']} is not written")
        found.append(before)
    return [*found, rest]
