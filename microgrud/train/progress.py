"""Progress bars, drawn by tqdm: over the steps of `fit`, and over the items of a long computation."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, TypeVar

from ..common.missing import what_to_install
from .events import Callback, TrainingEvent

Item = TypeVar("Item")


@contextmanager
def progress_bar(total: int | None, done: int = 0, visible: bool | None = None) -> Iterator[Callback]:
    """Show a progress bar over the steps of a run; yield the callback that moves it.

    Args:
        total: the number of steps; None if it is not known.
        done: the number of steps that were done before.
        visible: whether to show the bar; None shows it if tqdm is installed and the output is a terminal or a
            notebook.

    Raises:
        ImportError: if tqdm is needed and not installed.
    """
    tqdm = _tqdm_for("fit", visible)
    if tqdm is None:
        yield lambda event: None
        return
    with tqdm(total=total, initial=done, unit="step", dynamic_ncols=True) as bar:
        yield lambda event: _show(bar, event)


def with_progress(where: str, items: list[Item], visible: bool | None, unit: str) -> Iterable[Item]:
    """Return an iterable over the items that shows a progress bar, by default after two seconds.

    Args:
        where: the caller's name, for the message and the bar.
        items: the items to iterate over.
        visible: whether to show the bar, and at once; None as in `progress_bar`.
        unit: the name of an item.

    Raises:
        ImportError: if tqdm is needed and not installed.
    """
    tqdm = _tqdm_for(where, visible)
    if tqdm is None:
        return items
    bar: Iterable[Item] = tqdm(items, desc=where, unit=unit, dynamic_ncols=True, delay=0.0 if visible else 2.0)
    return bar


def _tqdm_for(where: str, visible: bool | None) -> Any:
    """Return the class of the bar to show, None for no bar."""
    if visible is None:
        visible = find_spec("tqdm") is not None and is_interactive()
    if not visible:
        return None
    try:
        from tqdm import tqdm
    except ImportError as error:
        what = what_to_install(f"{where}: the progress bar needs", "tqdm")
        raise ImportError(f"{what}; or leave progress out") from error
    return tqdm


def _show(bar: Any, event: TrainingEvent) -> None:
    """Advance the bar after a step, and show the figures of a step or an epoch."""
    shown = {"epoch": str(event.epoch), "loss": f"{event.loss:.4g}"}
    if event.metric is not None:
        shown["metric"] = f"{event.metric:.4g}"
    if event.validation_loss is not None:
        shown["validation"] = f"{event.validation_loss:.4g}"
    if event.history.engine is not None:
        shown["engine"] = event.history.engine
    bar.set_postfix(shown, refresh=False)
    if event.kind == "step":
        bar.update()
    else:
        bar.refresh()


def is_interactive() -> bool:
    """Return whether the output is a terminal or a notebook, where a progress bar is seen."""
    return "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())
