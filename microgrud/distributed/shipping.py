"""Functions and models for other processes: their code and state as bytes, their leaf Values by number.

The leaves travel as one vector at each step, so that a worker computes with the numbers of the moment, also with those
of Values that a function closes over. Equal bytes later mean that nothing but the numbers of leaves has changed.

Functions and classes of the user's own modules travel by value (cloudpickle), so that no worker needs these modules,
and so that a global Value of such a module is among the leaves.
"""

from __future__ import annotations

import functools
import io
import pickle
import sys
import sysconfig
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from ..common.forking import Lock
from ..common.missing import what_to_install
from ..engine import Value

#: Held while modules are registered with cloudpickle, whose register all threads share.
_registering = Lock()


class Package(NamedTuple):
    """Objects as bytes.

    Attributes:
        content: the bytes.
        leaves: the leaf Values that the objects hold, in the order in which the bytes name them.
    """

    content: bytes
    leaves: list[Value]


def pack(objects: Any, what: str = "a model and a loss") -> Package:
    """Return objects as bytes that another process can open.

    Args:
        objects: the objects.
        what: their name, for the message.

    Raises:
        TypeError: if they hold an object that cannot be pickled, or a leaf of a subclass of Value.
        ImportError: without cloudpickle.
    """
    try:
        import cloudpickle
    except ImportError as error:
        raise ImportError(what_to_install("fit with a client needs", "distributed", "cloudpickle")) from error
    leaves: list[Value] = []
    numbers: dict[int, int] = {}

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def persistent_id(self, x: Any) -> int | None:
            if not isinstance(x, Value) or not x.is_leaf:
                return None
            if type(x) is not Value:
                raise TypeError(
                    f"expected leaves that are Values, got a {type(x).__name__}, which stays in its process"
                )
            if id(x) not in numbers:
                numbers[id(x)] = len(leaves)
                leaves.append(x)
            return numbers[id(x)]

    content = io.BytesIO()
    with _registering, ExitStack() as stack:
        registered = cloudpickle.list_registry_pickle_by_value()  # by the user, who may want it later
        for module in _own_modules():
            if module.__name__ in registered:
                continue
            cloudpickle.register_pickle_by_value(module)
            stack.callback(cloudpickle.unregister_pickle_by_value, module)
        try:
            Pickler(content).dump(objects)
        except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
            raise TypeError(f"fit: client: expected {what} that can be pickled, got: {error}") from error
    return Package(content.getvalue(), leaves)


def pack_loader(number: int, loader: Any) -> bytes:
    """Return the loader of a shard as bytes. A worker cannot answer if Dask itself cannot read what it gets.

    Raises:
        TypeError: if it cannot be pickled, or holds a leaf Value, whose number would not travel.
    """
    made = pack(loader, f"a loader of shard {number}")
    if made.leaves:
        raise TypeError(f"fit: client: expected a loader of shard {number} without Values, got {made.leaves[0]!r}")
    return made.content


def unpack(content: bytes, labels: list[str]) -> tuple[Any, list[Value]]:
    """Return the objects that `pack` was given, with new leaves, and these leaves.

    Args:
        content: the bytes.
        labels: the labels of the leaves.
    """
    leaves = [Value(0.0, label=label) for label in labels]

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, number: int) -> Value:
            return leaves[number]

    return Unpickler(io.BytesIO(content)).load(), leaves


def _own_modules() -> list[ModuleType]:
    """Return the modules that are neither installed nor part of this package: those that a user is writing."""
    package, found = __name__.partition(".")[0], []
    for name, module in list(sys.modules.items()):
        origin = getattr(module, "__file__", None)
        if origin is None or name == "__main__" or name.partition(".")[0] == package:
            continue
        if getattr(module, "__name__", None) == name and not _is_installed(origin):
            found.append(module)
    return found


@functools.cache  # a process has 1,000 modules, whose paths take 0.1 s to resolve
def _is_installed(origin: str) -> bool:
    installed = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders = Path(origin).resolve().parents
    return any(each in installed or each.name in ("site-packages", "dist-packages") for each in folders)
