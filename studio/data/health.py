"""How healthy a dataset is: language, spelling of ye and kaf, half-spaces, duplicates, lengths, licence."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from studio.data.cleaning.hashing import hash_text
from studio.data.language import guess
from studio.data.persian.normalise import normalise
from studio.data.sample import Pair
from studio.data.stored import list_groups, plain_text, read_group, read_manifest

LANGUAGE_ROWS = 2_000
_FACTS = {"name", "kind", "rows", "characters", "bytes", "licence", "source", "persian_share"}
_ZWNJ = "\u200c"
# Where a half-space belongs beyond doubt: after «می» and «نمی» before a verb, and before «ها» with its endings.
_JOINED = re.compile(f"\\bن?می{_ZWNJ}|{_ZWNJ}ها")
_APART = re.compile(
    r"(?<![\w\u200c])ن?می (?=[آ-ی]{2,}(?:م|ی|د|یم|ید|ند)(?!\w))|(?<=[آ-ی]) ها(?:ی|یی|یم|یت|یش)?(?![\w\u200c])"
)


def examine(folder: Path) -> dict[str, Any]:
    """Facts about a dataset; all its rows are read, and `LANGUAGE_ROWS` of them asked for their language.

    Returns:
        ``name, kind, rows, characters, bytes, licence, source``; ``languages`` (share of the rows asked; of pairs the
        Persian side, and ``languages_en`` of their English one),
        ``persian_share`` (of the letters), ``arabic_ye_kaf_share`` (Arabic ones among all ye and kaf),
        ``half_space_share`` (of the places that need one, None without such a place), ``duplicate_share`` (rows that
        stood before, letter for letter after normalising) and ``lengths`` (characters a row: ``least``, ``tenth``,
        ``median``, ``ninetieth``, ``most``, ``mean``).

    Raises:
        StudioError: ``data.no_such_dataset`` or ``data.dataset_damaged``.
    """
    manifest = read_manifest(folder)
    letters, half_spaces, languages, english = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    hashes, lengths = np.zeros(manifest.rows, np.uint64), np.zeros(manifest.rows, np.int64)
    step, row = max(1, manifest.rows // LANGUAGE_ROWS), 0
    for group in list_groups(folder):
        for sample in read_group(group, manifest.kind):
            text = plain_text(sample)
            normal = normalise(text)
            letters.update(arabic=sum(map(text.count, "يىك")), persian=sum(map(text.count, "یک")))
            half_spaces.update(joined=len(_JOINED.findall(text)), apart=len(_APART.findall(text)))
            hashes[row], lengths[row] = hash_text(normal), len(text)
            if row % step == 0:
                languages[guess(normalise(sample.fa) if isinstance(sample, Pair) else normal).taken_for] += 1
                english.update([guess(sample.en.lower()).taken_for] if isinstance(sample, Pair) else [])
            row += 1
    return {
        **{
            key: getattr(manifest, key) for key in ("name", "kind", "rows", "characters", "bytes", "licence", "source")
        },
        "persian_share": manifest.persian_share,
        "languages": _shares(languages),
        **({"languages_en": _shares(english)} if english else {}),
        "arabic_ye_kaf_share": _share(letters["arabic"], letters.total()) or 0.0,
        "half_space_share": _share(half_spaces["joined"], half_spaces.total()),
        "duplicate_share": round(1 - len(np.unique(hashes)) / max(1, manifest.rows), 4),
        "lengths": _summary(lengths),
    }


def _shares(counts: Counter[str]) -> dict[str, float]:
    return {name: round(count / counts.total(), 4) for name, count in counts.most_common()}


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _summary(lengths: Any) -> dict[str, float]:
    least, tenth, median, ninetieth, most = np.percentile(lengths, (0, 10, 50, 90, 100), method="lower").tolist()
    return {
        "least": least, "tenth": tenth, "median": median, "ninetieth": ninetieth, "most": most,
        "mean": round(float(lengths.mean()), 1),
    }  # fmt: skip
