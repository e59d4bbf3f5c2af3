"""How healthy a dataset is: language, spelling of ye and kaf, half-spaces, duplicates, lengths, licence."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from studio.data.cleaning.contamination import read_suites, touches
from studio.data.cleaning.filters import CONTAMINATION_WORDS
from studio.data.cleaning.hashing import hash_text, hash_words
from studio.data.language import guess
from studio.data.persian.normalise import normalise
from studio.data.sample import Pair
from studio.data.stored import list_groups, plain_text, read_group, read_manifest
from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping

FILE = "health.json"
LANGUAGE_ROWS = 2_000
_FACTS = {"name", "kind", "rows", "characters", "bytes", "licence", "source", "persian_share"}
_ZWNJ = "\u200c"
# Where a half-space belongs beyond doubt: after «می» and «نمی» before a verb, and before «ها» with its endings.
_JOINED = re.compile(f"\\bن?می{_ZWNJ}|{_ZWNJ}ها")
_APART = re.compile(
    r"(?<![\w\u200c])ن?می (?=[آ-ی]{2,}(?:م|ی|د|یم|ید|ند)(?!\w))|(?<=[آ-ی]) ها(?:ی|یی|یم|یت|یش)?(?![\w\u200c])"
)


def examine(folder: Path, against: Sequence[Path] = (), *, progress: Progress, stopping: Stopping) -> dict[str, Any]:
    """Facts about a dataset; all its rows are read, and `LANGUAGE_ROWS` of them asked for their language.

    Args:
        folder: The dataset.
        against: Evaluation files; rows that share `CONTAMINATION_WORDS` words in a row with one are counted.
        progress: Told ``progress.examine``.
        stopping: Asked between the pieces of the dataset.

    Returns:
        ``name, kind, rows, characters, bytes, licence, source``; ``languages`` (share of the rows asked; of pairs the
        Persian side, and ``languages_en`` of their English one),
        ``persian_share`` (of the letters), ``arabic_ye_kaf_share`` (Arabic ones among all ye and kaf),
        ``half_space_share`` (of the places that need one, None without such a place), ``duplicate_share`` (rows that
        stood before, letter for letter after normalising), ``lengths`` (characters a row: ``least``, ``tenth``,
        ``median``, ``ninetieth``, ``most``, ``mean``), ``against`` (names of the evaluation files) and
        ``contaminated_rows`` (None without such files).

    Raises:
        StudioError: ``data.no_such_dataset``, ``data.dataset_damaged``, ``clean.suite_empty`` or ``job.stopped``.
    """
    manifest = read_manifest(folder)
    letters, half_spaces, languages, english = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    hashes, lengths = np.zeros(manifest.rows, np.uint64), np.zeros(manifest.rows, np.int64)
    suites = read_suites(against, CONTAMINATION_WORDS) if against else None
    step, row, contaminated = max(1, manifest.rows // LANGUAGE_ROWS), 0, 0
    for group in list_groups(folder):
        if stopping():
            raise StudioError("job.stopped")
        progress(row / max(1, manifest.rows), "progress.examine")
        normals = []
        for sample in read_group(group, manifest.kind):
            text = plain_text(sample)
            normals.append(normalise(text))
            letters.update(arabic=sum(map(text.count, "يىك")), persian=sum(map(text.count, "یک")))
            half_spaces.update(joined=len(_JOINED.findall(text)), apart=len(_APART.findall(text)))
            hashes[row], lengths[row] = hash_text(normals[-1]), len(text)
            if row % step == 0:
                languages[guess(normalise(sample.fa) if isinstance(sample, Pair) else normals[-1]).taken_for] += 1
                english.update([guess(sample.en.lower()).taken_for] if isinstance(sample, Pair) else [])
            row += 1
        if suites is not None:
            contaminated += int(touches(*hash_words(normals), suites, CONTAMINATION_WORDS).sum())
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
        "against": [file.name for file in against],
        "contaminated_rows": None if suites is None else contaminated,
    }


def keep(folder: Path, figures: dict[str, Any]) -> None:
    """Keep what `examine` found beside the dataset, which never changes."""
    aside = folder / f".{FILE}"
    aside.write_text(json.dumps(figures, ensure_ascii=False, indent=2) + "\n", encoding="utf8")
    aside.replace(folder / FILE)


def kept(folder: Path) -> dict[str, Any] | None:
    """What the last `examine` of a dataset found; None before the first."""
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf8"))
    except (FileNotFoundError, ValueError):
        return None
    return dict(found)


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
