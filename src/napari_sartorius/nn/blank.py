"""Builds networks whose weights will be loaded anyway without drawing random numbers for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Callable

_DRAWING = {"normal_", "uniform_", "trunc_normal_", "kaiming_uniform_", "erfinv_"}


class WithoutInitialValues(TorchFunctionMode):
    """Within this context initialisers leave tensors as they are: whatever memory held.

    Only for networks of which every weight is replaced before use.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Skip what draws random numbers in place; everything else is done."""
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in _DRAWING:
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)
