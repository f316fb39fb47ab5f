"""Entry point of the command line; if the extra is not installed, one line names the missing packages."""

from __future__ import annotations

import gc
import io
import sys

from ..common.missing import absent, what_to_install
from .loading import held_interrupts

__all__ = ["main"]

#: The packages that the commands import.
_NEEDED = ("typer", "openpyxl", "pandas", "scikit-learn", "matplotlib", "tqdm")


def main() -> None:
    """Run the command line on `sys.argv`, and exit.

    The exit code is 0; 1 if the report could not be written, 2 after an error in the input, 130 if Ctrl-C ended it.
    """
    if absent(*_NEEDED):
        print(f"error: {what_to_install('the command line needs', *_NEEDED)}", file=sys.stderr)
        sys.exit(2)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # like stderr: a narrow encoding is no reason to fail
    try:
        gc.disable()  # what is loaded stays: looking for garbage in it takes 0.2 of the 1.5 s
        with held_interrupts():
            from .commands import app

        gc.freeze()
        gc.enable()
        app(prog_name="microgrud")
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        sys.exit(130)
