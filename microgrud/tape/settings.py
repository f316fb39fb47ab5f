"""The settings of a compiled function, and the checks of those that can be changed later."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..common.checks import one_of, optional, whole


class Settings(NamedTuple):
    """The settings of a compiled function; see `compile`."""

    batched: tuple[str, ...] = ()
    reduction: str = "mean"
    threads: int = 1
    errors: str = "raise"
    max_paths: int = 64
    weights: str = ""

    @property
    def divides(self) -> bool:
        """True if a result is to be divided by the number of samples; weights are scaled instead."""
        return self.reduction == "mean" and not self.weights


#: The checks of the settings that can be changed, in their order.
CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "reduction": one_of("mean", "sum"),
    "threads": lambda name, x: optional(whole(1))(name, x) or os.cpu_count() or 1,
    "errors": one_of("raise", "ignore"),
    "max_paths": whole(1),
}


def parameter_names(f: Callable[..., Any], batched: Sequence[str]) -> list[str]:
    """Return the names of the positional arguments; raise a ValueError unless the batched arguments exist."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        parameters = ()  # type: ignore[assignment]
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    known = [p.name for p in parameters]
    for name in batched:
        if name not in known:
            raise ValueError(f"compile: batched: expected names of arguments ({', '.join(known)}), got {name!r}")
    return names
