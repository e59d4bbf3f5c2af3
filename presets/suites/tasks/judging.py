"""How written answers are judged, for lm-eval's ``process_results``."""

from __future__ import annotations

import re
from typing import Any

from rouge_score.rouge_scorer import RougeScorer

from studio.data.persian.normalise import normalise

_WORD = re.compile(r"\w+")


class _Words:
    """rouge_score's own tokenizer keeps a to z and digits only: every Persian summary would score 0."""

    def tokenize(self, text: str) -> list[str]:
        return _WORD.findall(normalise(text).lower())


_SCORER = RougeScorer(["rougeL"], tokenizer=_Words())


def short_answer(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """1 where the answer's first line is the wanted one, whatever the digits' shapes, punctuation and half-spaces."""
    said, wanted = (_plain(text) for text in (results[0].strip().split("\n")[0], str(doc["answer"])))
    return {"answer": float(said == wanted)}


def summary(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """ROUGE-L (F) on words, with the column ``summary``."""
    return {"rougeL": _SCORER.score(str(doc["summary"]), results[0])["rougeL"].fmeasure}


def _plain(text: str) -> list[str]:
    latin = text.translate(str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩", "01234567890123456789"))
    return _WORD.findall(normalise(latin).lower())


def highlights(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """As `summary`, with the column ``highlights`` of CNN/DailyMail."""
    return summary({"summary": doc["highlights"]}, results)


def entailment(dataset: Any) -> Any:
    """Rows with one of the three labels; ParsiNLU has three others."""
    return dataset.filter(lambda row: row["label"] in ("e", "n", "c"))
