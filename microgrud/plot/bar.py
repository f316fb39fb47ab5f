"""A progress bar for computations that may take long."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import TypeVar

from ..train.progress import is_interactive

__all__ = ["with_progress"]

Item = TypeVar("Item")


def with_progress(where: str, items: list[Item], visible: bool | None, unit: str) -> Iterable[Item]:
    """Return an iterable over the items that shows how many of them are done.

    Args:
        where: who asks, for the message and the bar.
        items: what to go through.
        visible: whether to show a bar; None to show it after two seconds, where tqdm is installed and somebody looks
            on, in a terminal or a notebook.
        unit: what an item is called.

    Raises:
        ImportError: if tqdm is needed and not there.
    """
    if visible is None and not (find_spec("tqdm") is not None and is_interactive()):
        return items
    if visible is False:
        return items
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise ImportError(
            f"{where}: the progress bar needs tqdm; install it with: pip install 'microgrud[plot]', or leave progress "
            "out"
        ) from error
    return tqdm(items, desc=where, unit=unit, dynamic_ncols=True, delay=0.0 if visible else 2.0)
