"""``data mix``: datasets mixed by weights into a new one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from studio.commands.speech import Detach, Json, Language, Workspace, speaking
from studio.data.mixing.order import SEED, parse_cap, parse_source
from studio.data.pairs import Direction
from studio.data.sample import Kind
from studio.services import mixing


def mix(
    sources: Annotated[
        list[str], typer.Argument(metavar="NAME[=WEIGHT]…", help="Shares of the tokens; without weights, as they are.")
    ],
    out: Annotated[str, typer.Option("--out", help="Name of the new dataset.")],
    tokens: Annotated[int | None, typer.Option("--tokens", help="Budget; else as many as the shares allow.")] = None,
    temperature: Annotated[float, typer.Option("--temperature", help="Above 1, shares become more alike.")] = 1.0,
    cap: Annotated[
        list[str] | None,
        typer.Option("--cap", help="[NAME=]2x, 5000rows or 1000000tokens: most of a source; else 1x. Repeat it."),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Whose tokens count; else the first on disk.")] = None,
    vocabulary: Annotated[str | None, typer.Option("--vocabulary", help="Or those of this vocabulary.")] = None,
    direction: Annotated[Direction, typer.Option("--direction", help="How pairs are written out.")] = "both",
    kind: Annotated[Kind | None, typer.Option("--as", help="What pairs alone become; else they stay pairs.")] = None,
    replay: Annotated[
        float | None, typer.Option("--replay", help="Share of English beside texts; else 0.1; 0 for none.")
    ] = None,
    held_out: Annotated[
        float, typer.Option("--held-out", help="Share of rows set aside as NAME-held-out, near-duplicates together.")
    ] = 0.0,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same mix.")] = SEED,
    detach: Detach = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Mix datasets by weights into a new one, up to a budget of tokens, with English replay and a held-out part."""
    with speaking(json, workspace, language) as speech:
        counted_by = mixing.find_tokenizer(speech.studio, model, vocabulary)
        order, warnings = mixing.make_order(
            speech.studio,
            [parse_source(each) for each in sources],
            counted_by,
            kind=kind,
            budget=tokens,
            temperature=temperature,
            caps=[parse_cap(each) for each in cap or []],
            direction=direction,
            replay=replay,
            held_out=held_out,
            seed=seed,
        )
        job = mixing.start_mix(speech.studio, order, counted_by, out, warnings)
        found = speech.follow(job, detach=detach)
        if found["state"] != "done":
            speech.tell(found)
            return
        found["warnings"] = [
            each | {"message": mixing.warning_text(speech.locale, each)} for each in found["warnings"]
        ]
        speech.tell(found, *_lines(found))


def _lines(found: dict[str, Any]) -> list[str]:
    told = [f"{key}: {found[key]}" for key in ("name", "rows", "characters", "tokens", "seconds")]
    sources = [f"{each['dataset']}\t{each['rows']}\t{each['tokens']}\t{each['share']:.1%}\t{each['passes']}×"
               for each in found["sources"]]  # fmt: skip
    aside = found["held_out"]
    beside = [] if aside is None else [f"{aside['name']}: {aside['rows']}\t{aside['tokens']}"]
    return [*told, *sources, *beside, *(each["message"] for each in found["warnings"])]
