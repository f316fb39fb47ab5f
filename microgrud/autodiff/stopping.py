"""`stop_gradient`: numbers through which no gradient flows."""

from __future__ import annotations

from typing import Any, TypeVar

from ..common.arrays import is_array
from ..common.numbers import is_real_scalar
from ..engine import Value
from .frames import framed
from .trees import map_leaves

T = TypeVar("T")


def stop_gradient(x: T) -> T:
    """Return the same numbers, through which no gradient flows: the value is x, and every derivative is 0.

    The derivatives are 0 in reverse and forward mode, of every order, and in recordings. Use it in a function that is
    called with floats as well as with Values; for a Value it is `x.detach()`.

    Args:
        x: a Value, a number of any kind, an array, None, or a list, tuple or dict of these.

    Returns:
        The same structure: a new leaf for each Value, everything else as it is.

    Raises:
        TypeError: for anything else, which might hold Values.

    Source: `jax.lax.stop_gradient`.

    >>> stop_gradient(2.0)
    2.0
    >>> from microgrud import grad
    >>> grad(lambda x: x * stop_gradient(x))(3.0)
    3.0
    """
    map_leaves(_check, x, "x")
    values, frame = framed(x)
    result: T = frame.fill([v.detach() if isinstance(v, Value) else v for v in values])
    return result


def _check(leaf: Any, place: str) -> None:
    known = isinstance(leaf, (Value, complex)) or leaf is None or is_array(leaf) or is_real_scalar(leaf)
    if not (known or hasattr(leaf, "context") or hasattr(type(leaf), "takes_truths")):
        raise TypeError(
            f"stop_gradient: {place}: expected a number, an array, or a list, tuple or dict of them, got "
            f"{type(leaf).__name__}"
        )
