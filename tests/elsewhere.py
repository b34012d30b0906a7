"""A device that is not the CPU, on a machine that has no other.

Tensors that say they lie elsewhere (on ``meta``, the device every build of torch knows), with
their numbers held on the CPU. Code that asks for the device takes the way it takes on a GPU, with
real numbers; what a GPU refuses is refused here too: operations on tensors of both devices, and
NumPy views of what does not lie in host memory. What it cannot show is what a GPU rounds
differently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = "meta"
_ATEN = torch.ops.aten
_MAY_MIX = {_ATEN.copy_.default, _ATEN._to_copy.default}
_INDEXED = {
    _ATEN.index.Tensor,
    _ATEN.index_put.default,
    _ATEN.index_put_.default,
    _ATEN._index_put_impl_.default,
}
"""A GPU takes places from host memory too."""


class There(Tensor):
    """Says it does not lie in host memory."""

    here: Tensor

    @staticmethod
    def __new__(cls: type[There], here: Tensor) -> There:
        """here: its numbers, on the CPU."""
        made: There = torch.Tensor._make_wrapper_subclass(
            cls,
            here.shape,
            strides=here.stride(),
            storage_offset=here.storage_offset(),
            dtype=here.dtype,
            device=torch.device(DEVICE),
        )
        made.here = here
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        """Where no mode is on: in threads of their own."""
        return _ran(func, args, dict(kwargs or {}))


class _Mode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        return _ran(func, args, dict(kwargs or {}))


def _ran(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> object:
    given = [v for v in tree_flatten((args, kwargs))[0] if isinstance(v, Tensor)]
    there = [v for v in given if isinstance(v, There)]
    asked = kwargs.get("device")
    stays = bool(there)
    if asked is not None:
        stays = torch.device(asked).type == DEVICE
        kwargs["device"] = torch.device("cpu")
    checked = [args[0], *args[2:]] if func in _INDEXED else [args, kwargs]
    mixed = [v for v in tree_flatten(checked)[0] if isinstance(v, Tensor)]
    strangers = [v for v in mixed if not isinstance(v, There) and v.dim() > 0]
    if strangers and any(isinstance(v, There) for v in mixed) and func not in _MAY_MIX:
        raise RuntimeError(
            f"{func}: tensors of both devices; on the CPU: {[tuple(v.shape) for v in strangers]}"
        )
    if kwargs.pop("pin_memory", None):
        raise RuntimeError("pinned memory is not shown here")
    kwargs.pop("non_blocking", None)
    names = {id(v.here): v for v in there}
    plain = tree_map(lambda v: v.here if isinstance(v, There) else v, (args, kwargs))
    made = func(*plain[0], **plain[1])
    if func is _ATEN._to_copy.default and asked is not None and made is plain[0][0]:
        made = made.clone()

    def named(value: object) -> object:
        if not isinstance(value, Tensor) or isinstance(value, There):
            return value
        if id(value) in names:
            return names[id(value)]
        return There(value) if stays else value

    return tree_map(named, made)


_made = torch.tensor


def _tensor(
    data: object,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """As ``torch.tensor``, which on ``meta`` drops the numbers."""
    here = _made(data, dtype=dtype)
    return here if device is None else here.to(device)


def _new_tensor(like: Tensor, data: object) -> Tensor:
    return _tensor(data, dtype=like.dtype, device=like.device)


@contextmanager
def elsewhere() -> Iterator[Callable[[Tensor], Tensor]]:
    """While it holds, there is such a device. Gives what sends a tensor there."""
    replaced = torch.__future__.get_overwrite_module_params_on_conversion()
    with (
        # Tensors made there in inference mode could not be taken apart.
        patch("torch.inference_mode", torch.no_grad),
        # Nothing is rounded to half there.
        patch("torch.autocast", lambda *_, **__: nullcontext()),
        patch("torch.tensor", _tensor),
        patch("torch.Tensor.new_tensor", _new_tensor),
        _Mode(),  # type: ignore[no-untyped-call]
    ):
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        try:
            yield There
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(replaced)
