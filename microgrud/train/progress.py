"""The progress bar of `fit`, drawn by tqdm."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import TracebackType
from typing import Any

from .events import TrainingEvent


class ProgressBar:
    """A context with a progress bar over the steps, with the loss and metric of the last step.

    Args:
        total: the number of steps.
        done: the number of steps that were done before.
        visible: whether to show the bar; None shows it if tqdm is installed and the output is a terminal or a
            notebook.

    Raises:
        ImportError: if tqdm is needed and not installed.
    """

    def __init__(self, total: int, done: int = 0, visible: bool | None = None) -> None:
        self._bar: Any = None
        if visible is None:
            visible = find_spec("tqdm") is not None and is_interactive()
        if visible:
            try:
                from tqdm import tqdm
            except ImportError as error:
                raise ImportError(
                    "fit: the progress bar needs tqdm; install it with: pip install 'microgrud[train]', or leave "
                    "progress out"
                ) from error
            self._bar = tqdm(total=total, initial=done, unit="step", dynamic_ncols=True)

    def show(self, event: TrainingEvent) -> None:
        """Advance the bar after a step, and show the figures of a step or an epoch."""
        if self._bar is None:
            return
        shown = {"epoch": str(event.epoch), "loss": f"{event.loss:.4g}"}
        if event.metric is not None:
            shown["metric"] = f"{event.metric:.4g}"
        if event.validation_loss is not None:
            shown["validation"] = f"{event.validation_loss:.4g}"
        if event.history.engine is not None:
            shown["engine"] = event.history.engine
        self._bar.set_postfix(shown, refresh=False)
        if event.kind == "step":
            self._bar.update()
        else:
            self._bar.refresh()

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()


def is_interactive() -> bool:
    """Return whether the output is a terminal or a notebook, where a progress bar is seen."""
    return "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())
