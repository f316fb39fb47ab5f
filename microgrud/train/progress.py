"""The progress bar of `fit`, drawn by tqdm."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from .events import Callback, TrainingEvent


@contextmanager
def progress_bar(total: int, done: int = 0, visible: bool | None = None) -> Iterator[Callback]:
    """Show a progress bar over the steps of a run; yield the callback that moves it.

    Args:
        total: the number of steps.
        done: the number of steps that were done before.
        visible: whether to show the bar; None shows it if tqdm is installed and the output is a terminal or a
            notebook.

    Raises:
        ImportError: if tqdm is needed and not installed.
    """
    if visible is None:
        visible = find_spec("tqdm") is not None and is_interactive()
    if not visible:
        yield lambda event: None
        return
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise ImportError(
            "fit: the progress bar needs tqdm; install it with: pip install 'microgrud[train]', or leave progress out"
        ) from error
    with tqdm(total=total, initial=done, unit="step", dynamic_ncols=True) as bar:
        yield lambda event: _show(bar, event)


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
