"""A progress bar for computations that may take long."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import TypeVar

from ..train.progress import is_interactive

Item = TypeVar("Item")


def with_progress(where: str, items: list[Item], visible: bool | None, unit: str) -> Iterable[Item]:
    """Return an iterable over the items that shows a progress bar.

    Args:
        where: the caller's name, for the message and the bar.
        items: the items to iterate over.
        visible: whether to show a bar; None to show it after two seconds if tqdm is installed and the program runs in a
            terminal or a notebook.
        unit: the name of an item.

    Raises:
        ImportError: if tqdm is needed and not installed.
    """
    if visible is False or (visible is None and not (find_spec("tqdm") is not None and is_interactive())):
        return items
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise ImportError(
            f"{where}: the progress bar needs tqdm; install it with: pip install 'microgrud[plot]', or omit progress"
        ) from error
    return tqdm(items, desc=where, unit=unit, dynamic_ncols=True, delay=0.0 if visible else 2.0)
