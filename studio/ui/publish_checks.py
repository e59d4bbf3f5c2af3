"""What was proved of an export, a line for each check, as a checklist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from studio.i18n import number, say
from studio.publish.record import Record
from studio.ui import parts
from studio.ui.parts import Markup


def checklist(locale: str, record: Record) -> Markup:
    """The checks of an export with their figures; what could not be done is said, too."""
    lines = {"merged": _merged, "adapter": _adapter, "gguf": _gguf}[record.kind](locale, record.checks)
    return parts.join(
        Markup(f'<p class="check"><span aria-hidden="true">{sign}</span> {parts.escape(line)}</p>')
        for sign, line in lines
    )


Lines = Iterator[tuple[str, str]]
DONE, LEFT_OUT = "✓", "–"


def _merged(locale: str, checks: Mapping[str, Any]) -> Lines:
    yield DONE, say(locale, "publish.check.tensors", count=number(locale, checks["tensors"]["tensors"]))
    logits = checks["logits"]
    if "skipped" in logits:
        yield LEFT_OUT, say(locale, f"publish.check.logits_skipped.{logits['skipped']}")
    else:
        yield DONE, say(locale, "publish.check.logits", difference=_tiny(locale, logits["difference"]))
    yield DONE, say(locale, "publish.check.reload")
    bits = checks["bits_per_byte"]
    before, after = (number(locale, bits[when], 4) for when in ("before", "after"))
    yield DONE, say(locale, "publish.check.bits", before=before, after=after)
    if "agreement" in checks["top1"]:
        yield DONE, say(locale, "publish.check.top1", percent=number(locale, 100 * checks["top1"]["agreement"], 1))
    if checks["towards_base"]:
        yield DONE, say(locale, "publish.check.towards", percent=number(locale, 100 * checks["towards_base"]))


def _adapter(locale: str, checks: Mapping[str, Any]) -> Lines:
    yield DONE, say(locale, "publish.check.peft", difference=_tiny(locale, checks["logits_difference"]))
    if checks["new_tokens"]:
        yield DONE, say(locale, "publish.check.new_tokens", count=number(locale, checks["new_tokens"]))
    if checks["peft_merges"]:
        yield DONE, say(locale, "publish.check.peft_merges")
    else:
        yield LEFT_OUT, say(locale, "publish.check.peft_not_merged")


def _gguf(locale: str, checks: Mapping[str, Any]) -> Lines:
    for kind, found in checks.items():
        yield (
            DONE,
            say(
                locale,
                "publish.check.gguf",
                kind=parts.named(kind),
                texts=number(locale, found["texts"]),
                percent=number(locale, 100 * found["agreement"], 1),
                before=number(locale, found["perplexity_before"], 2),
                after=number(locale, found["perplexity"], 2),
            ),
        )


def _tiny(locale: str, value: float) -> str:
    """A difference that is nearly nothing: two digits that count."""
    return f"{value:.1e}" if locale == "en" else number(locale, value, 7)
