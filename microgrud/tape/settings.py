"""The settings of a compiled function, and the checks of those that can be changed later."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from ..common.checks import one_of, optional, whole


class Settings(NamedTuple):
    """The settings of a compiled function; see `compile`."""

    batched: tuple[str, ...] = ()
    reduction: str = "mean"
    threads: int = 1
    errors: str = "raise"
    max_paths: int = 64


#: The checks of all settings but the first, in their order.
CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "reduction": one_of("mean", "sum"),
    "threads": lambda name, x: optional(whole(1))(name, x) or os.cpu_count() or 1,
    "errors": one_of("raise", "ignore"),
    "max_paths": whole(1),
}
