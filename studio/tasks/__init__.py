"""What each kind of job does; the worker runs one of these, with heavy libraries imported only inside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from studio.tasks.data import check_catalogue, clean_data, examine_data, import_data, mix_data
from studio.tasks.models import evaluate_model, fetch_model, measure_bits, train
from studio.tasks.publishing import (
    export_gguf,
    measure_towards,
    merge_model,
    pack_adapter,
    publish_model,
    verify_merge,
)
from studio.tasks.vocabulary import expand_model, learn_vocabulary, make_rows

if TYPE_CHECKING:
    from studio.worker import Work

TASKS: dict[str, Callable[[Work], dict[str, Any]]] = {
    "fetch": fetch_model,
    "import": import_data,
    "catalogue": check_catalogue,
    "clean": clean_data,
    "examine": examine_data,
    "mix": mix_data,
    "train": train,
    "merge": merge_model,
    "verify": verify_merge,
    "towards": measure_towards,
    "adapter": pack_adapter,
    "publish": publish_model,
    "gguf": export_gguf,
    "bits": measure_bits,
    "evaluate": evaluate_model,
    "vocabulary": learn_vocabulary,
    "rows": make_rows,
    "expand": expand_model,
}
