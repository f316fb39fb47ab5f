"""Numbers that notice what a recording cannot: that a program looks them up in a dict or a set.

In a recording the numbers of a sample are Values, whose hash is that of the node: `{0.0: ..., 1.0: ...}.get(target)`
would find nothing, whatever the number is. So model and loss are called once with probes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Probe", "Witness", "probed"]


class Witness:
    """Evidence from probes.

    Attributes:
        seen: whether one was hashed, as the key of a dict or a member of a set is.
    """

    seen = False


class Probe(float):
    """A float that tells a witness when it is hashed, as does a number computed from it and plain numbers.

    >>> witness = Witness()
    >>> x = Probe(2.0)
    >>> x.witness = witness
    >>> x + 1.0 == 3.0, witness.seen
    (True, False)
    >>> {3.0: "three"}[x + 1.0], witness.seen
    ('three', True)
    """

    __slots__ = ("witness",)

    witness: Witness

    def __hash__(self) -> int:
        self.witness.seen = True
        return float.__hash__(self)


def probed(x: Any, witness: Witness) -> Any:
    """Return a number, or lists and tuples of numbers, with probes in the place of floats."""
    if isinstance(x, float):
        probe = Probe(x)
        probe.witness = witness
        return probe
    return type(x)([probed(item, witness) for item in x]) if type(x) in (list, tuple) else x


def _passing_on(name: str) -> Callable[..., Any]:
    """Make the method of an operator, whose result is a probe too."""
    operation = getattr(float, name)

    def method(self: Probe, *others: Any) -> Any:
        result = operation(self, *others)
        return probed(result, self.witness) if isinstance(result, float) else result

    method.__name__ = name
    return method


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    setattr(Probe, f"__{_name}__", _passing_on(f"__{_name}__"))
    setattr(Probe, f"__r{_name}__", _passing_on(f"__r{_name}__"))
for _name in ("neg", "pos", "abs", "round"):
    setattr(Probe, f"__{_name}__", _passing_on(f"__{_name}__"))
