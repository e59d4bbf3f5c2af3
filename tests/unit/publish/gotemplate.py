"""The few constructs of Go's text/template that our Modelfiles use, evaluated as Ollama would."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_PIECE = re.compile(r"\{\{ (.*?) \}\}", re.DOTALL)
Node = tuple[str, Any]


def render(template: str, messages: Sequence[Mapping[str, str]]) -> str:
    """`template` on a chat; consecutive messages of one role must have been joined."""
    parts = _PIECE.split(template)
    pieces = iter([("text" if place % 2 == 0 else "action", part) for place, part in enumerate(parts)])
    nodes, _ = _parse(pieces)
    return "".join(_run(nodes, {"messages": messages}))


def _parse(pieces: Iterator[Node]) -> tuple[list[Node], str]:
    """Nodes up to the ``end`` or ``else`` that closes them, and that word."""
    nodes: list[Node] = []
    for kind, text in pieces:
        if kind == "text":
            nodes.append(("text", text))
        elif text == "end" or text.startswith("else"):
            return nodes, text
        elif text.startswith("range "):
            assert text == "range $i, $m := .Messages", text
            nodes.append(("range", _parse(pieces)[0]))
        elif text.startswith("if "):
            nodes.append(("if", _branches(text.removeprefix("if "), pieces)))
        elif text.startswith("$last := "):
            assert text == "$last := eq (len (slice $.Messages $i)) 1", text
            nodes.append(("last", None))
        else:
            nodes.append(("value", text))
    return nodes, ""


def _branches(condition: str, pieces: Iterator[Node]) -> list[tuple[str, list[Node]]]:
    found = []
    while True:
        nodes, closed = _parse(pieces)
        found.append((condition, nodes))
        if closed == "end":
            return found
        condition = closed.removeprefix("else").strip().removeprefix("if ").strip()


def _run(nodes: Sequence[Node], state: dict[str, Any]) -> Iterator[str]:
    for kind, value in nodes:
        if kind == "text":
            yield value
        elif kind == "range":
            for place, message in enumerate(state["messages"]):
                yield from _run(value, state | {"i": place, "m": message})
        elif kind == "last":
            state["last"] = state["i"] == len(state["messages"]) - 1
        elif kind == "if":
            for condition, inner in value:
                if _holds(condition, state):
                    yield from _run(inner, state)
                    break
        elif value == "$m.Content":
            yield state["m"]["content"]
        else:
            assert re.fullmatch(r'"(\\U[0-9a-f]{8})+"', value), value
            yield "".join(chr(int(code, 16)) for code in re.findall(r"[0-9a-f]{8}", value))


def _holds(condition: str, state: Mapping[str, Any]) -> bool:
    if condition == "":
        return True
    if role := re.fullmatch(r'eq \$m\.Role "(\w+)"', condition):
        return bool(state["m"]["role"] == role[1])
    known = {
        "$last": "last" in state and state["last"],
        "not $last": not state.get("last"),
        "eq $i 0": state["i"] == 0,
    }
    return bool(known[condition])
