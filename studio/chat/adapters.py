"""LoRA adapters laid over one model, whose weights all sides share; switching is cheap enough for every token."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn


class _Adapted(nn.Module):  # type: ignore[misc]  # torch is untyped
    """A linear layer with one LoRA adapter: what peft's wrapper computes, without its questions at every token.

    `down` and `up` may be held in bf16. A processor widens them for each product, which takes 1.5 µs; torch's own
    products of one row with so narrow a matrix take 60 to 80 µs in bf16 instead of 4.
    """

    def __init__(self, base: nn.Module, down: nn.Parameter, up: nn.Parameter, scale: float) -> None:
        super().__init__()
        self.base, self.down, self.up, self.scale = base, down, up, scale

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        told: torch.Tensor = self.base(values)
        down, up = (self.down, self.up) if values.is_cuda else (self.down.float(), self.up.float())
        change = nn.functional.linear(nn.functional.linear(values.to(down.dtype), down), up)
        return (told + change * self.scale).to(told.dtype)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where peft has wrapped a module: entry `name` of the parent's modules is the `wrapper` of the `original`.

    `adapted` has the layers, by adapter, that compute without the wrapper.
    """

    modules: dict[str, Any]
    name: str
    wrapper: Any
    original: Any
    adapted: dict[str, _Adapted]


class Adapters:
    """Adapters of one model, at most one of them in effect.

    Args:
        model: The base, as ``transformers`` loads it; the first adapter wraps its linear layers in place.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._flagged = [weight for weight in model.parameters() if weight.requires_grad]
        self._wrapped: Any = None  # the PeftModel, once there is an adapter
        self._places: list[_Place] = []
        self._names = 0
        self._spare: str | None = None  # dropped, but still on the model
        self._current: str | None = None

    def load(self, folder: Path) -> str:
        """Lay the adapter in `folder` over the model and return the name to `use`."""
        from peft import PeftModel

        self._names += 1
        name = f"side{self._names}"
        self._wrap()
        try:
            if self._wrapped is None:
                options = {"adapter_name": name, "is_trainable": False}
                self._wrapped = PeftModel.from_pretrained(self._model, str(folder), **options)
            else:
                self._wrapped.load_adapter(str(folder), adapter_name=name, is_trainable=False)
            self._shorten(name)
            if self._spare:
                self._wrapped.delete_adapter(self._spare)
                self._spare = None
        except BaseException:
            if self._wrapped is not None and name in self._wrapped.peft_config:
                self._wrapped.delete_adapter(name)  # half of it is there
            raise
        finally:
            self._model.eval()
            self._collect()
        return name

    def drop(self, name: str) -> None:
        """Take the adapter `name` off the model for good."""
        # peft cannot leave a wrapped model without any adapter, so the last one goes when the next one comes.
        if len(self._wrapped.peft_config) == 1:
            self._spare = name
            return
        self._wrap()
        self._wrapped.delete_adapter(name)
        self._collect()

    def use(self, name: str | None) -> None:
        """Compute with the adapter `name` from now on, or with the bare base for None.

        The base gets its own modules back, so that it is the untouched model: peft's wrappers, switched off, cost it
        7% of its speed in Python alone. Switching so takes 0.05 ms for 210 layers. peft's ``set_adapter`` walks every
        module and parameter, 6 to 8 ms, and a token takes 20 to 60.
        """
        if name == self._current:
            return
        active = [name]
        for place in self._places:
            if name is None:
                place.modules[place.name] = place.original
            elif name in place.adapted:
                place.modules[place.name] = place.adapted[name]
            else:
                place.modules[place.name] = place.wrapper
                object.__setattr__(place.wrapper, "_active_adapter", active)  # Module's own is ten times slower
        self._current = name

    def weights(self) -> int:
        """Bytes of the model and all its adapters, what several modules share counted once."""
        self._wrap()
        held = (*self._model.parameters(), *self._model.buffers())
        storages = [tensor.untyped_storage() for tensor in held]
        return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())

    def _shorten(self, name: str) -> None:
        """Keep a LoRA adapter in bf16 over a base in bf16.

        peft widens every adapter to fp32, which training needs and an answer does not: two of rank 16 made the
        starter's weights 1.145 times as many bytes, in bf16 1.073.
        """
        if self._model.get_input_embeddings().weight.dtype != torch.bfloat16:
            return
        for module in self._model.modules():
            if _is_plain(module, name):
                for matrix in (module.lora_A[name], module.lora_B[name]):
                    matrix.weight.data = matrix.weight.data.to(torch.bfloat16)

    def _wrap(self) -> None:
        """Put the wrappers back, as peft left them."""
        for place in self._places:
            place.modules[place.name] = place.wrapper
        self._current = "?"

    def _collect(self) -> None:
        from peft.tuners.tuners_utils import BaseTunerLayer
        from peft.utils.other import AuxiliaryTrainingWrapper

        self._places = [
            _Place(
                parent._modules,
                name,
                child,
                child.get_base_layer() if isinstance(child, BaseTunerLayer) else child.original_module,
                _adapted(child),
            )
            for parent in list(self._model.modules())
            for name, child in parent._modules.items()
            if isinstance(child, BaseTunerLayer | AuxiliaryTrainingWrapper)
        ]
        # peft has frozen the base. Nothing trains here, but torch takes a slow way to multiply the last position of a
        # prompt with a frozen head: 95 ms instead of 7 on the starter model.
        for weight in self._flagged:
            weight.requires_grad_(True)
        self._current = "?"


def _is_plain(module: Any, name: str) -> bool:
    """Whether adapter `name` is LoRA as it was first described, on an ordinary linear layer: no DoRA, no bias."""
    from peft.tuners.lora import Linear

    return (
        type(module) is Linear
        and name in module.lora_A
        and name not in module.lora_variant
        and not module.lora_bias[name]
    )


def _adapted(wrapper: Any) -> dict[str, _Adapted]:
    """The layers that stand in for `wrapper`, by adapter."""
    return {
        name: _Adapted(
            wrapper.get_base_layer(), wrapper.lora_A[name].weight, wrapper.lora_B[name].weight, wrapper.scaling[name]
        )
        for name in getattr(wrapper, "lora_A", {})
        if _is_plain(wrapper, name)
    }
