"""Checks of a cluster before anything is sent to it: its workers need this package, in this version."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from ..version import __version__

#: Evaluated by a worker with the builtin `eval`, since a function of this package could not be found there.
_PROBE = "(__import__('microgrud').__version__, '{}.{}'.format(*__import__('sys').version_info))"


class ClusterError(RuntimeError):
    """A cluster cannot train: its scheduler or its workers are gone, or they lack what they need."""


def check_client(client: Any) -> None:
    """Raise unless an object is a client of `dask.distributed` whose methods return results and not awaitables.

    >>> check_client("tcp://127.0.0.1:8786")
    Traceback (most recent call last):
        ...
    TypeError: fit: client: expected a dask.distributed.Client, got an object of type str: write client=Client(...)
    """
    if not all(callable(getattr(client, name, None)) for name in ("submit", "run", "nthreads", "gather")):
        raise TypeError(
            f"fit: client: expected a dask.distributed.Client, got an object of type {type(client).__name__}: write "
            "client=Client(...)"
        )
    if client.status == "closed":
        raise ClusterError("fit: client: expected an open client, got one that is closed; call fit inside its `with`")
    if client.asynchronous:
        raise TypeError("fit: client: expected a client with asynchronous=False, got an asynchronous one")


def check_workers(client: Any, addresses: Iterable[str]) -> None:
    """Raise unless workers have this package and this version of Python.

    Raises:
        ClusterError: with the addresses of those that have not.
    """
    expected = (__version__, "{}.{}".format(*sys.version_info))
    found = client.run(eval, _PROBE, workers=list(addresses), on_error="return")
    wrong = []
    for address, answer in found.items():
        if isinstance(answer, ImportError):
            wrong.append(f"{address} has no microgrud ({answer})")
        elif isinstance(answer, Exception) and not isinstance(answer, OSError):  # a worker that is gone is seen later
            wrong.append(f"{address} cannot import microgrud ({type(answer).__name__}: {answer})")
        elif not isinstance(answer, Exception) and tuple(answer) != expected:
            wrong.append(f"{address} has microgrud {answer[0]} on Python {answer[1]}")
    if wrong:
        raise ClusterError(
            f"fit: client: expected workers with microgrud {expected[0]} on Python {expected[1]}, as here, got: "
            f"{'; '.join(wrong)}"
        )
