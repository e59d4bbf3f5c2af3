"""How much of an adapter is kept: between all that was trained and the base as it was."""

from __future__ import annotations

from typing import Any

from studio.errors import StudioError


def check_towards(towards_base: float) -> None:
    """Refuse a merge that would go past its run, or keep nothing of it.

    Raises:
        StudioError: ``publish.towards_out_of_range`` unless ``0 <= towards_base < 1``.
    """
    if not 0 <= towards_base < 1:  # a NaN is in no range
        raise StudioError("publish.towards_out_of_range", towards_base=towards_base)


class Strength:
    """Weakens the adapter of a loaded model, as often as asked and without touching a weight.

    LoRA's part of every output is linear in its scale. DoRA's is not, so what it adds to the base's output is
    shortened. Either way the model computes with ``W + (1 - towards_base) * (W_adapted - W)``, as a merge writes it.
    """

    def __init__(self, model: Any) -> None:
        self._added = 1.0
        self._scales: list[tuple[dict[str, float], str, float]] = []
        for module in model.modules():
            for name in getattr(module, "lora_A", ()):
                if name in module.lora_magnitude_vector:
                    module.lora_magnitude_vector[name].register_forward_hook(self._shorten)
                else:
                    self._scales.append((module.scaling, name, module.scaling[name]))

    def set(self, towards_base: float) -> None:
        """Go `towards_base` of the way: 0 is the run, 1 the base with the run's new rows."""
        self._added = 1.0 - towards_base
        for scaling, name, whole in self._scales:
            scaling[name] = whole * self._added

    def _shorten(self, module: Any, inputs: Any, output: Any) -> Any:
        return output if self._added == 1.0 else output * self._added
